#pragma once
// A failure of user code, as data: recorded, replayed, shown. Never an engine error (error.h).

#include <memory>
#include <string>
#include <string_view>

namespace workflows {

// On disk a failure is one JSON object; unknown keys are kept by readers that copy it. Keys, absent when empty:
//   "type"       name of the class: "builtins.ValueError", "shop.CardDeclined", "std::runtime_error", or, for failures
//                made by the engine, the bare class of error.h ("StepTimeoutError") or "ProcessLost"
//   "message"    text for people
//   "retryable"  false when the failure forbids further attempts
//   "traceback"  text for people
//   "cause"      another failure
//   "data"       what the host needs to rebuild the exception (Python: arguments and attributes, encoded like values)
struct Failure {
  std::string type{};
  std::string message{};
  bool retryable = true;
  std::string traceback{};
  std::shared_ptr<const Failure> cause{};
  std::string data{};  // JSON text, opaque to the engine

  std::string to_json() const;
  // Never throws: text that is not a failure object comes back as a StepError whose message quotes it.
  static Failure from_json(std::string_view json);
};

inline constexpr std::string_view kProcessLost = "ProcessLost";

}  // namespace workflows
