#pragma once
// Failures of steps and workflows as exceptions.

#include <concepts>
#include <exception>
#include <string>
#include <utility>

#include <workflows/error.h>
#include <workflows/failure.h>

namespace workflows {

// What a failed step or workflow throws carries the failure as it was recorded.
class FailureCarrier {
 public:
  explicit FailureCarrier(Failure failure) : failure_(std::move(failure)) {}
  virtual ~FailureCarrier() = default;
  const Failure& failure() const noexcept { return failure_; }

 private:
  Failure failure_;
};

// A class of error.h, thrown for a recorded failure.
template <std::derived_from<WorkflowsError> Base>
class Recorded : public Base, public FailureCarrier {
 public:
  Recorded(std::string message, Failure failure) : Base(std::move(message)), FailureCarrier(std::move(failure)) {}
};

// A failure of user code: failure() has the type, message and cause of what the body threw.
using StepFailure = Recorded<StepError>;

// The failure that `error` carries, or null.
inline const Failure* failure_of(const std::exception& error) noexcept {
  const auto* carrier = dynamic_cast<const FailureCarrier*>(&error);
  return carrier ? &carrier->failure() : nullptr;
}

}  // namespace workflows
