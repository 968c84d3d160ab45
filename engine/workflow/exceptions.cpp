#include "engine/workflow/exceptions.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include <workflows/step.h>

#include "engine/workflow/type_name.h"

namespace workflows::detail {
namespace {

struct ErrorClass {
  const std::type_info& type;
  std::string_view name;
  void (*raise)(std::string message, const Failure& failure);
};

template <class Class>
[[noreturn]] void raise(std::string message, const Failure& failure) {
  throw Recorded<Class>(std::move(message), failure);
}

const auto kErrorClasses = std::to_array<ErrorClass>({
#define X(code, type, exit_code) {typeid(type), #type, raise<type>},
    WORKFLOWS_ERRORS(X)
#undef X
});

// The classes of error.h go by their bare names, in every language.
std::string name_of(const std::type_info& type) {
  for (const ErrorClass& known : kErrorClasses) {
    if (known.type == type) return std::string(known.name);
  }
  return type_name(type);
}

Failure from_exception(const std::exception& thrown) {
  if (const Failure* recorded = failure_of(thrown)) return *recorded;
  Failure failure;
  failure.type = name_of(typeid(thrown));
  failure.message = thrown.what();
  failure.retryable = dynamic_cast<const NonRetryableError*>(&thrown) == nullptr &&
                      dynamic_cast<const SerializationError*>(&thrown) == nullptr;
  try {
    std::rethrow_if_nested(thrown);
  } catch (...) { failure.cause = std::make_shared<const Failure>(to_failure(std::current_exception())); }
  return failure;
}

}  // namespace

Failure to_failure(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(std::move(thrown));
  } catch (const std::exception& error) { return from_exception(error); } catch (...) {
    Failure failure;
    failure.type = "unknown";
    failure.message = "something was thrown that is not a std::exception; throw a class derived from it to say more";
    return failure;
  }
}

void throw_failure(const Failure& failure) {
  for (const ErrorClass& known : kErrorClasses) {
    if (known.name == failure.type) known.raise(failure.message, failure);
  }
  raise<StepError>(describe(failure), failure);
}

std::string describe(const Failure& failure) { return fmt::format("{}: {}", failure.type, failure.message); }

bool is_fatal(ErrorCode code) noexcept { return code >= ErrorCode::store; }

}  // namespace workflows::detail
