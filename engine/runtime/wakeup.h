#pragma once
// One file descriptor that becomes readable when another thread signals or when a point in time has come; a loop of any
// language can watch it.

#include <workflows/time.h>

#include <atomic>
#include <optional>

namespace workflows::runtime {

class Wakeup {
 public:
  // Throws StoreError when the system has no descriptors left.
  Wakeup();
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  int fd() const noexcept { return epoll_; }
  // Any thread.
  void signal() noexcept;
  // Since the last `clear`.
  bool signalled() const noexcept { return signalled_.load(std::memory_order_relaxed); }
  // Readable at `at` by the system's clock, or earlier; nothing: no timer is needed. Owner's thread.
  void at(std::optional<TimePoint> at) noexcept;
  // Not readable until the next signal or time after `now`. Owner's thread; costs nothing when there was neither.
  void clear(TimePoint now) noexcept;

 private:
  int epoll_ = -1;
  int event_ = -1;
  int timer_ = -1;
  std::atomic<bool> signalled_ = false;  // set after the descriptor was written, so that clear never misses a write
  std::optional<TimePoint> armed_;
};

}  // namespace workflows::runtime
