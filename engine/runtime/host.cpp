#include <workflows/host.h>

#include <utility>

#include "engine/runtime/host_access.h"
#include "engine/runtime/runtime.h"

namespace workflows {
namespace {

template <class T>
T value_of(std::expected<T, Error> result) {
  if (!result) throw_error(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace

Host::Host(HostOptions options) : Host(std::make_unique<Runtime>(std::move(options))) {}
Host::Host(std::unique_ptr<Runtime> runtime) : runtime_(std::move(runtime)) {}
Host::~Host() {
  close();
  // In a fork, threads, locks and SQLite's connections are the parent's: touching them would harm it.
  if (runtime_->forked()) static_cast<void>(runtime_.release());
}

int Host::fd() const noexcept { return runtime_->wakeup_.fd(); }
bool Host::signalled() const noexcept { return runtime_->wakeup_.signalled(); }
std::vector<Action> Host::poll(std::vector<Action> room) { return runtime_->poll(std::move(room)); }
void Host::clock_moved() { runtime_->wakeup_.signal(); }
void Host::close() { runtime_->close(); }

// ---------------------------------------------------------------- steps

Asked Host::do_(InstanceKey instance, DoRequest request) {
  return runtime_->whole([&] {
    return runtime_->answer(instance, runtime_->asked(instance).machine.do_(std::move(request), runtime_->now()));
  });
}

Asked Host::do_failed(InstanceKey instance, DoRequest request, Failure failure) {
  return runtime_->whole([&] {
    auto& machine = runtime_->asked(instance).machine;
    return runtime_->answer(instance, machine.do_failed(std::move(request), std::move(failure), runtime_->now()));
  });
}

Asked Host::sleep(InstanceKey instance, SleepRequest request) {
  return runtime_->whole([&] {
    return runtime_->answer(instance, runtime_->asked(instance).machine.sleep(std::move(request), runtime_->now()));
  });
}

Asked Host::wait_for_event(InstanceKey instance, WaitRequest request) {
  return runtime_->whole([&] {
    return runtime_->answer(instance, runtime_->asked(instance).machine.wait(std::move(request), runtime_->now()));
  });
}

Value Host::value(InstanceKey instance, ValueRequest request) {
  return runtime_->whole(
      [&] { return value_of(runtime_->asked(instance).machine.value(std::move(request), runtime_->now())); });
}

bool Host::patched(InstanceKey instance, const std::string& id, Source source) {
  return runtime_->whole(
      [&] { return value_of(runtime_->asked(instance).machine.patched(id, source, runtime_->now())); });
}

void Host::abandon(InstanceKey instance, Ticket ticket) {
  runtime_->whole([&] {
    if (auto* slot = runtime_->reported(instance)) slot->machine.abandon(ticket, runtime_->now());
  });
}

void Host::body_finished(InstanceKey instance, Ticket ticket, std::uint32_t attempt, BodyOutcome outcome) {
  runtime_->whole([&] {
    runtime_->bodies_.ended({instance, ticket, attempt});
    if (auto* slot = runtime_->reported(instance))
      slot->machine.body_finished(ticket, attempt, std::move(outcome), runtime_->now());
  });
}

void Host::attempt_due(InstanceKey instance, Ticket ticket, std::uint32_t attempt, std::optional<TimePoint> began) {
  runtime_->whole([&] {
    if (auto* slot = runtime_->reported(instance)) slot->machine.attempt_due(ticket, attempt, began, runtime_->now());
  });
}

void Host::delay_chosen(InstanceKey instance, Ticket ticket, std::uint32_t attempt,
                        std::variant<Duration, Failure> delay) {
  runtime_->whole([&] {
    auto* slot = runtime_->reported(instance);
    if (slot == nullptr) return;
    std::variant<Millis, Failure> chosen = Millis::zero();
    if (auto* failure = std::get_if<Failure>(&delay)) {
      chosen = std::move(*failure);
    } else {
      chosen = std::get<Duration>(delay).millis();
    }
    slot->machine.delay_chosen(ticket, attempt, std::move(chosen), runtime_->now());
  });
}

void Host::heartbeat(InstanceKey instance, Ticket ticket, std::uint32_t attempt, Value details) {
  runtime_->whole([&] {
    if (auto* slot = runtime_->reported(instance))
      slot->machine.heartbeat(ticket, attempt, std::move(details), runtime_->now());
  });
}

std::optional<Value> Host::last_heartbeat(InstanceKey instance, Ticket ticket) const {
  return runtime_->loaded(instance).machine.last_heartbeat(ticket);
}

void Host::finish(InstanceKey instance, BodyOutcome outcome) {
  runtime_->whole([&] {
    if (auto* slot = runtime_->reported(instance)) slot->machine.finish(std::move(outcome), runtime_->now());
  });
}

void Host::evicted(InstanceKey instance) {
  runtime_->whole([&] { runtime_->evicted(instance); });
}

void Host::goes_on(InstanceKey instance) {
  runtime_->whole([&] { runtime_->goes_on(instance); });
}

bool Host::keep(InstanceKey instance, std::optional<Millis> own_timer) {
  return runtime_->whole([&] { return runtime_->keep(instance, own_timer); });
}

bool Host::release_stalled(InstanceKey instance) {
  return runtime_->whole([&] {
    auto* slot = runtime_->reported(instance);
    return slot != nullptr && slot->machine.release_stalled(runtime_->now());
  });
}

bool Host::replaying(InstanceKey instance) const {
  const auto found = runtime_->slots_.find(instance);  // its end may be among the actions that are being carried out
  return found != runtime_->slots_.end() && found->second->machine.replaying();
}

StepConfig Host::step_config(InstanceKey instance, Ticket ticket) const {
  return runtime_->loaded(instance).machine.config(ticket);
}

std::string Host::idempotency_key(InstanceKey instance, Ticket ticket) const {
  return runtime_->loaded(instance).machine.idempotency_key(ticket);
}

std::uint32_t Host::occurrence(InstanceKey instance, Ticket ticket) const {
  return runtime_->loaded(instance).machine.occurrence(ticket);
}

// ---------------------------------------------------------------- graph

NodeId Host::declare(InstanceKey instance, const std::string& name) {
  check_step_name(name);
  return runtime_->whole([&] { return runtime_->asked(instance).graph.declare(name); });
}

void Host::connect(InstanceKey instance, NodeId node, const std::vector<NodeId>& depends) {
  runtime_->whole([&] { value_of(runtime_->asked(instance).graph.connect(node, depends)); });
}

NodeId Host::call_node(InstanceKey instance, NodeId node, std::uint32_t max_concurrency, bool fresh) {
  return runtime_->whole([&] {
    auto& slot = runtime_->asked(instance);
    const NodeId called = value_of(slot.graph.call(node, max_concurrency, fresh));
    runtime_->start_ready_nodes(slot);
    return called;
  });
}

void Host::node_finished(InstanceKey instance, NodeId node, bool ok) {
  runtime_->whole([&] {
    auto* slot = runtime_->reported(instance);
    if (slot == nullptr) return;
    slot->graph.finished(node, ok);
    runtime_->start_ready_nodes(*slot);
  });
}

// ---------------------------------------------------------------- calls

CallId Host::create(CreateRequest request) { return runtime_->create(std::move(request)); }
CallId Host::send_event(SendEventRequest request) { return runtime_->send_event(std::move(request)); }

CallId Host::watch(InstanceKey instance) {
  runtime_->check_usable();
  const CallId call = ++runtime_->last_call_;
  runtime_->writer_->watch(call, instance);
  return call;
}

CallId Host::create_batch(std::vector<CreateRequest> requests) { return runtime_->create_batch(std::move(requests)); }
CallId Host::replay(InstanceHistory history) {
  return runtime_->whole([&] { return runtime_->replay(std::move(history)); });
}
void Host::look() { runtime_->writer_->look(); }

TimePoint Host::now() const { return runtime_->now(); }

Client& Host::client() { return runtime_->client_; }

Host::Counters Host::counters() const {
  const auto store = runtime_->writer_->store_counters();
  return {.transactions = store.transactions,
          .statements = store.statements,
          .loads = runtime_->writer_->loads(),
          .wakeups = runtime_->mailbox_.wakeups(),
          .loaded_instances = runtime_->slots_.size(),
          .hibernated_instances = runtime_->hibernated_};
}

// ---------------------------------------------------------------- simulated

std::unique_ptr<Host> HostAccess::open(HostOptions options, std::shared_ptr<storage::Database> database,
                                       runtime::SteadyClock steady) {
  auto runtime = std::make_unique<Host::Runtime>(std::move(options), std::move(database), std::move(steady));
  return std::unique_ptr<Host>(new Host(std::move(runtime)));
}

void HostAccess::write(Host& host) { host.runtime_->writer_->round(); }

}  // namespace workflows
