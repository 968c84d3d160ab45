#include "engine/runtime/runtime.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/runtime/client_access.h"
#include "engine/runtime/fork_count.h"
#include "engine/runtime/refusal.h"
#include "engine/testing/planted_bug.h"
#include "engine/values/prefetch.h"
#include "storage/lifecycle.h"

namespace workflows {
namespace {

// An instance that runs for longer than this after its wake time is worth a record of that.
constexpr Millis kAwakened{20};
// A turn of the loop takes no more outcomes than this: what is touched for them stays in the cache for all the turn.
constexpr std::size_t kHandledAtOnce = 128;
// So many entries are handed over at once, even if more are about to come: so the code of some instances runs while the
// entries of others are written.
constexpr std::size_t kHandedOverAtOnce = 256;
// Of those that are lent to instances: what the instances of a turn need, and no more.
constexpr std::size_t kRooms = kHandledAtOnce;
constexpr std::size_t kEffectsInRoom = 8;

class SystemClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::floor<Millis>(std::chrono::system_clock::now()); }
};

template <class T>
T value_of(std::expected<T, Error> result) {
  if (!result) throw_error(result.error());
  return std::move(*result);
}

HostOptions checked_options(HostOptions options) {
  for (const RegisteredWorkflow& workflow : options.workflows) check_workflow_name(workflow.name);
  if (options.lease.millis() < std::chrono::seconds(1)) {
    throw InvalidConfigError("lease is " + std::to_string(options.lease.millis().count()) +
                             " ms; give at least 1 second, or a busy machine would lose its instances");
  }
  if (options.hibernate_after.millis() < Millis::zero())
    throw InvalidConfigError("hibernate_after is negative; give 0 or more");
  return options;
}

std::shared_ptr<storage::Database> open(const HostOptions& options) {
  return value_of(storage::open_database({.location = options.database, .durability = options.durability}));
}

}  // namespace

Host::Runtime::Runtime(HostOptions options) : Runtime(std::move(options), nullptr, {}) {}

Host::Runtime::Runtime(HostOptions options, std::shared_ptr<storage::Database> database, runtime::SteadyClock steady)
    : options_(checked_options(std::move(options))),
      clock_(options_.clock ? options_.clock : std::make_shared<SystemClock>()),
      pid_(::getpid()),
      forks_(runtime::fork_count()),
      mailbox_(wakeup_),
      database_(database ? std::move(database) : open(options_)),
      client_(ClientAccess::open(database_, clock_)),
      writer_(std::make_unique<runtime::Writer>(value_of(database_->connect()), options_.lease.millis(), mailbox_,
                                                clock_, std::move(steady))) {
  claim();
  writer_->submit(outgoing_);
}

// ---------------------------------------------------------------- verbs

bool Host::Runtime::forked() const { return runtime::fork_count() != forks_; }

void Host::Runtime::check_usable() const {
  if (forked()) {
    throw ForkedError("this engine was opened by process " + std::to_string(pid_) +
                      " and does not work in a fork of it; open an engine in the child, or start it by spawn");
  }
  if (usable()) return;
  const values::MutexLock lock(mutex_);
  throw_error(*unusable_because_);
}

void Host::Runtime::make_unusable(Error why) {
  const values::MutexLock lock(mutex_);
  if (!unusable_because_) unusable_because_ = std::move(why);
  unusable_.store(true, std::memory_order_release);
}

void Host::Runtime::stop(Error why) {
  if (!usable()) return;
  make_unusable(why);
  actions_.push_back(EngineStopped{std::move(why)});
}

void Host::Runtime::check_payload(std::string_view what, const std::string& payload) const {
  if (options_.payload_limit == 0 || payload.size() <= options_.payload_limit) return;
  throw PayloadTooLargeError(std::string(what) + " has " + std::to_string(payload.size()) + " bytes; at most " +
                             std::to_string(options_.payload_limit) + " are allowed (payload_limit)");
}

Host::Runtime::Slot& Host::Runtime::asked(InstanceKey instance) {
  check_usable();
  const auto found = slots_.find(instance);
  if (found == slots_.end() || found->second->evicting) {
    throw InstanceFinishedError(
        "a step was asked for by code whose instance is no longer running here; await steps inside run");
  }
  found->second->kept = 0;
  mark(*found->second);
  return *found->second;
}

Host::Runtime::Slot* Host::Runtime::reported(InstanceKey instance) {
  const auto found = slots_.find(instance);
  if (found == slots_.end() || found->second->evicting || !usable()) return nullptr;
  mark(*found->second);
  return found->second.get();
}

