#pragma once
// Timers in one heap: any number of them, none costs a thread or a system call. Not thread-safe.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <workflows/time.h>

namespace workflows::runtime {

// Names one arming of a timer. Never valid again once that timer was popped or disarmed, so keeping it is harmless.
// The default value names none.
struct TimerId {
  std::uint32_t slot = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t generation = 0;

  bool operator==(const TimerId&) const = default;
};

// Costs 24 bytes a timer beside the payload. arm, disarm and pop_due take O(log n).
template <class Payload>
class Timers {
 public:
  TimerId arm(TimePoint at, Payload payload) {
    const std::uint32_t slot = take_slot();
    slots_[slot].payload = std::move(payload);
    heap_.push_back({at, armed_++, slot});
    rise(heap_.size() - 1);
    return {slot, slots_[slot].generation};
  }

  // False when the timer is gone already.
  bool disarm(TimerId id) {
    if (id.slot >= slots_.size() || slots_[id.slot].generation != id.generation) return false;
    remove(slots_[id.slot].place);
    return true;
  }

  // When the next timer is due.
  std::optional<TimePoint> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().at;
  }

  // Takes one timer that is due: the earliest, and among equals the one armed first.
  std::optional<Payload> pop_due(TimePoint now) {
    if (heap_.empty() || heap_.front().at > now) return std::nullopt;
    std::optional<Payload> payload(std::move(slots_[heap_.front().slot].payload));
    remove(0);
    return payload;
  }

  std::size_t size() const { return heap_.size(); }

 private:
  struct Armed {
    TimePoint at;
    std::uint32_t order;  // of arming; after four billion it starts again, and only the order among equals suffers
    std::uint32_t slot;

    bool operator<(const Armed& other) const { return at != other.at ? at < other.at : order < other.order; }
  };
  struct Slot {
    Payload payload{};
    std::uint32_t place = 0;  // in heap_; of a free slot: the next free one
    std::uint32_t generation = 0;
  };
  static_assert(sizeof(Armed) == 16);

  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t take_slot() {
    if (free_ == kNone) {
      slots_.emplace_back();
      return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    return std::exchange(free_, slots_[free_].place);
  }

  void give_back(std::uint32_t slot) {
    slots_[slot].payload = Payload{};
    ++slots_[slot].generation;
    slots_[slot].place = std::exchange(free_, slot);
  }

  void remove(std::size_t place) {
    give_back(heap_[place].slot);
    const Armed last = heap_.back();
    heap_.pop_back();
    if (place == heap_.size()) return;
    put(place, last);
    sink(place);
    rise(place);
  }

  void put(std::size_t place, const Armed& armed) {
    heap_[place] = armed;
    slots_[armed.slot].place = static_cast<std::uint32_t>(place);
  }

  void rise(std::size_t place) {
    const Armed armed = heap_[place];
    while (place > 0 && armed < heap_[(place - 1) / 2]) {
      put(place, heap_[(place - 1) / 2]);
      place = (place - 1) / 2;
    }
    put(place, armed);
  }

  void sink(std::size_t place) {
    const Armed armed = heap_[place];
    for (std::size_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
      if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
      if (!(heap_[child] < armed)) break;
      put(place, heap_[child]);
      place = child;
    }
    put(place, armed);
  }

  std::vector<Armed> heap_;
  std::vector<Slot> slots_;
  std::uint32_t free_ = kNone;
  std::uint32_t armed_ = 0;
};

}  // namespace workflows::runtime
