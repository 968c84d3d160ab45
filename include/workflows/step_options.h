#pragma once
// How a step runs: retries, timeouts, secrecy.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include <workflows/config.h>
#include <workflows/failure.h>
#include <workflows/time.h>

namespace workflows {

// A fixed delay, or a function of the attempt that failed (1-based) and its failure. What the function returns is used
// as it is, without backoff; it runs on a thread of the pool and has five seconds (S11).
class RetryDelay {
 public:
  using Function = std::function<Duration(std::uint32_t attempt, const Failure& failure)>;

  template <class T>
    requires std::convertible_to<T, Duration>
  RetryDelay(T fixed) : fixed_(fixed) {}
  template <class F>
    requires std::is_invocable_r_v<Duration, F&, std::uint32_t, const Failure&>
  RetryDelay(F function) : function_(std::move(function)) {}

  Duration fixed() const noexcept { return fixed_; }
  const Function& function() const noexcept { return function_; }

 private:
  Duration fixed_ = std::chrono::seconds(1);
  Function function_;
};

struct RetryOptions {
  std::uint32_t limit = 5;  // attempts = limit + 1
  RetryDelay delay = std::chrono::seconds(1);
  Backoff backoff = Backoff::exponential;
  Duration max_delay = std::chrono::hours(1);
  double jitter = 0;  // 0..1, share of the delay that is random
};

enum class Sensitive : std::uint8_t { nothing, output };

struct StepOptions {
  RetryOptions retries{};
  Duration timeout = std::chrono::minutes(10);  // per attempt
  // An attempt also fails when its body lets no heartbeat hear (StepContext) for so long.
  std::optional<Duration> heartbeat_timeout{};
  Sensitive sensitive = Sensitive::nothing;  // output: operators see [REDACTED]
  std::uint32_t max_concurrency = 0;         // of the steps that awaiting this one runs; 0: no bound
};

// Trivially destructible, so that it may stand inside a co_await expression.
struct WaitOptions {
  std::optional<Duration> timeout = Duration(std::chrono::hours(24));  // nullopt: for ever; zero: only look
};

}  // namespace workflows