const Host::Runtime::Slot& Host::Runtime::loaded(InstanceKey instance) const {
  const auto found = slots_.find(instance);
  if (found == slots_.end()) throw InstanceFinishedError("the instance is no longer running here");
  return *found->second;
}

Asked Host::Runtime::answer(InstanceKey instance, std::expected<Asked, Error> asked) {
  Asked answer = value_of(std::move(asked));
  if (answer.state == Asked::State::run) bodies_.began({instance, answer.ticket, answer.attempt}, now());
  return answer;
}

void Host::Runtime::mark(Slot& slot) {
  if (std::exchange(slot.dirty, true)) return;
  dirty_.push_back(slot.key);
  if (!rooms_.empty() && slot.machine.lend(rooms_.back())) rooms_.pop_back();
}

void Host::Runtime::submit(storage::Item&& item, runtime::Tell tell) {
  if (std::this_thread::get_id() == loop_thread_.load(std::memory_order_relaxed)) {
    outgoing_.push(std::move(item), tell);
  } else {
    writer_->submit(std::move(item), tell);
  }
}

const RegisteredWorkflow* Host::Runtime::registered(std::string_view workflow) const {
  const auto found = std::ranges::find(options_.workflows, workflow, &RegisteredWorkflow::name);
  return found == options_.workflows.end() ? nullptr : &*found;
}

core::Limits Host::Runtime::limits_of(const RegisteredWorkflow* workflow) const {
  return {.steps = options_.step_limit,
          .payload_bytes = options_.payload_limit,
          .determinism = workflow == nullptr ? Determinism::pause : workflow->determinism};
}

storage::Create Host::Runtime::to_item(CreateRequest& request, TimePoint created, bool here) const {
  const RegisteredWorkflow* workflow = registered(request.workflow);
  return {.workflow = request.workflow,
          .id = request.id,
          .params = request.params,
          .version = workflow == nullptr ? std::string() : workflow->version,
          .created = created,
          .owned = here,
          .retention = workflow == nullptr ? request.retention : request.retention.value_or(workflow->retention)};
}

CallId Host::Runtime::create(CreateRequest request) {
  check_usable();
  check_workflow_name(request.workflow);
  check_payload("params", request.params);
  const TimePoint created = now();
  const bool new_id = request.id.empty();
  if (new_id) request.id = make_instance_id(created);
  check_instance_id(request.id);
  const bool here = registered(request.workflow) != nullptr && room() > 0;
  storage::Create item = to_item(request, created, here);
  item.new_id = new_id;
  const CallId call = ++last_call_;
  if (here) ++occupied_;
  {
    const values::MutexLock lock(mutex_);
    creating_.emplace(call, Creating{std::move(request), created, here});
  }
  submit(std::move(item), runtime::TellCreate{call});
  return call;
}

CallId Host::Runtime::send_event(SendEventRequest request) {
  check_usable();
  check_workflow_name(request.workflow);
  check_instance_id(request.id);
  check_event_type(request.type);
  check_payload("the event's payload", request.payload);
  const CallId call = ++last_call_;
  submit(storage::SendEvent{.workflow = std::move(request.workflow),
                            .id = std::move(request.id),
                            .type = std::move(request.type),
                            .payload = std::move(request.payload),
                            .event_id = std::move(request.event_id),
                            .at = now()},
         runtime::TellSend{call});
  return call;
}

void Host::Runtime::start_ready_nodes(Slot& slot) {
  const auto all = slot.graph.take_ready();
  if (all.empty()) return;
  for (const core::Graph::Start& ready : all) {
    actions_.push_back(StartNode{slot.key, ready.node,
                                 ready.has_failed_dependency ? std::optional(ready.failed_dependency) : std::nullopt});
  }
  slot.machine.nodes_start();
  starting_nodes_.push_back(slot.key);
}

// ---------------------------------------------------------------- the turn

std::vector<Action> Host::Runtime::poll(std::vector<Action>&& room) {
  loop_thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  whole([this] { carried_out(); });
  room.clear();
  if (!actions_.empty()) {  // nodes that the code has set free
    started_nodes_ = std::exchange(starting_nodes_, {});
    return std::exchange(actions_, std::move(room));
  }
  if (actions_.capacity() < room.capacity()) actions_.swap(room);
  try {
    whole([&] {
      do { turn(); } while (actions_.empty() && next_received_ < received_.size());
    });
  } catch (const WorkflowsError& error) {  // a damaged history, or a fault of the engine: nothing can be relied on
    stop({error.code(), error.what()});
    received_.clear();
    next_received_ = 0;
  }
  return std::exchange(actions_, {});
}

