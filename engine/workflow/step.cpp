#include <workflows/step.h>

#include "engine/workflow/exceptions.h"
#include "engine/workflow/run.h"

namespace workflows {
namespace detail {
namespace {

Retries retries_of(const RetryOptions& retries) {
  return {.limit = retries.limit,
          .delay = retries.delay.fixed(),
          .dynamic_delay = retries.delay.function() != nullptr,
          .backoff = retries.backoff,
          .max_delay = retries.max_delay,
          .jitter = retries.jitter};
}

StepConfig config_of(const StepOptions& options) {
  return {.retries = retries_of(options.retries),
          .timeout = options.timeout,
          .heartbeat_timeout = options.heartbeat_timeout,
          .sensitive_output = options.sensitive == Sensitive::output};
}

std::optional<StepNode::Compensation> compensation_of(const std::optional<RollbackOptions>& options) {
  if (!options) return std::nullopt;
  return StepNode::Compensation{.config = {.step = {.retries = retries_of(options->retries),
                                                    .timeout = options->timeout,
                                                    .heartbeat_timeout = options->heartbeat_timeout},
                                           .continue_on_failure = options->on_failure == OnFailure::continue_},
                                .delay = options->retries.delay.function()};
}

}  // namespace

void throw_if_failed(const Operation::End& end) {
  if (const auto* failure = std::get_if<Failure>(&end)) throw_failure(*failure);
  if (const auto* error = std::get_if<Error>(&end)) throw_error(*error);
}

const std::string& value_of(const Operation::End& end) {
  throw_if_failed(end);
  return std::get<Value>(end).json;
}

StepNode::StepNode(Declaration declaration, bool with_context)
    : run(declaration.run),
      name(std::move(declaration.name)),
      config(config_of(declaration.options)),
      delay(declaration.options.retries.delay.function()),
      max_concurrency(declaration.options.max_concurrency),
      depends(std::move(declaration.depends)),
      place(declaration.place),
      rollback(compensation_of(declaration.rollback)),
      takes_context(with_context) {
  first.step = this;
}

void declare(StepNode& step) { step.run.declare(step); }

void StepCall::begin() { operation_ = &node_->run.call(*node_, own_); }
const std::string& StepCall::value() const { return value_of(operation_->end); }

bool begin_race(Run& run, Race& race) { return run.begin_race(race); }
std::size_t end_race(Run& run, Race& race) { return run.end_race(race); }

void Pause::begin() { run_->pause(operation_, std::move(request_), place_); }

}  // namespace detail

TimePoint Step::now(Place place) { return run_->now(place); }
double Step::random(Place place) { return run_->random(place); }
std::string Step::uuid4(Place place) { return run_->uuid4(place); }
bool Step::patched(std::string_view id, Place place) { return run_->patched(id, place); }
bool Step::replaying() const { return run_->replaying(); }
void Step::log(std::string_view message) const { run_->log(message); }

}  // namespace workflows
