#pragma once
// Errors of the engine itself. (A failure of user code is data: failure.h.)
//
// Inside the library an error is a value, `Error`; at the C++ and Python API it is thrown as the exception class of its
// code. WORKFLOWS_ERRORS is the one table: code -> C++ class, Python class of the same name, exit code of the CLI.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace workflows {

// X(code, exception class, CLI exit code). The code's spelling is public: Python's `.code`, JSON output, logs.
#define WORKFLOWS_ERRORS(X)                           \
  X(instance_not_found, InstanceNotFoundError, 3)     \
  X(instance_exists, InstanceExistsError, 4)          \
  X(instance_finished, InstanceFinishedError, 5)      \
  X(invalid_transition, InvalidTransitionError, 5)    \
  X(invalid_name, InvalidNameError, 2)                \
  X(invalid_config, InvalidConfigError, 2)            \
  X(invalid_duration, InvalidDurationError, 2)        \
  X(step_failed, StepError, 10)                       \
  X(step_timeout, StepTimeoutError, 10)               \
  X(wait_timeout, WaitTimeoutError, 10)               \
  X(non_retryable, NonRetryableError, 10)             \
  X(serialization, SerializationError, 11)            \
  X(payload_too_large, PayloadTooLargeError, 11)      \
  X(step_limit, StepLimitError, 11)                   \
  X(divergence, DivergenceError, 12)                  \
  X(dependency, DependencyError, 11)                  \
  X(workflow_failed, WorkflowFailedError, 10)         \
  X(workflow_terminated, WorkflowTerminatedError, 13) \
  X(store, StoreError, 20)                            \
  X(store_busy, StoreBusyError, 21)                   \
  X(store_corrupt, StoreCorruptError, 22)             \
  X(store_version, StoreVersionError, 23)             \
  X(engine_closed, EngineClosedError, 24)             \
  X(wrong_loop, WrongLoopError, 25)                   \
  X(forked, ForkedError, 25)

enum class ErrorCode : std::uint8_t {
#define X(code, type, exit_code) code,
  WORKFLOWS_ERRORS(X)
#undef X
};

// The code as users see it: "instance_not_found".
std::string_view to_string(ErrorCode code) noexcept;
int exit_code(ErrorCode code) noexcept;

// `message` names what was given, what was found, what is accepted and what to do next.
struct Error {
  ErrorCode code{};
  std::string message;

  bool operator==(const Error&) const = default;
};

// Base of everything that the library throws.
class WorkflowsError : public std::runtime_error {
 public:
  explicit WorkflowsError(const Error& error) : std::runtime_error(error.message), code_(error.code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

#define X(code_name, type, exit_code)                                                             \
  class type : public WorkflowsError {                                                            \
   public:                                                                                        \
    explicit type(std::string message) : type(Error{ErrorCode::code_name, std::move(message)}) {} \
    explicit type(const Error& error) : WorkflowsError(error) {}                                  \
  };
WORKFLOWS_ERRORS(X)
#undef X

// Throws the exception class that belongs to `error.code`.
[[noreturn]] void throw_error(const Error& error);

}  // namespace workflows