// All actions of the last poll were.
void Host::Runtime::carried_out() {
  for (const InstanceKey instance : resolved_) {
    if (const auto slot = slots_.find(instance); slot != slots_.end()) {
      slot->second->resolved = false;
      slot->second->machine.settled();
    }
  }
  resolved_.clear();
  for (const InstanceKey instance : std::exchange(started_nodes_, {})) {
    if (const auto slot = slots_.find(instance); slot != slots_.end()) {
      slot->second->machine.nodes_started(now());
      mark(*slot->second);
    }
  }
}

void Host::Runtime::turn() {
  receive();
  if (!usable()) return;
  fire_timers();
  record_lingering();
  record_awakened();
  collect();
  issue_loads();
  if (next_received_ == received_.size()) writer_->submit(outgoing_);
  arm_wakeup();
}

void Host::Runtime::receive() {
  if (next_received_ == received_.size()) {
    received_.clear();
    wakeup_.clear(now());  // no earlier: the signal is for what is in the mailbox
    mailbox_.take(received_);
    next_received_ = 0;
  }
  for (std::size_t handled = 0; next_received_ < received_.size() && handled < kHandledAtOnce; ++next_received_) {
    runtime::Message& message = received_[next_received_];
    const auto* steps = std::get_if<runtime::StepsDurable>(&message);
    handled += steps == nullptr ? 1 : steps->steps.size();
    std::visit([this](auto& m) { handle(m); }, message);
  }
}

void Host::Runtime::fire_timers() {
  const TimePoint moment = now();
  while (const auto due = timers_.pop_due(moment)) {
    if (due->ticket == kAsleep) {
      wake_up(due->instance);
      continue;
    }
    Slot& slot = *slots_.at(due->instance);
    if (slot.evicting) continue;  // it is woken again
    if (due->ticket == kIdle) {
      slot.idle = {};
      if (slot.machine.waiting()) evict(slot);  // a timer of this very turn may have set it going
      continue;
    }
    slot.machine.timer(due->ticket, moment);
    mark(slot);
  }
}

void Host::Runtime::record_lingering() {
  const TimePoint moment = now();
  while (const auto body = bodies_.pop_lingering(moment)) {
    if (Slot* slot = reported(body->instance)) slot->machine.record_start(body->ticket, body->attempt, moment);
  }
}

void Host::Runtime::collect() {
  collected_.clear();
  collected_.swap(dirty_);
  for (const InstanceKey instance : collected_) {
    if (const auto slot = slots_.find(instance); slot != slots_.end()) collect(*slot->second);
    if (outgoing_.items.size() >= kHandedOverAtOnce) writer_->submit(outgoing_);
  }
}

void Host::Runtime::collect(Slot& slot) {
  slot.dirty = false;
  if (slot.waits && !slot.machine.ended() && !slot.machine.waiting()) note_running(slot);
  bool ended = false;
  slot.machine.take_effects(effects_);
  for (core::Effect& effect : effects_) {
    ended |= std::holds_alternative<core::Finished>(effect);
    carry_out(slot, effect);
  }
  if (rooms_.size() < kRooms && effects_.capacity() <= kEffectsInRoom) {
    effects_.clear();
    rooms_.push_back(std::exchange(effects_, {}));
  }
  if (ended) return drop(slot);
  if (slot.machine.waiting() && slot.replay == 0) note_waiting(slot);
}

// Whoever takes over an instance that waits loads it when its wake time has come. If that has passed, the status is not
// urgent: most instances will have ended, or wait again, before it is worth a write.
void Host::Runtime::note_running(Slot& slot) {
  timers_.disarm(std::exchange(slot.idle, {}));
  const TimePoint moment = now();
  if (slot.wake && *slot.wake <= moment) {
    if (!std::exchange(slot.awakened, true)) awakened_.push_back({moment + kAwakened, slot.key});
    return;
  }
  slot.waits = false;
  submit(storage::SetStatus{.instance = slot.key, .status = Status::running, .wake = {}, .at = moment});
}

