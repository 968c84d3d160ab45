#pragma once
// What a body knows of its step.
//
//   auto import = step.do_("import", {.heartbeat_timeout = 30s}, [&](workflows::StepContext& context) {
//     for (auto row = context.last_heartbeat<int>().value_or(0); row < rows; ++row) {
//       import_row(row);
//       context.heartbeat(row + 1);  // an attempt after this one goes on there
//     }
//   });

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include <workflows/codec.h>
#include <workflows/config.h>

namespace workflows {

namespace detail {

struct AttemptFacts {
  std::string name{};
  std::uint32_t count = 1;
  std::uint32_t attempt = 1;
  StepConfig config{};
  std::string idempotency_key{};
  std::stop_token stop{};
  std::optional<std::string> last_heartbeat{};
  std::function<void(std::string)> heartbeat{};
};

}  // namespace detail

// Of one attempt; on the body's thread, and not after the body has returned.
class StepContext {
 public:
  explicit StepContext(detail::AttemptFacts facts) : facts_(std::move(facts)) {}

  const std::string& name() const noexcept { return facts_.name; }
  std::uint32_t count() const noexcept { return facts_.count; }      // the n-th step of this name in this run
  std::uint32_t attempt() const noexcept { return facts_.attempt; }  // 1-based
  const StepConfig& config() const noexcept { return facts_.config; }
  // The same for every attempt and replay of this step, different for every other.
  const std::string& idempotency_key() const noexcept { return facts_.idempotency_key; }
  // Stop is requested when nobody waits for the attempt any more: it has timed out, has lost a race, the instance has
  // ended or is rolled back, or the engine closes. The sooner the body ends, the better. What comes of it from then on
  // is recorded of the loser of a race alone; if the engine closed, the step runs again in its next life.
  const std::stop_token& stop_token() const noexcept { return facts_.stop; }
  bool cancelled() const noexcept { return facts_.stop.stop_requested(); }

  // A sign of life, with how far the body has come. As often as you like: most are not written. SerializationError.
  template <class T = std::nullptr_t>
  void heartbeat(const T& details = {}) const {
    facts_.heartbeat(to_json(details));
  }
  // What the attempt before this one said last. SerializationError: it is of another type.
  template <class T>
  std::optional<T> last_heartbeat() const {
    if (!facts_.last_heartbeat) return std::nullopt;
    return Codec<T>::decode(*facts_.last_heartbeat);
  }

 private:
  detail::AttemptFacts facts_;
};

}  // namespace workflows
