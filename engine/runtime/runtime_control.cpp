// What others do to instances of this engine, batches, and replay alone.

#include <algorithm>
#include <utility>

#include "engine/runtime/refusal.h"
#include "engine/runtime/runtime.h"

namespace workflows {

void Host::Runtime::handle(runtime::Noticed& message) {
  using Kind = storage::Notice::Kind;
  for (const auto& [id, instance, kind] : message.notices) {
    switch (kind) {
      case Kind::lost:
        heard_lost(instance);
        break;
      case Kind::pause:
        heard_pause(instance);
        break;
      case Kind::resume:
        heard_resume(instance);
        break;
      case Kind::roll_back:
        heard_roll_back(instance);
        break;
    }
  }
}

void Host::Runtime::park(InstanceKey instance) {
  submit(storage::AppendEntry{instance, {.kind = EntryKind::paused, .at = now()}});
}

void Host::Runtime::heard_lost(InstanceKey instance) {
  forget_sleeper(instance);
  const auto found = slots_.find(instance);
  if (found == slots_.end()) return;  // one that is being loaded turns out to be somebody else's
  Slot& slot = *found->second;
  slot.lost = true;
  if (slot.evicting) return;
  slot.machine.lose();
  slot.machine.take_effects(effects_);
  for (core::Effect& effect : effects_) {
    if (!std::holds_alternative<core::Append>(effect)) carry_out(slot, effect);
  }
  actions_.push_back(InstanceEnded{instance, {.status = Status::terminated}});
  drop(slot);
}

void Host::Runtime::heard_pause(InstanceKey instance) {
  if (asleep_.contains(instance)) {
    forget_sleeper(instance);
    return park(instance);
  }
  const auto found = slots_.find(instance);
  if (found == slots_.end()) return;  // one that is being loaded is not started
  Slot& slot = *found->second;
  slot.to_be_paused = slot.evicting;
  if (slot.evicting) return;
  slot.machine.pause(now());
  mark(slot);
}

void Host::Runtime::heard_resume(InstanceKey instance) {
  const auto found = slots_.find(instance);
  if (found != slots_.end() && found->second->machine.parked()) {
    collect(*found->second);
    if (!slots_.contains(instance)) return;  // its pause has just become durable: it is nobody's any more
  }
  if (found == slots_.end()) return wake_up(instance);  // it was put aside to be paused
  Slot& slot = *found->second;
  slot.to_be_paused = false;
  slot.stirred = true;
  if (slot.evicting) return;
  slot.machine.resume(now());
  mark(slot);
  if (slot.machine.parked()) reload(slot);
}

// The store does not accept any more that it is paused, but it was put aside already.
void Host::Runtime::reload(Slot& slot) {
  const InstanceKey instance = slot.key;
  collect(slot);
  if (!slots_.contains(instance)) return;  // it has ended after all
  actions_.push_back(InstanceEnded{instance, {.status = Status::paused}});
  drop(slot);
  writer_->submit(outgoing_);  // before it is read
  wake_up(instance);
}

void Host::Runtime::heard_roll_back(InstanceKey instance) {
  const auto found = slots_.find(instance);
  if (found == slots_.end()) return wake_up(instance);
  Slot& slot = *found->second;
  slot.to_be_paused = false;
  slot.stirred = true;
  if (slot.evicting) return;
  slot.machine.roll_back(now());
  mark(slot);
  if (slot.machine.parked()) reload(slot);
}

// ---------------------------------------------------------------- batches

CallId Host::Runtime::create_batch(std::vector<CreateRequest> requests) {
  check_usable();
  const TimePoint created = now();
  CreatingBatch creating{.requests = std::move(requests), .refused = {}, .created = created};
  storage::CreateBatch item;
  for (CreateRequest& request : creating.requests) {
    std::optional<Error> refused;
    try {
      check_workflow_name(request.workflow);
      check_payload("params", request.params);
      const bool new_id = request.id.empty();
      if (new_id) request.id = make_instance_id(created);
      check_instance_id(request.id);
      const bool here = registered(request.workflow) != nullptr && room() > creating.here;
      if (here) ++creating.here;
      item.creates.push_back(to_item(request, created, here));
      item.creates.back().new_id = new_id;
    } catch (const WorkflowsError& error) { refused = Error{error.code(), error.what()}; }
    creating.refused.push_back(std::move(refused));
  }
  const CallId call = ++last_call_;
  occupied_ += creating.here;
  {
    const values::MutexLock lock(mutex_);
    creating_batch_.emplace(call, std::move(creating));
  }
  submit(std::move(item), runtime::TellBatch{call});
  return call;
}

void Host::Runtime::handle(runtime::BatchCreated& message) {
  CreatingBatch batch;
  {
    const values::MutexLock lock(mutex_);
    batch = std::move(creating_batch_.extract(message.call).mapped());
  }
  occupied_ -= batch.here;
  BatchOutcome outcomes;
  bool queued = false;
  auto created = message.created.begin();
  for (std::size_t i = 0; i < batch.requests.size(); ++i) {
    if (batch.refused[i]) {
      outcomes.emplace_back(std::move(*batch.refused[i]));
      continue;
    }
    CreateRequest& request = batch.requests[i];
    outcomes.push_back(runtime::outcome_of(*created, request));
    if (created->owned) {
      ++occupied_;
      start_created(*created, request, batch.created);
    }
    queued |= !created->owned;
    ++created;
  }
  actions_.push_back(CallReply{message.call, std::move(outcomes)});
  if (queued || crowded_) claim();
}

// ---------------------------------------------------------------- replay alone

// Keys of such runs are negative: they are in no store.
CallId Host::Runtime::replay(InstanceHistory history) {
  check_usable();
  const RegisteredWorkflow* workflow = registered(history.info.workflow);
  if (workflow == nullptr) {
    throw InvalidNameError("the workflow '" + history.info.workflow +
                           "' is not one of this engine's; register the code that the history is to be replayed with");
  }
  const CallId call = ++last_call_;
  core::Limits limits = limits_of(workflow);
  limits.replay_only = true;
  limits.determinism = Determinism::pause;
  core::Identity identity{.workflow = history.info.workflow,
                          .id = history.info.id,
                          .generation = history.info.generation,
                          .created = history.info.created};
  std::vector<Entry> entries;
  entries.reserve(history.entries.size());
  for (auto& [cursor, entry] : history.entries) entries.push_back(std::move(entry));
  core::Instance machine(std::move(identity), limits, std::move(entries), std::move(history.inbox));
  Slot& slot = start(-static_cast<InstanceKey>(call), std::move(machine), std::move(history.params));
  slot.replay = call;
  wakeup_.signal();
  return call;
}

}  // namespace workflows