void Host::Runtime::record_awakened() {
  const TimePoint moment = now();
  for (; !awakened_.empty() && awakened_.front().at <= moment; awakened_.pop_front()) {
    const auto found = slots_.find(awakened_.front().instance);
    if (found == slots_.end() || !std::exchange(found->second->awakened, false)) continue;
    Slot& slot = *found->second;
    if (!slot.waits || slot.evicting || slot.machine.waiting() || slot.machine.ended()) continue;
    slot.waits = false;
    submit(storage::SetStatus{.instance = slot.key, .status = Status::running, .wake = {}, .at = moment});
  }
}

void Host::Runtime::note_waiting(Slot& slot) {
  const auto wake = slot.machine.wake();
  if (!slot.waits || slot.wake != wake) {
    submit(storage::SetStatus{.instance = slot.key, .status = Status::waiting, .wake = wake, .at = now()});
  }
  slot.waits = true;
  slot.wake = wake;
  if (slot.idle == runtime::TimerId{}) rest(slot);
}

void Host::Runtime::carry_out(Slot& slot, core::Effect& effect) {
  struct Visitor {
    Runtime& runtime;
    Slot& slot;

    void operator()(core::Append& append) {
      runtime::Tell tell;
      if (append.urgency == core::Urgency::awaited && append.entry.kind >= EntryKind::rollback_started) {
        tell = runtime::TellRun{slot.key};
      } else if (append.urgency == core::Urgency::awaited) {
        tell = runtime::TellStep{slot.key, append.entry.step};
      }
      if (WORKFLOWS_PLANTED(result_recorded_twice) && append.entry.kind == EntryKind::step_completed)
        runtime.outgoing_.push(slot.key, Entry(append.entry), runtime::TellNobody{});
      runtime.outgoing_.push(slot.key, std::move(append.entry), tell);
    }
    void operator()(core::RunBody& run) {
      runtime.bodies_.began({slot.key, run.ticket, run.attempt}, runtime.now());
      runtime.actions_.push_back(RunStepBody{slot.key, run.ticket, run.attempt});
    }
    void operator()(core::RollBack& rollback) {
      runtime.bodies_.began({slot.key, rollback.ticket, rollback.attempt}, runtime.now());
      runtime.actions_.push_back(RunRollback{slot.key, rollback.ticket, rollback.attempt, rollback.of,
                                             slot.machine.rollback_reason(), slot.machine.output(rollback.of)});
    }
    void operator()(core::CancelBody& cancel) {
      runtime.actions_.push_back(CancelStepBody{slot.key, cancel.ticket, cancel.attempt});
    }
    void operator()(core::AttemptDue& due) {
      runtime.actions_.push_back(AttemptDue{slot.key, due.ticket, due.attempt, due.since});
    }
    void operator()(core::ChooseDelay& choose) {
      runtime.actions_.push_back(ChooseRetryDelay{slot.key, choose.ticket, choose.attempt, std::move(choose.failure)});
    }
    void operator()(core::Arm& arm) {
      if (slot.timers.size() <= arm.ticket) slot.timers.resize(arm.ticket + std::size_t{1});
      runtime::TimerId& timer = slot.timers[arm.ticket];
      runtime.timers_.disarm(timer);
      timer = runtime.timers_.arm(arm.at, {slot.key, arm.ticket});
    }
    void operator()(core::Disarm& disarm) {
      if (disarm.ticket < slot.timers.size()) runtime.timers_.disarm(slot.timers[disarm.ticket]);
    }
    void operator()(core::Resolve& resolve) {
      runtime.actions_.emplace_back(std::in_place_type<ResolveStep>, slot.key, resolve.ticket,
                                    std::move(resolve.outcome));
      if (!std::exchange(slot.resolved, true)) runtime.resolved_.push_back(slot.key);
    }
    void operator()(core::LateResult& late) {
      runtime.actions_.push_back(
          LogRecord{LogLevel::warning, "step '" + std::string(slot.machine.step_name(late.ticket)) + "' of instance '" +
                                           slot.machine.identity().id + "' ended after its attempt " +
                                           std::to_string(late.attempt) + " was over; the result is discarded"});
    }
    void operator()(core::Finished& finished) {
      const Entry end{.kind = finished.kind, .detail = std::move(finished.detail), .value = std::move(finished.value)};
      InstanceStatus status = storage::outcome_of(*status_of(finished.kind), end);
      if (slot.replay != 0) runtime.actions_.push_back(CallReply{slot.replay, status});
      runtime.actions_.push_back(InstanceEnded{slot.key, std::move(status)});
    }
  };
  std::visit(Visitor{*this, slot}, effect);
}

