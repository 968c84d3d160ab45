#include "tests/support/counting_vfs.h"

#include <cstdlib>
#include <new>

namespace workflows::testing {
namespace {

// What SQLite sees as a file: ours first, the real one behind it.
struct File {
  sqlite3_file base;
  CountingVfs* disk;
};

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1); }

CountingVfs* disk_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->disk; }

}  // namespace

// Passes every call on; reads, writes and syncs are counted.
struct CountingVfsCalls {
  static CountingVfs* disk(sqlite3_vfs* vfs) { return static_cast<CountingVfs*>(vfs->pAppData); }
  static sqlite3_vfs* below(sqlite3_vfs* vfs) { return disk(vfs)->real_; }

  static int write(sqlite3_file* file, const void* bytes, int amount, sqlite3_int64 offset) {
    if (const int code = disk_of(file)->writes_.count(); code != SQLITE_OK) return code;
    disk_of(file)->written_bytes_ += static_cast<std::uint64_t>(amount);
    return real(file)->pMethods->xWrite(real(file), bytes, amount, offset);
  }
  static int sync(sqlite3_file* file, int flags) {
    if (const int code = disk_of(file)->syncs_.count(); code != SQLITE_OK) return code;
    return real(file)->pMethods->xSync(real(file), flags);
  }

  static int close(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }
  static int read(sqlite3_file* file, void* bytes, int amount, sqlite3_int64 offset) {
    ++disk_of(file)->reads_;
    return real(file)->pMethods->xRead(real(file), bytes, amount, offset);
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    return real(file)->pMethods->xTruncate(real(file), size);
  }
  static int file_size(sqlite3_file* file, sqlite3_int64* size) {
    return real(file)->pMethods->xFileSize(real(file), size);
  }
  static int lock(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
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
  static int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** memory) {
    return real(file)->pMethods->xShmMap(real(file), page, size, extend, memory);
  }
  static int shm_lock(sqlite3_file* file, int offset, int n, int flags) {
    return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
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

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    auto* ours = new (file) File{.base = {.pMethods = nullptr}, .disk = disk(vfs)};
    const int code = below(vfs)->xOpen(below(vfs), name, real(file), flags, out_flags);
    if (real(file)->pMethods != nullptr) ours->base.pMethods = &kMethods;
    return code;
  }
};

CountingVfs::CountingVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(std::make_unique<sqlite3_vfs>(*real_)) {
  vfs_->zName = "counting";
  vfs_->pAppData = this;
  vfs_->szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  vfs_->xOpen = CountingVfsCalls::open;
  // The other calls of the real file system look at its pAppData: they get it back.
  vfs_->xDelete = [](sqlite3_vfs* vfs, const char* name, int sync) {
    return CountingVfsCalls::below(vfs)->xDelete(CountingVfsCalls::below(vfs), name, sync);
  };
  vfs_->xAccess = [](sqlite3_vfs* vfs, const char* name, int flags, int* result) {
    return CountingVfsCalls::below(vfs)->xAccess(CountingVfsCalls::below(vfs), name, flags, result);
  };
  vfs_->xFullPathname = [](sqlite3_vfs* vfs, const char* name, int size, char* full) {
    return CountingVfsCalls::below(vfs)->xFullPathname(CountingVfsCalls::below(vfs), name, size, full);
  };
  if (sqlite3_vfs_register(vfs_.get(), 1) != SQLITE_OK) std::abort();
}

CountingVfs::~CountingVfs() {
  sqlite3_vfs_unregister(vfs_.get());
  sqlite3_vfs_register(real_, 1);
}

void CountingVfs::heal() {
  syncs_.fail_from = 0;
  writes_.fail_from = 0;
}

void CountingVfs::Calls::fail(std::uint64_t nth, int with, Failure failure) {
  code = with;
  fail_to = failure == Failure::once ? calls + nth : UINT64_MAX;
  fail_from = calls + nth;
}

int CountingVfs::Calls::count() {
  const auto call = ++calls;
  const auto from = fail_from.load();
  return from != 0 && call >= from && call <= fail_to ? code.load() : SQLITE_OK;
}

}  // namespace workflows::testing
