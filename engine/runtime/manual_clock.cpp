#include <workflows/host.h>

#include <atomic>

namespace workflows {

struct ManualClock::State {
  std::atomic<std::int64_t> ms;
};

ManualClock::ManualClock(TimePoint start) : state_(std::make_unique<State>(start.time_since_epoch().count())) {}
ManualClock::~ManualClock() = default;

TimePoint ManualClock::now() const { return TimePoint(Millis(state_->ms.load())); }
void ManualClock::advance(Millis by) { state_->ms.fetch_add(by.count()); }
void ManualClock::set(TimePoint to) { state_->ms.store(to.time_since_epoch().count()); }

}  // namespace workflows
