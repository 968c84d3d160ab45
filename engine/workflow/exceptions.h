#pragma once
// Between exceptions of C++ code and recorded failures.

#include <exception>
#include <string>

#include <workflows/error.h>
#include <workflows/failure.h>

namespace workflows::detail {

// A failure as it is recorded: type, message, cause (nested exceptions), whether another attempt makes sense.
Failure to_failure(std::exception_ptr thrown);

// Throws what `failure` was: the class of error.h if it is one of them, else StepFailure.
[[noreturn]] void throw_failure(const Failure& failure);

// "StepTimeoutError: attempt 1 of ..."
std::string describe(const Failure& failure);

// The engine cannot go on; workflow code is not to hear of it, for it will be resumed elsewhere.
bool is_fatal(ErrorCode code) noexcept;

}  // namespace workflows::detail
