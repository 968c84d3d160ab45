#pragma once
// How a step is compensated when the run fails, or is terminated with a rollback (S31).
//
//   auto charge = step.do_("charge card", [&] { return charge_card(order); },
//                          workflows::rollback([](const workflows::RollbackContext<Charge>& undo) {
//                            if (undo.output) refund(undo.output->id, undo.idempotency_key());
//                          }, {.retries = {.limit = 20}}));
//
// Every step that has begun is rolled back, in reverse order, one at a time, each once, also when the process dies
// midway. A step whose outcome is not known, because its last attempt was cut short, has no output: the function has to
// find out what happened.
//
// A rollback function captures by value. When it runs, the locals of the workflow function are gone.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <workflows/failure.h>
#include <workflows/step_context.h>
#include <workflows/step_options.h>
#include <workflows/time.h>

namespace workflows {

// A rollback that fails for good: leaves alone what is still to be rolled back, or goes on with it (S32).
enum class OnFailure : std::uint8_t { halt, continue_ };

struct RollbackOptions {
  RetryOptions retries{};
  Duration timeout = std::chrono::minutes(10);  // per attempt
  std::optional<Duration> heartbeat_timeout{};
  OnFailure on_failure = OnFailure::halt;
};

// What a rollback function is given. As a StepContext it speaks of the rollback: its attempt, its own idempotency key.
template <class R>
struct RollbackContext : StepContext {
  using Output = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

  RollbackContext(const StepContext& context, const Failure& why, std::optional<Output> result)
      : StepContext(context), error(why), output(std::move(result)) {}

  const Failure& error;  // of the run; a WorkflowTerminatedError if the instance is terminated
  std::optional<Output> output;
};

struct NoRollback {};

template <class Function>
struct Rollback {
  Function function;
  RollbackOptions options;
};

// `function` takes a const RollbackContext<R>&, R being what the step returns, or nothing. What it returns is ignored;
// when it throws, it is tried again, as a body is.
template <class Function>
Rollback<Function> rollback(Function function, RollbackOptions options = {}) {
  return {std::move(function), std::move(options)};
}

namespace detail {

template <class T>
inline constexpr bool kIsRollback = std::same_as<T, NoRollback>;
template <class Function>
inline constexpr bool kIsRollback<Rollback<Function>> = true;

template <class T>
concept MaybeRollback = kIsRollback<T>;

inline std::optional<RollbackOptions> plan_of(const NoRollback&) { return std::nullopt; }
template <class Function>
std::optional<RollbackOptions> plan_of(const Rollback<Function>& undo) {
  return undo.options;
}

}  // namespace detail
}  // namespace workflows
