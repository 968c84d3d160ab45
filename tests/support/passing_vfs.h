#pragma once
// An SQLite file system that passes every call on to the real one; what derives from it steps in where it wants to.
// While it lives it is SQLite's default, so every database opened meanwhile goes through it, however deep below; close
// them before it ends. One at a time.

#include <sqlite3.h>

#include <memory>

namespace workflows::testing {

class PassingVfs {
 public:
  PassingVfs();
  virtual ~PassingVfs();
  PassingVfs(const PassingVfs&) = delete;
  PassingVfs& operator=(const PassingVfs&) = delete;

 protected:
  // What SQLite sees as a file: ours first, the real one right behind it.
  struct File {
    sqlite3_file base;
    PassingVfs* vfs;
    const char* name;  // null: a temporary file
    int flags;         // SQLITE_OPEN_...

    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };

  // Each passes on. They are called from C: none may throw.
  virtual int open(File& file, int* out_flags);
  virtual int read(File& file, void* bytes, int amount, sqlite3_int64 offset);
  virtual int write(File& file, const void* bytes, int amount, sqlite3_int64 offset);
  virtual int truncate(File& file, sqlite3_int64 size);
  virtual int sync(File& file, int flags);
  virtual int size(File& file, sqlite3_int64* bytes);
  virtual int lock(File& file, int level);
  virtual int map_shared(File& file, int region, int bytes, int extend, void volatile** memory);
  virtual int lock_shared(File& file, int offset, int count, int flags);
  virtual int remove(const char* name, int sync_folder);
  virtual int access(const char* name, int flags, int* result);
  virtual int sleep(int microseconds);

 private:
  friend struct PassingVfsCalls;

  sqlite3_vfs* real_;
  std::unique_ptr<sqlite3_vfs> vfs_;
};

}  // namespace workflows::testing
