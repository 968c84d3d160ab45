#include <workflows/engine.h>

#include <algorithm>

#include <fmt/format.h>

#include "engine/workflow/exceptions.h"
#include "engine/workflow/loop.h"

namespace workflows {

// ---------------------------------------------------------------- InstanceHandle

namespace {

// Of the newest generation.
InstanceKey key_of(Client& client, const InstanceRef& ref) { return client.get(ref.workflow, ref.id).key; }

}  // namespace

InstanceStatus InstanceHandle::status() const {
  Client& client = loop_->client();
  return client.status(key_of(client, ref_));
}

std::vector<StepInfo> InstanceHandle::steps() const {
  Client& client = loop_->client();
  return client.steps(key_of(client, ref_));
}

Subscription InstanceHandle::subscribe(std::int64_t after) const {
  std::shared_ptr<Client> client(loop_, &loop_->client());
  const InstanceKey key = key_of(*client, ref_);
  return {std::move(client), key, after};
}

void InstanceHandle::pause() const {
  loop_->change([this](Client& client) { client.pause(ref_.workflow, ref_.id); });
}

void InstanceHandle::resume() const {
  loop_->change([this](Client& client) { client.resume(ref_.workflow, ref_.id); });
}

void InstanceHandle::terminate(TerminateOptions options) const {
  loop_->change([&](Client& client) { client.terminate(ref_.workflow, ref_.id, options.rollback); });
}

std::vector<StepInfo> InstanceHandle::restart(const RestartFrom& from) const {
  const RestartRequest request{
      .workflow = ref_.workflow, .id = ref_.id, .from_step = from.from_step, .count = from.count, .kind = from.kind};
  return loop_->change([&](Client& client) { return client.restart(request).kept; });
}

void InstanceHandle::remove() const {
  loop_->change([this](Client& client) { client.remove(ref_.workflow, ref_.id); });
}

void InstanceHandle::send_json(std::string_view type, std::string payload, std::string_view event_id) const {
  loop_->send_event({.workflow = ref_.workflow,
                     .id = ref_.id,
                     .type = std::string(type),
                     .payload = std::move(payload),
                     .event_id = std::string(event_id)});
}

// Waits for the newest generation, even if the one that this handle was made for is not kept any more.
std::optional<InstanceStatus> InstanceHandle::end(std::optional<Duration> timeout) const {
  const auto limit = timeout ? std::optional(timeout->millis()) : std::nullopt;
  try {
    return loop_->result(ref_.key, limit);
  } catch (const InstanceNotFoundError&) { return loop_->result(key_of(loop_->client(), ref_), limit); }
}

std::string InstanceHandle::output(std::optional<Duration> timeout) const {
  auto status = end(timeout);
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
                                   .on_conflict = options.on_conflict,
                                   .retention = options.retention});
  return {loop_, std::move(ref)};
}

std::vector<Created> Engine::create_requested(std::vector<CreateRequest> requests) {
  std::vector<Created> created;
  created.reserve(requests.size());
  for (auto& outcome : loop().create_batch(std::move(requests))) {
    if (auto* ref = std::get_if<InstanceRef>(&outcome)) {
      created.emplace_back(InstanceHandle(loop_, std::move(*ref)));
    } else {
      created.emplace_back(std::get<Error>(std::move(outcome)));
    }
  }
  return created;
}

std::vector<std::optional<Error>> Engine::remove_batch(std::string_view workflow, const std::vector<std::string>& ids) {
  return loop().change([&](Client& client) { return client.remove_batch(std::string(workflow), ids); });
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
