#include <workflows/engine.h>

#include <algorithm>

#include <fmt/format.h>

#include "engine/workflow/exceptions.h"
#include "engine/workflow/loop.h"

namespace workflows {

// ---------------------------------------------------------------- InstanceHandle

InstanceStatus InstanceHandle::status() const { return loop_->client().status(ref_.key); }
std::vector<StepInfo> InstanceHandle::steps() const { return loop_->client().steps(ref_.key); }

void InstanceHandle::send_json(std::string_view type, std::string payload, std::string_view event_id) const {
  loop_->send_event({.workflow = ref_.workflow,
                     .id = ref_.id,
                     .type = std::string(type),
                     .payload = std::move(payload),
                     .event_id = std::string(event_id)});
}

std::string InstanceHandle::output(std::optional<Duration> timeout) const {
  auto status = loop_->result(ref_.key, timeout ? std::optional(timeout->millis()) : std::nullopt);
  if (!status) {
    throw WaitTimeoutError(fmt::format("instance '{}' of '{}' has not finished within {} ms; it goes on", ref_.id,
                                       ref_.workflow, timeout->millis().count()));
  }
  if (status->status == Status::complete) return std::move(status->output);
  if (status->status == Status::terminated) {
    throw WorkflowTerminatedError(fmt::format("instance '{}' of '{}' was terminated", ref_.id, ref_.workflow));
  }
  Failure failure = status->failure.value_or(Failure{});
  std::string message =
      fmt::format("instance '{}' of '{}' failed: {}", ref_.id, ref_.workflow, detail::describe(failure));
  throw Recorded<WorkflowFailedError>(std::move(message), std::move(failure));
}

// ---------------------------------------------------------------- Engine

Engine::Engine(EngineOptions options) : options_(std::move(options)) {}
Engine::~Engine() { close(); }

void Engine::add_function(RegisteredWorkflow workflow, detail::WorkflowFunction function) {
  check_workflow_name(workflow.name);
  if (loop_) {
    throw InvalidConfigError(
        fmt::format("workflow '{}' was added to an engine that had started; add workflows before", workflow.name));
  }
  const auto same_name = [&](const auto& known) { return known.first.name == workflow.name; };
  if (std::ranges::any_of(workflows_, same_name)) {
    throw InvalidConfigError(fmt::format("workflow '{}' was added twice; names are unique", workflow.name));
  }
  workflows_.emplace_back(std::move(workflow), std::move(function));
}

void Engine::start() {
  if (loop_) throw InvalidConfigError("the engine was started twice; after close, make a new one");
  HostOptions options{.database = options_.database,
                      .durability = options_.durability,
                      .workflows = {},
                      .hibernate_after = options_.hibernate_after,
                      .lease = options_.lease,
                      .step_limit = options_.step_limit,
                      .payload_limit = options_.payload_limit,
                      .max_concurrent_instances = options_.max_concurrent_instances,
                      .clock = options_.clock};
  detail::Loop::Functions functions;
  for (const auto& [workflow, function] : workflows_) {
    options.workflows.push_back(workflow);
    functions.emplace(workflow.name, function);
  }
  loop_ = std::make_shared<detail::Loop>(std::move(options), std::move(functions), options_.pool_size);
  loop_->run();
}

detail::Loop& Engine::loop() const {
  if (!loop_) throw EngineClosedError("the engine has not been started; call start() first");
  return *loop_;
}

InstanceHandle Engine::create_json(std::string_view workflow, std::string params, CreateOptions options) {
  InstanceRef ref = loop().create({.workflow = std::string(workflow),
                                   .params = std::move(params),
                                   .id = std::move(options.id),
                                   .on_conflict = options.on_conflict});
  return {loop_, std::move(ref)};
}

InstanceHandle Engine::get(std::string_view workflow, std::string_view id) {
  return {loop_, client().get(std::string(workflow), std::string(id))};
}

bool Engine::exists(std::string_view workflow, std::string_view id) {
  return client().exists(std::string(workflow), std::string(id));
}

std::vector<InstanceInfo> Engine::list(const ListQuery& query) { return client().list(query); }
Client& Engine::client() { return loop().client(); }
Host::Counters Engine::counters() { return loop().counters(); }
void Engine::clock_moved() { loop().clock_moved(); }

void Engine::close() {
  if (loop_) loop_->close();
}

}  // namespace workflows
