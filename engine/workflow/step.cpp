#include <workflows/step.h>

#include "engine/workflow/exceptions.h"
#include "engine/workflow/run.h"

namespace workflows {
namespace detail {
namespace {

StepConfig config_of(const StepOptions& options) {
  const RetryOptions& retries = options.retries;
  return {.retries = {.limit = retries.limit,
                      .delay = retries.delay.fixed(),
                      .dynamic_delay = retries.delay.function() != nullptr,
                      .backoff = retries.backoff,
                      .max_delay = retries.max_delay,
                      .jitter = retries.jitter},
          .timeout = options.timeout,
          .sensitive_output = options.sensitive == Sensitive::output};
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

StepNode::StepNode(Run& owner, std::string step_name, const StepOptions& options,
                   std::vector<std::shared_ptr<StepNode>> depends_on, bool with_context)
    : run(owner),
      name(std::move(step_name)),
      config(config_of(options)),
      delay(options.retries.delay.function()),
      max_concurrency(options.max_concurrency),
      depends(std::move(depends_on)),
      takes_context(with_context) {
  first.step = this;
}

void declare(StepNode& step) { step.run.declare(step); }

void StepCall::begin() { operation_ = &node_->run.call(*node_, own_); }
const std::string& StepCall::value() const { return value_of(operation_->end); }

void Pause::begin() { run_->pause(operation_, std::move(request_)); }

}  // namespace detail

bool Step::replaying() const { return run_->replaying(); }
void Step::log(std::string_view message) const { run_->log(message); }

}  // namespace workflows
