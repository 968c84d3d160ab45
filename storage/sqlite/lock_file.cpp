#include "storage/sqlite/lock_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "storage/sqlite/connection.h"

namespace workflows::storage::sqlite {
namespace {

constexpr std::int64_t kWriting = 0;
// Who waits for the right to write holds this byte, and nobody asks for that right without it: so a writer that commits
// without a pause cannot starve the others. Beyond every owner id.
constexpr std::int64_t kNextInLine = std::int64_t{1} << 62;

struct flock byte_lock(short type, std::int64_t byte) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

std::string beside(const std::string& database) { return database + "-owners"; }

using Deadline = std::chrono::steady_clock::time_point;

bool lock_until(LockFile& file, std::int64_t byte, Deadline deadline) {
  auto pause = std::chrono::microseconds(20);
  while (!file.try_lock(byte)) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(1000));
  }
  return true;
}

}  // namespace

LockFile::LockFile(const std::string& database) : path_(beside(database)) {
  file_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0 && errno == ENOENT) {
    struct stat info{};
    const mode_t mode = stat(database.c_str(), &info) == 0 ? info.st_mode & 0666 : 0600;
    file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, mode);
    // Whoever may write the database must be able to lock here, whatever this process's umask says.
    if (file_ >= 0) (void)fchmod(file_, mode);
  }
  if (file_ < 0) fail("opening");
}

LockFile::~LockFile() { close(file_); }

bool LockFile::try_lock(std::int64_t byte) {
  auto lock = byte_lock(F_WRLCK, byte);
  if (fcntl(file_, F_OFD_SETLK, &lock) == 0) return true;
  if (errno != EAGAIN && errno != EACCES && errno != EINTR) fail("locking");
  return false;
}

void LockFile::unlock(std::int64_t byte) {
  auto lock = byte_lock(F_UNLCK, byte);
  (void)fcntl(file_, F_OFD_SETLK, &lock);
}

bool LockFile::held_by_another(std::int64_t byte) {
  auto lock = byte_lock(F_WRLCK, byte);
  if (fcntl(file_, F_OFD_GETLK, &lock) != 0) fail("asking for a lock of");
  return lock.l_type != F_UNLCK;
}

void LockFile::fail(const char* doing) const {
  throw Failed{
      {ErrorCode::store,
       fmt::format("'{}': {} this file failed: {}. It lies next to the database, which needs it for its locks; "
                   "check that it and its folder can be written by this user",
                   path_, doing, std::strerror(errno))}};
}

LockWatch::LockWatch(const std::string& database)
    : file_(open(beside(database).c_str(), O_RDONLY | O_CLOEXEC)), nobody_(file_ < 0 && errno == ENOENT) {}

LockWatch::~LockWatch() {
  if (file_ >= 0) close(file_);
}

std::optional<bool> LockWatch::held(std::int64_t byte) const {
  if (nobody_) return false;
  auto lock = byte_lock(F_WRLCK, byte);
  if (file_ < 0 || fcntl(file_, F_OFD_GETLK, &lock) != 0) return std::nullopt;
  return lock.l_type != F_UNLCK;
}

WriteLock::WriteLock(LockFile& file, Millis timeout) : file_(file) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  bool locked = lock_until(file, kNextInLine, deadline);
  if (locked) {
    try {
      locked = lock_until(file, kWriting, deadline);
    } catch (...) {
      file.unlock(kNextInLine);
      throw;
    }
    file.unlock(kNextInLine);
  }
  if (locked) return;
  throw Failed{{ErrorCode::store_busy,
                fmt::format("the database of '{}' was busy for {} ms: another process or thread is writing and did not "
                            "finish; nothing was written, try again later",
                            file.path(), timeout.count())}};
}

WriteLock::~WriteLock() { file_.unlock(kWriting); }

}  // namespace workflows::storage::sqlite