void Host::Runtime::arm_wakeup() {
  auto next = timers_.next();
  if (const auto lingers = bodies_.next()) next = next ? std::min(*next, *lingers) : lingers;
  if (!awakened_.empty()) next = next ? std::min(*next, awakened_.front().at) : awakened_.front().at;
  if (!options_.clock) return wakeup_.at(next);
  if (next && *next <= now()) wakeup_.signal();  // what is due later, `clock_moved` tells
}

// ---------------------------------------------------------------- what the writer tells

void Host::Runtime::handle(runtime::StepsDurable& message) {
  const TimePoint moment = now();
  for (std::size_t next = 0; next < message.steps.size(); ++next) {
    look_ahead(message, next);
    auto& [instance, ticket, recorded] = message.steps[next];
    if (Slot* slot = reported(instance)) slot->machine.durable(ticket, std::move(recorded), moment);
  }
}

// First for the slot, then for what it finds in there.
void Host::Runtime::look_ahead(const runtime::StepsDurable& message, std::size_t next) const {
  constexpr std::size_t kFar = 8;
  constexpr std::size_t kNear = 4;
  const auto slot_at = [&](std::size_t place) -> const Slot* {
    if (place >= message.steps.size()) return nullptr;
    const auto slot = slots_.find(message.steps[place].instance);
    return slot == slots_.end() ? nullptr : slot->second.get();
  };
  if (const Slot* slot = slot_at(next + kFar)) values::prefetch<384>(slot);
  if (const Slot* slot = slot_at(next + kNear)) slot->machine.prefetch(message.steps[next + kNear].ticket);
}

void Host::Runtime::handle(runtime::RunDurable& message) {
  if (Slot* slot = reported(message.instance)) slot->machine.finish_durable(now());
}

void Host::Runtime::handle(runtime::CreateDone& message) {
  Creating creating;
  {
    const values::MutexLock lock(mutex_);
    creating = std::move(creating_.extract(message.call).mapped());
  }
  auto& [request, created, here] = creating;
  CallReply reply{message.call, InstanceRef{message.created.key, request.workflow, request.id}};
  if (auto error = runtime::conflict(message.created, request)) reply.result = std::move(*error);
  actions_.push_back(std::move(reply));
  if (message.created.existed) {
    if (here) give_up_place();
  } else if (here) {
    start_created(message.created, request, created);
  } else {
    claim();
  }
}

void Host::Runtime::handle(runtime::Answered& message) {
  if (std::holds_alternative<Error>(message.reply.result)) {
    const values::MutexLock lock(mutex_);
    creating_.erase(message.reply.call);
    creating_batch_.erase(message.reply.call);
  }
  actions_.push_back(std::move(message.reply));
}

void Host::Runtime::handle(runtime::EventArrived& message) {
  const auto found = slots_.find(message.instance);
  if (found == slots_.end()) return wake_up(message.instance);
  Slot& slot = *found->second;
  slot.stirred = true;
  if (slot.evicting) return;  // it will read the event when it is loaded again
  slot.machine.event(std::move(message.event), now());
  mark(slot);
}

void Host::Runtime::handle(runtime::WriterFailed& message) { stop(std::move(message.error)); }

void Host::Runtime::handle(runtime::WriterLog& message) { actions_.push_back(std::move(message.record)); }

void Host::Runtime::receive_all() {
  do { receive(); } while (next_received_ < received_.size());
}

void Host::Runtime::close() {
  if (closed_) return;
  if (forked()) {  // the threads and locks are the parent's
    closed_ = true;
    make_unusable({ErrorCode::forked, "the engine belongs to another process"});
    return;
  }
  if (usable()) {
    try {
      receive_all();
      collect();
      writer_->submit(outgoing_);
    } catch (const std::bad_alloc&) { make_unusable(storage::out_of_memory()); }  // nothing half done is written
  }
  closed_ = true;
  make_unusable({ErrorCode::engine_closed, "the engine is closed; its instances go on when one is opened again"});
  writer_->close();
  std::vector<CallId> unanswered;
  receive_all();
  {
    const values::MutexLock lock(mutex_);
    for (const auto& [call, creating] : std::exchange(creating_, {})) unanswered.push_back(call);
    for (const auto& [call, creating] : std::exchange(creating_batch_, {})) unanswered.push_back(call);
  }
  for (const CallId call : unanswered) {
    actions_.push_back(
        CallReply{call, Error{ErrorCode::engine_closed, "the engine was closed before the instance was created"}});
  }
  client_.close();
}

}  // namespace workflows
