#include "engine/runtime/wakeup.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include <workflows/error.h>

namespace workflows::runtime {
namespace {

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

Wakeup::Wakeup()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      timer_(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (epoll_ < 0 || event_ < 0 || timer_ < 0) {
    const std::string reason = std::generic_category().message(errno);
    for (const int fd : {epoll_, event_, timer_}) {
      if (fd >= 0) ::close(fd);
    }
    throw StoreError("the engine could not get the file descriptors for its loop: " + reason +
                     "; raise the limit of open files (ulimit -n)");
  }
  watch(epoll_, event_);
  watch(epoll_, timer_);
}

Wakeup::~Wakeup() {
  for (const int fd : {epoll_, event_, timer_}) ::close(fd);
}

void Wakeup::signal() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(event_, &one, sizeof one);  // full: it is readable already
  signalled_.store(true, std::memory_order_release);
}

// A timer that is armed too early only wakes once in vain, which is cheaper than a system call for each change.
void Wakeup::at(std::optional<TimePoint> at) noexcept {
  if (!at || (armed_ && *armed_ <= *at)) return;
  armed_ = at;
  const auto since_epoch = at->time_since_epoch().count();
  itimerspec spec{};
  spec.it_value.tv_sec = since_epoch / 1000;
  spec.it_value.tv_nsec = since_epoch % 1000 * 1'000'000;
  if (spec.it_value.tv_sec <= 0) spec.it_value = {0, 1};  // zero would disarm
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Wakeup::clear(TimePoint now) noexcept {
  std::uint64_t count = 0;
  if (signalled_.exchange(false, std::memory_order_acquire)) {
    [[maybe_unused]] const auto bytes = ::read(event_, &count, sizeof count);
  }
  if (armed_ && *armed_ <= now) {
    [[maybe_unused]] const auto bytes = ::read(timer_, &count, sizeof count);
    armed_.reset();
  }
}

}  // namespace workflows::runtime
