#pragma once
// `<database>-owners`: an empty file whose bytes are locked. It tells who is alive (byte n: owner n), and lets one
// writer at a time into the database (byte 0), across processes and within one.
//
// The locks are Linux's OFD locks: they belong to this open file, so they work between threads too, and the kernel
// drops them the moment the process is gone. (A child made by fork keeps them alive until it closes the file or ends.)

#include <cstdint>
#include <optional>
#include <string>

#include <workflows/time.h>

namespace workflows::storage::sqlite {

class LockFile {
 public:
  // Makes the file if it is missing, with the permissions of the database. Throws Failed.
  explicit LockFile(const std::string& database);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  bool try_lock(std::int64_t byte);
  void unlock(std::int64_t byte);
  bool held_by_another(std::int64_t byte);

  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail(const char* doing) const;

  std::string path_;
  int file_ = -1;
};

// Owner n holds byte n, and this much further on another one if it was opened with durability normal.
inline constexpr std::int64_t kForgetful = std::int64_t{1} << 61;

// Who holds a byte, as seen by one who takes no lock and makes no file.
class LockWatch {
 public:
  explicit LockWatch(const std::string& database);
  ~LockWatch();
  LockWatch(const LockWatch&) = delete;
  LockWatch& operator=(const LockWatch&) = delete;

  // Absent: this user may not know.
  std::optional<bool> held(std::int64_t byte) const;

 private:
  int file_;
  bool nobody_ = false;  // without the file nobody can
};

// The right to write, for as long as it lives. Throws Failed (store_busy) when it cannot be had within the timeout.
class WriteLock {
 public:
  WriteLock(LockFile& file, Millis timeout);
  ~WriteLock();
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  LockFile& file_;
};

}  // namespace workflows::storage::sqlite
