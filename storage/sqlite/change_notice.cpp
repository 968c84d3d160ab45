#include "storage/sqlite/change_notice.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>

namespace workflows::storage::sqlite {

ChangeNotice::ChangeNotice(const std::string& file) : fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  if (fd_ < 0 || inotify_add_watch(fd_, file.c_str(), IN_MODIFY) >= 0) return;
  ::close(fd_);
  fd_ = -1;
}

ChangeNotice::~ChangeNotice() {
  if (fd_ >= 0) ::close(fd_);
}

void ChangeNotice::clear() {
  std::array<char, 4096> events;  // equal ones that follow each other are one
  while (fd_ >= 0 && ::read(fd_, events.data(), events.size()) == static_cast<ssize_t>(events.size())) {}
}

}  // namespace workflows::storage::sqlite
