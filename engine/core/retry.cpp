#include "engine/core/retry.h"

#include <algorithm>

namespace workflows::core {
namespace {

// value * factor, at most `limit`. Requires: all >= 0.
std::int64_t times_at_most(std::int64_t value, std::int64_t factor, std::int64_t limit) {
  if (factor != 0 && value > limit / factor) return limit;
  return value * factor;
}

std::int64_t backoff_factor(Backoff backoff, std::uint32_t failed_attempt) {
  constexpr std::uint32_t kMaxShift = 62;
  switch (backoff) {
    case Backoff::constant:
      return 1;
    case Backoff::linear:
      return failed_attempt;
    case Backoff::exponential:
      return std::int64_t{1} << std::min(std::max(failed_attempt, 1u) - 1, kMaxShift);
  }
  return 1;
}

}  // namespace

Millis retry_delay(const Retries& retries, std::uint32_t failed_attempt, double random01) {
  const std::int64_t base = std::max<std::int64_t>(retries.delay.millis().count(), 0);
  const std::int64_t limit = std::max<std::int64_t>(retries.max_delay.millis().count(), 0);
  const std::int64_t delay = times_at_most(base, backoff_factor(retries.backoff, failed_attempt), limit);
  const double open_share = std::clamp(retries.jitter, 0.0, 1.0) * std::clamp(random01, 0.0, 1.0);
  const auto taken_off = static_cast<std::int64_t>(static_cast<double>(delay) * open_share);
  return Millis(std::max<std::int64_t>(delay - taken_off, 0));
}

}  // namespace workflows::core
