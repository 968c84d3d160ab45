#include "tests/support/passing_vfs.h"

#include <cstdlib>
#include <new>

namespace workflows::testing {

// From SQLite's tables of functions to the members.
struct PassingVfsCalls {
  using File = PassingVfs::File;

  static File& ours(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static sqlite3_file* real(sqlite3_file* file) { return ours(file).real(); }
  static PassingVfs& vfs(sqlite3_file* file) { return *ours(file).vfs; }
  static PassingVfs& vfs(sqlite3_vfs* vfs) { return *static_cast<PassingVfs*>(vfs->pAppData); }

  static int close(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }
  static int read(sqlite3_file* file, void* bytes, int amount, sqlite3_int64 offset) {
    return vfs(file).read(ours(file), bytes, amount, offset);
  }
  static int write(sqlite3_file* file, const void* bytes, int amount, sqlite3_int64 offset) {
    return vfs(file).write(ours(file), bytes, amount, offset);
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) { return vfs(file).truncate(ours(file), size); }
  static int sync(sqlite3_file* file, int flags) { return vfs(file).sync(ours(file), flags); }
  static int file_size(sqlite3_file* file, sqlite3_int64* size) { return vfs(file).size(ours(file), size); }
  static int lock(sqlite3_file* file, int level) { return vfs(file).lock(ours(file), level); }
  static int unlock(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
  static int check_reserved_lock(sqlite3_file* file, int* result) {
    return real(file)->pMethods->xCheckReservedLock(real(file), result);
  }
  static int file_control(sqlite3_file* file, int operation, void* argument) {
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
  }
  static int sector_size(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
  static int device_characteristics(sqlite3_file* file) {
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
  }
  static int shm_map(sqlite3_file* file, int region, int bytes, int extend, void volatile** memory) {
    return vfs(file).map_shared(ours(file), region, bytes, extend, memory);
  }
  static int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
    return vfs(file).lock_shared(ours(file), offset, count, flags);
  }
  static void shm_barrier(sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); }
  static int shm_unmap(sqlite3_file* file, int remove) { return real(file)->pMethods->xShmUnmap(real(file), remove); }

  static constexpr sqlite3_io_methods kMethods{.iVersion = 2,
                                               .xClose = close,
                                               .xRead = read,
                                               .xWrite = write,
                                               .xTruncate = truncate,
                                               .xSync = sync,
                                               .xFileSize = file_size,
                                               .xLock = lock,
                                               .xUnlock = unlock,
                                               .xCheckReservedLock = check_reserved_lock,
                                               .xFileControl = file_control,
                                               .xSectorSize = sector_size,
                                               .xDeviceCharacteristics = device_characteristics,
                                               .xShmMap = shm_map,
                                               .xShmLock = shm_lock,
                                               .xShmBarrier = shm_barrier,
                                               .xShmUnmap = shm_unmap,
                                               .xFetch = nullptr,
                                               .xUnfetch = nullptr};

  static int open(sqlite3_vfs* table, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    auto* opened = new (file) File{.base = {.pMethods = nullptr}, .vfs = &vfs(table), .name = name, .flags = flags};
    opened->real()->pMethods = nullptr;
    const int code = vfs(table).open(*opened, out_flags);
    if (opened->real()->pMethods != nullptr) opened->base.pMethods = &kMethods;
    return code;
  }
  static int remove(sqlite3_vfs* table, const char* name, int sync_folder) {
    return vfs(table).remove(name, sync_folder);
  }
  static int access(sqlite3_vfs* table, const char* name, int flags, int* result) {
    return vfs(table).access(name, flags, result);
  }
  // The real file system looks at its own pAppData: it gets its own table back.
  static int full_path_name(sqlite3_vfs* table, const char* name, int size, char* full) {
    sqlite3_vfs* below = vfs(table).real_;
    return below->xFullPathname(below, name, size, full);
  }
  static int sleep(sqlite3_vfs* table, int microseconds) { return vfs(table).sleep(microseconds); }
};

PassingVfs::PassingVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(std::make_unique<sqlite3_vfs>(*real_)) {
  vfs_->zName = "passing";
  vfs_->pAppData = this;
  vfs_->szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  vfs_->xOpen = PassingVfsCalls::open;
  vfs_->xDelete = PassingVfsCalls::remove;
  vfs_->xAccess = PassingVfsCalls::access;
  vfs_->xFullPathname = PassingVfsCalls::full_path_name;
  vfs_->xSleep = PassingVfsCalls::sleep;
  if (sqlite3_vfs_register(vfs_.get(), 1) != SQLITE_OK) std::abort();
}

PassingVfs::~PassingVfs() {
  sqlite3_vfs_unregister(vfs_.get());
  sqlite3_vfs_register(real_, 1);
}

int PassingVfs::open(File& file, int* out_flags) {
  return real_->xOpen(real_, file.name, file.real(), file.flags, out_flags);
}
int PassingVfs::read(File& file, void* bytes, int amount, sqlite3_int64 offset) {
  return file.real()->pMethods->xRead(file.real(), bytes, amount, offset);
}
int PassingVfs::write(File& file, const void* bytes, int amount, sqlite3_int64 offset) {
  return file.real()->pMethods->xWrite(file.real(), bytes, amount, offset);
}
int PassingVfs::truncate(File& file, sqlite3_int64 size) { return file.real()->pMethods->xTruncate(file.real(), size); }
int PassingVfs::sync(File& file, int flags) { return file.real()->pMethods->xSync(file.real(), flags); }
int PassingVfs::size(File& file, sqlite3_int64* bytes) { return file.real()->pMethods->xFileSize(file.real(), bytes); }
int PassingVfs::lock(File& file, int level) { return file.real()->pMethods->xLock(file.real(), level); }
int PassingVfs::map_shared(File& file, int region, int bytes, int extend, void volatile** memory) {
  return file.real()->pMethods->xShmMap(file.real(), region, bytes, extend, memory);
}
int PassingVfs::lock_shared(File& file, int offset, int count, int flags) {
  return file.real()->pMethods->xShmLock(file.real(), offset, count, flags);
}
int PassingVfs::remove(const char* name, int sync_folder) { return real_->xDelete(real_, name, sync_folder); }
int PassingVfs::access(const char* name, int flags, int* result) { return real_->xAccess(real_, name, flags, result); }
int PassingVfs::sleep(int microseconds) { return real_->xSleep(real_, microseconds); }

}  // namespace workflows::testing
