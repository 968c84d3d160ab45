// The history of an instance, and the order in which outcomes reach the code: as they were recorded.

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "engine/core/instance.h"

namespace workflows::core {
namespace {

StepConfig config_of(const std::string& detail) {
  if (detail.empty()) return {};
  const auto parsed = boost::json::parse(detail);
  const auto* config = parsed.as_object().if_contains("config");
  return config == nullptr ? StepConfig{} : StepConfig::from_json(boost::json::serialize(*config));
}

StoreCorruptError damaged(const Identity& identity, const std::string& what) {
  return StoreCorruptError("instance '" + identity.id + "' of workflow '" + identity.workflow + "' is recorded " +
                           what + "; the file is damaged: restore a copy of it");
}

}  // namespace

// ---------------------------------------------------------------- history

Instance::Instance(Identity identity, Limits limits, std::vector<Entry> history, std::vector<InboxEvent> inbox)
    : identity_(std::move(identity)), limits_(limits) {
  std::unordered_map<std::int64_t, const InboxEvent*> events;
  for (const InboxEvent& event : inbox) events[event.id] = &event;
  for (Entry& entry : history) replay(entry, events);
  note_asking_order();
  for (InboxEvent& event : inbox) {
    last_event_ = std::max(last_event_, event.id);
    if (!event.taken) inbox_[event.type].push_back(std::move(event));
  }
}

Instance::Step& Instance::recorded_step(const Entry& entry) {
  if (steps_.size() <= entry.step) steps_.resize(entry.step + std::size_t{1});
  Step& step = steps_[entry.step];
  if (step.key != nullptr || entry.name.empty()) return step;
  // No name can have been asked for more often than there were steps.
  if (entry.occurrence == 0 || entry.occurrence > entry.step + std::uint64_t{1})
    throw damaged(identity_, "to have asked for occurrence " + std::to_string(entry.occurrence) + " of a step");
  step.recorded = true;
  auto& [key, name] = *names_.try_emplace(key_of(entry.step_kind, entry.name)).first;
  if (name.recorded.size() < entry.occurrence) name.recorded.resize(entry.occurrence, kNoTicket);
  name.recorded[entry.occurrence - 1] = entry.step;
  step.kind = entry.step_kind;
  step.key = &key;
  step.occurrence = entry.occurrence;
  step.after = entry.after;
  step.need = entry.need;
  if (!entry.event_type.empty() || !entry.detail.empty()) {
    step.extra = std::make_unique<Extra>(Extra{config_of(entry.detail), entry.event_type, entry.detail});
  }
  return step;
}

void Instance::replay(Entry& entry, const std::unordered_map<std::int64_t, const InboxEvent*>& events) {
  if (entry.kind >= EntryKind::instance_completed) return;
  Step& step = recorded_step(entry);
  const auto ended = [&](Outcome outcome) {
    step.outcome = std::make_unique<Outcome>(std::move(outcome));
    step.phase = Phase::ended;
    if (step.forsaken_early) {
      late_.push_back(entry.step);
    } else {
      order_.push_back({entry.step});
    }
  };
  switch (entry.kind) {
    case EntryKind::attempt_started:
      step.phase = Phase::running;
      step.attempt = entry.attempt;
      step.began = entry.at;
      break;
    case EntryKind::attempt_failed:
      step.phase = Phase::resting;
      step.attempt = entry.attempt;
      step.deadline = entry.deadline;
      break;
    case EntryKind::sleep_started:
    case EntryKind::wait_started:
      step.phase = entry.kind == EntryKind::sleep_started ? Phase::sleeping : Phase::waiting;
      step.began = entry.at;
      step.deadline = entry.deadline;
      break;
    case EntryKind::step_completed:
      step.attempt = entry.attempt;
      ended(Value{std::move(entry.value)});
      break;
    case EntryKind::sleep_finished:
      ended(Value{"null"});
      break;
    case EntryKind::step_failed:
    case EntryKind::wait_timed_out:
      step.attempt = entry.attempt;
      ended(Failure::from_json(entry.value));
      break;
    case EntryKind::wait_taken: {
      const auto event = events.find(entry.event);
      if (event == events.end()) {
        throw damaged(identity_, "to have taken event " + std::to_string(entry.event) + ", which is not in its inbox");
      }
      ended(Received{event->second->type, event->second->payload, event->second->at});
      break;
    }
    case EntryKind::abandoned:
      cancels_ = true;
      step.forsaken_before = true;
      step.forsaken_early = step.phase != Phase::ended;
      if (step.phase != Phase::ended) break;
      late_.push_back(entry.step);
      for (Delivery& delivery : order_) delivery.unheard |= delivery.ticket == entry.step;
      break;
    case EntryKind::reclaimed:
      if (!step.outcome) throw damaged(identity_, "to have been given the outcome of a step that has none");
      step.forsaken_before = false;
      std::erase(late_, entry.step);
      order_.push_back({entry.step});
      break;
    default:
      break;
  }
}

// Outcome k was delivered after all steps with `after` <= k had been asked for, and after `need` of those that were
// asked for next. Counts stand for the steps that left no record.
void Instance::note_asking_order() {
  gates_.assign(order_.size(), 0);
  const auto raise = [&](std::size_t delivery, std::uint32_t asked) {
    if (delivery < gates_.size()) gates_[delivery] = std::max(gates_[delivery], asked);
  };
  for (Ticket ticket = 0; ticket < steps_.size(); ++ticket) {
    const Step& step = steps_[ticket];
    if (step.key == nullptr) continue;
    recorded_.push_back(ticket);
    raise(step.after, ticket + 1);
    if (step.after > 0) raise(step.after - 1, step.need);
  }
  for (std::size_t k = 1; k < gates_.size(); ++k) gates_[k] = std::max(gates_[k], gates_[k - 1]);
  std::ranges::sort(recorded_, {}, [&](Ticket ticket) { return std::pair(steps_[ticket].after, ticket); });
}

// The code has asked for all that it had asked for when the next outcome was delivered first; if that is a new one, for
// all that was ever recorded.
bool Instance::gate_is_open() {
  while (!unasked().empty() && steps_[unasked().front()].asked) ++first_unasked_;
  if (!unasked().empty() && steps_[unasked().front()].after <= delivered_) return false;
  return delivered_ >= gates_.size() || asked_ >= gates_[delivered_];
}

// ---------------------------------------------------------------- delivery

void Instance::durable(Ticket ticket, TimePoint now) {
  Step& step = steps_.at(ticket);
  if (result_) return;
  if (step.phase == Phase::starting) return run_body(ticket, now);
  if (step.phase != Phase::ending) {
    throw StoreError("instance '" + identity_.id + "': step '" + std::string(step_name(ticket)) +
                     "' became durable without having ended. This is a fault of the engine; please report it");
  }
  enter(step, Phase::ended);
  // Journal order: an await that was cancelled before the outcome came is not answered; one cancelled after it counts
  // as answered, although nobody listens any more.
  if (step.forsaken_early) {
    late_.push_back(ticket);
  } else {
    order_.push_back({ticket});
  }
  deliver_in_order();
}

void Instance::finish_durable() { effects_.emplace_back(std::move(*result_)); }

void Instance::deliver_in_order() {
  while (delivered_ < order_.size() && gate_is_open()) {
    const Delivery& next = order_[delivered_];
    if (!next.unheard && !steps_[next.ticket].asked) return;
    deliver_next();
  }
}

void Instance::deliver_next() {
  const auto [ticket, unheard] = order_[delivered_++];
  asked_at_delivery_ = asked_;
  Step& step = steps_[ticket];
  if (unheard || step.forsaken) return;
  record_question(newest_);
  step.phase = Phase::delivered;
  effects_.emplace_back(Resolve{ticket, std::move(*step.outcome)});
  resolve_queued_ = true;
  step.outcome.reset();
}

// Ended, and the code waits for it in this life, although it gave up waiting in an earlier one.
bool Instance::is_late(const Step& step) const {
  return step.asked && step.forsaken_before && !step.forsaken && step.phase == Phase::ended;
}

bool Instance::release_stalled(TimePoint now) {
  if (result_) return false;
  if (delivered_ < order_.size()) {
    const auto to_be_cancelled = [](const Step& step) { return step.asked && step.forsaken_before && !step.forsaken; };
    if (std::ranges::any_of(steps_, to_be_cancelled)) return false;  // the code is about to do it, as it did before
    const auto next = order_.begin() + static_cast<std::ptrdiff_t>(delivered_);
    const auto asked = std::find_if(next, order_.end(), [&](const Delivery& d) { return steps_[d.ticket].asked; });
    if (asked == order_.end()) return false;
    std::rotate(next, asked, asked + 1);
    while (!unasked().empty() && steps_[unasked().front()].after <= delivered_) ++first_unasked_;  // it never will be
    deliver_next();
    deliver_in_order();
    return true;
  }
  const auto late = std::ranges::find_if(late_, [&](Ticket ticket) { return is_late(steps_[ticket]); });
  const auto is_unasked = [&](Ticket ticket) { return !steps_[ticket].asked; };
  if (late == late_.end() || std::ranges::any_of(unasked(), is_unasked))
    return false;  // it went on without, and will again
  const Ticket ticket = *late;
  late_.erase(late);
  steps_[ticket].forsaken_before = false;
  append(entry(EntryKind::reclaimed, ticket, now), Urgency::eager);
  lets_go_on_ = true;
  order_.push_back({ticket});
  deliver_next();
  return true;
}

}  // namespace workflows::core
