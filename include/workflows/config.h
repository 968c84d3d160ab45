#pragma once
// How a step runs: retries, timeout, secrecy (S9). A plain value with the defaults of the contract.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <workflows/time.h>

namespace workflows {

enum class Backoff : std::uint8_t { constant, linear, exponential };

struct Retries {
  std::uint32_t limit = 5;  // attempts = limit + 1
  Duration delay = std::chrono::seconds(1);
  bool dynamic_delay = false;  // the host computes each delay (a callable in user code, S11)
  Backoff backoff = Backoff::exponential;
  Duration max_delay = std::chrono::hours(1);
  double jitter = 0;  // 0..1, share of the delay that is random

  bool operator==(const Retries&) const = default;
};

struct StepConfig {
  Retries retries{};
  Duration timeout = std::chrono::minutes(10);  // of an attempt, from the beginning of its body
  std::optional<Duration> heartbeat_timeout{};  // the attempt fails when its body gives no sign of life for so long
  bool sensitive_output = false;                // operators see [REDACTED] (S17)

  bool operator==(const StepConfig&) const = default;

  // InvalidConfigError that names the field whose value is out of range: limit 4294967295, a duration that is negative
  // or longer than ten years, jitter outside 0..1, a timeout of zero.
  void check() const;

  // Only what differs from the defaults, as a JSON object; "" when nothing does. Durations in milliseconds.
  std::string to_json() const;
  // Strict: an unknown key or a value out of range throws InvalidConfigError that names it. Durations: S19 text or a
  // number of milliseconds as to_json writes it.
  static StepConfig from_json(std::string_view json);
};

// How a step is compensated (S31, S32).
struct RollbackConfig {
  StepConfig step{};
  bool continue_on_failure = false;  // a rollback that fails for good does not stop those that are left

  bool operator==(const RollbackConfig&) const = default;
};

}  // namespace workflows
