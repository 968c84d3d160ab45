#pragma once
// Time and durations. The engine counts whole milliseconds of UTC; a deadline is a TimePoint.

#include <chrono>
#include <concepts>
#include <string>
#include <string_view>

namespace workflows {

using Millis = std::chrono::milliseconds;
using TimePoint = std::chrono::sys_time<Millis>;

// Where the engine gets its time from. `now` is called from several threads.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
};

// S19: "30 minutes", "1h30m", "1.5 days". Throws InvalidDurationError that shows the accepted forms.
Millis parse_duration(std::string_view text);

// The longest sleep, wait or delay (S18): ten years of 365.25 days.
inline constexpr Millis kMaxDuration = std::chrono::hours(24) * 36525 / 10;

// A duration given as a chrono duration or as text; fractions of a millisecond round up. What is far longer than
// kMaxDuration counts as twice as long, and is refused wherever it is given. Trivially destructible, so it
// may stand inside a co_await expression (pitfalls of g++ 12).
class Duration {
 public:
  template <class Rep, class Period>
  constexpr Duration(std::chrono::duration<Rep, Period> value) : value_(rounded(value)) {}
  template <std::convertible_to<std::string_view> Text>
  Duration(const Text& text) : value_(parse_duration(text)) {}

  constexpr Millis millis() const { return value_; }
  bool operator==(const Duration&) const = default;

 private:
  // Compared as floating point, for as milliseconds a far longer one would overflow.
  template <class Rep, class Period>
  static constexpr Millis rounded(std::chrono::duration<Rep, Period> value) {
    const std::chrono::duration<double> about = value;
    if (about < -2 * kMaxDuration) return -2 * kMaxDuration;
    return about < 2 * kMaxDuration ? std::chrono::ceil<Millis>(value) : 2 * kMaxDuration;
  }

  Millis value_;
};

}  // namespace workflows
