// The history of an instance, and the order in which outcomes reach the code: as they were recorded.

#include <algorithm>
#include <utility>

#include "engine/core/detail.h"
#include "engine/core/instance.h"
#include "engine/testing/planted_bug.h"
#include "engine/values/prefetch.h"

namespace workflows::core {
namespace {

// More than any instance can have: each takes memory.
constexpr std::uint64_t kMostSteps = 10'000'000;

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
  restarted_ = !history.empty() && history.front().kind == EntryKind::restarted;
  note_version(history);
  for (Entry& entry : history) replay(entry, events);
  for (const Step& step : steps_) {
    if (step.ending && step.key == nullptr) throw damaged(identity_, "to have ended a step that it never asked for");
    if (step.kind == StepKind::value && step.ending && !std::holds_alternative<Value>(step.ending->outcome))
      throw damaged(identity_, "to have noted a value, which has failed");
  }
  note_asking_order();
  for (InboxEvent& event : inbox) {
    last_event_ = std::max(last_event_, event.id);
    if (!event.taken) inbox_[event.type].push_back(std::move(event));
  }
}

// Steps of a loop come from one place, one after the other.
Source Instance::recorded_source(const std::string& source) {
  if (source.empty()) return nullptr;
  if (recorded_sources_.empty() || recorded_sources_.front() != source) recorded_sources_.push_front(source);
  return &recorded_sources_.front();
}

Instance::Step& Instance::recorded_step(const Entry& entry) {
  if (entry.step >= kMostSteps) throw damaged(identity_, "to have asked for " + std::to_string(entry.step) + " steps");
  if (steps_.size() <= entry.step) steps_.resize(entry.step + std::size_t{1});
  Step& step = steps_[entry.step];
  if (step.key != nullptr || entry.name.empty()) return step;
  // No name can have been asked for more often than there were steps; after a restart, which numbers what it keeps
  // anew, nobody knows how many there were.
  const std::uint64_t most = restarted_ ? kMostSteps : entry.step + std::uint64_t{1};
  if (entry.occurrence == 0 || entry.occurrence > most)
    throw damaged(identity_, "to have asked for occurrence " + std::to_string(entry.occurrence) + " of a step");
  step.recorded = true;
  auto& [key, name] = *names_.try_emplace(key_of(entry.step_kind, entry.name)).first;
  if (name.recorded.size() < entry.occurrence) name.recorded.resize(entry.occurrence, kNoTicket);
  std::size_t place = entry.occurrence - 1;
  if (WORKFLOWS_PLANTED(occurrences_by_arrival)) {
    place = static_cast<std::size_t>(std::ranges::find(name.recorded, kNoTicket) - name.recorded.begin());
  }
  name.recorded[place] = entry.step;
  step.kind = entry.step_kind;
  step.key = &key;
  step.occurrence = entry.occurrence;
  step.after = entry.after;
  step.need = entry.need;
  step.source = recorded_source(entry.source);
  if (!entry.event_type.empty() || !entry.detail.empty()) {
    const Detail detail = read_detail(entry);
    step.extra = std::make_unique<Extra>(Extra{detail.config, entry.event_type, entry.detail, detail.rollback});
  }
  return step;
}

void Instance::replay(Entry& entry, const std::unordered_map<std::int64_t, const InboxEvent*>& events) {
  if (entry.kind >= EntryKind::rollback_started) return replay_of_instance(entry);
  Step& step = recorded_step(entry);
  const auto ended = [&](Outcome outcome) {
    if (step.ending) throw damaged(identity_, "to have ended step " + std::to_string(entry.step) + " twice");
    step.ending = std::make_unique<Ending>(std::move(outcome));
    if (step.phase == Phase::withdrawn) std::erase(late_, entry.step);  // by an engine that let it take events
    step.phase = Phase::ended;
    if (step.kind == StepKind::value || step.kind == StepKind::rollback) return;  // the code does not wait for it
    if (step.forsaken_early) {
      late_.push_back(entry.step);
    } else {
      order_.push_back({entry.step});
    }
  };
  switch (entry.kind) {
    case EntryKind::attempt_started:
      if (entry.attempt == 0) break;  // it was asked for and had not begun
      step.phase = Phase::running;
      step.attempt = entry.attempt;
      step.began = entry.at;
      break;
    case EntryKind::attempt_failed:
      step.phase = Phase::resting;
      step.attempt = entry.attempt;
      step.began = entry.at;
      step.deadline = entry.deadline;
      break;
    case EntryKind::sleep_started:
    case EntryKind::wait_started:
      if (!step.extra && !entry.event_type.empty()) {  // its question alone was recorded before
        step.extra = std::make_unique<Extra>(Extra{.event_type = entry.event_type});
      }
      if (step.phase == Phase::withdrawn) {
        step.forsaken_before = step.forsaken_early = false;
        std::erase(late_, entry.step);
      }
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
      if (step.phase == Phase::waiting) step.phase = Phase::withdrawn;
      if (step.phase != Phase::ended && step.phase != Phase::withdrawn) break;
      late_.push_back(entry.step);
      for (Delivery& delivery : order_) delivery.unheard |= delivery.ticket == entry.step;
      break;
    case EntryKind::heartbeat:
      beats_[entry.step].details = std::move(entry.value);
      break;
    case EntryKind::reclaimed:
      if (!step.ending || !step.forsaken_before)
        throw damaged(identity_, "to have been given the outcome of step " + std::to_string(entry.step) +
                                     " late, which it has not, or had got already");
      step.forsaken_before = false;
      std::erase(late_, entry.step);
      order_.push_back({entry.step});
      break;
    default:
      break;
  }
}

void Instance::replay_of_instance(Entry& entry) {
  switch (entry.kind) {
    case EntryKind::resumed:
      if (!WORKFLOWS_PLANTED(pause_eats_time)) shift_timers(entry.began.value_or(entry.at), entry.at);
      break;
    case EntryKind::rollback_started:
      rolling_back_ = true;
      failure_.reset();
      if (!entry.value.empty()) failure_ = Failure::from_json(entry.value);
      break;
    case EntryKind::instance_completed:
    case EntryKind::instance_errored:
    case EntryKind::instance_terminated:
      recorded_end_ = Finished{entry.kind, std::move(entry.value)};
      break;
    default:
      break;
  }
}

// Outcome k was delivered after all steps with `after` <= k had been asked for, and after `need` of those that were
// asked for next. Numbers stand for the steps that left no record; after a restart, which numbers what it keeps anew,
// they tell nothing of the order.
void Instance::note_asking_order() {
  gates_.assign(order_.size(), 0);
  const auto raise = [&](std::size_t delivery, std::uint32_t asked) {
    if (delivery < gates_.size()) gates_[delivery] = std::max(gates_[delivery], asked);
  };
  for (Ticket ticket = 0; ticket < steps_.size(); ++ticket) {
    const Step& step = steps_[ticket];
    if (step.key == nullptr || step.kind == StepKind::rollback) continue;
    recorded_.push_back(ticket);
  }
  std::ranges::sort(recorded_, {}, [&](Ticket ticket) { return std::pair(steps_[ticket].after, ticket); });
  std::uint32_t known = 0;
  for (const Ticket ticket : recorded_) {
    const Step& step = steps_[ticket];
    ++known;
    raise(step.after, restarted_ ? known : ticket + 1);
    if (step.after > 0) raise(step.after - 1, step.need);
  }
  for (std::size_t k = 1; k < gates_.size(); ++k) gates_[k] = std::max(gates_[k], gates_[k - 1]);
  unasked_ = static_cast<std::uint32_t>(recorded_.size());
}

// The code has asked for all that it had asked for when the next outcome was delivered first; if that is a new one, for
// all that was ever recorded.
bool Instance::gate_is_open() {
  while (!unasked().empty() && steps_[unasked().front()].asked) ++first_unasked_;
  if (!unasked().empty() && steps_[unasked().front()].after <= delivered_) return false;
  return delivered_ >= gates_.size() || asked_ >= gates_[delivered_];
}

// ---------------------------------------------------------------- delivery

void Instance::prefetch(Ticket ticket) const {
  if (ticket >= steps_.size()) return;
  values::prefetch<sizeof(Step)>(&steps_[ticket]);
  values::prefetch<sizeof(Delivery)>(order_.data() + order_.size());
}

void Instance::durable(Ticket ticket, Value recorded, TimePoint now) {
  Step& step = steps_.at(ticket);
  if (result_) return;
  if (step.phase == Phase::starting) return run_body(ticket, now);
  if (auto* result = step.ending ? std::get_if<Value>(&step.ending->outcome) : nullptr; result && result->json.empty())
    *result = std::move(recorded);
  if (step.phase == Phase::stopped) return;
  if (step.phase != Phase::ending) {
    throw StoreError("instance '" + identity_.id + "': step '" + std::string(step_name(ticket)) +
                     "' became durable without having ended. This is a fault of the engine; please report it");
  }
  enter(step, Phase::ended);
  if (step.kind == StepKind::rollback) return roll_back_next(now);
  // Journal order: an await that was cancelled before the outcome came is not answered; one cancelled after it counts
  // as answered, although nobody listens any more.
  if (step.forsaken_early) {
    late_.push_back(ticket);
  } else {
    order_.push_back({ticket});
  }
  deliver_in_order();
  go_ahead(now);
  park_if_quiet(now);
}

void Instance::finish_durable(TimePoint now) {
  if (!result_) {
    if (chain_began_) roll_back_next(now);
    return;
  }
  effects_.emplace_back(std::move(*result_));
}

void Instance::nodes_started(TimePoint now) {
  if (starting_nodes_ == 0) return;
  --starting_nodes_;
  if (starting_nodes_ > 0 || result_) return;
  deliver_in_order();
  go_ahead(now);
  park_if_quiet(now);
}

void Instance::deliver_in_order() {
  if (chain_began_) return;  // the code runs no more
  if (starting_nodes_ > 0) return;
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
  if (caught_up()) record_question(newest_);  // what code asks that has not caught up may turn out to be a mistake
  step.phase = Phase::delivered;
  resolve_queued_ = true;
  if (step.more().rollback) {  // its rollback will ask for the output
    effects_.emplace_back(Resolve{ticket, step.ending->outcome});
    return;
  }
  effects_.emplace_back(Resolve{ticket, std::move(step.ending->outcome)});
  step.ending.reset();
}

// Ended, or withdrawn, and the code waits for it in this life, although it gave up waiting in an earlier one.
bool Instance::is_late(const Step& step) const {
  const bool is_there = step.phase == Phase::ended || step.phase == Phase::withdrawn;
  return step.asked && step.forsaken_before && !step.forsaken && is_there;
}

bool Instance::is_to_be_cancelled() const {
  const auto is = [](const Step& step) { return step.asked && step.forsaken_before && !step.forsaken; };
  return std::ranges::any_of(steps_, is);
}

bool Instance::release_stalled(TimePoint now) {
  if (result_ || chain_began_ || starting_nodes_ > 0) return false;
  const bool behind = !caught_up() || !held_.empty();
  if (behind && is_to_be_cancelled()) return false;  // the code is about to do it, as it did before
  if (limits_.determinism != Determinism::ignore && goes_on_elsewhere()) {
    if (const auto missing = missing_step()) {
      diverge(*missing, now);
      return true;
    }
  }
  if (delivered_ < order_.size() && release_next(now)) return true;
  if (unasked_ > 0 && !held_.empty()) {  // that the code does something else is to be ignored
    give_up_unasked();
    go_ahead(now);
    return true;
  }
  if (delivered_ < order_.size()) return false;
  if (limits_.replay_only) {
    end_replay(nullptr);
    return true;
  }
  return reclaim(now);
}

// What was recorded is not waited for any more. Should the code ask for it after all, it gets the outcome.
void Instance::give_up_unasked() {
  unasked_ = 0;
  first_unasked_ = recorded_.size();
  gates_.resize(std::min(gates_.size(), delivered_));
  for (std::size_t k = delivered_; k < order_.size(); ++k) given_up_.insert(order_[k].ticket);
  order_.resize(delivered_);
}

// The outcome that somebody waits for although another one was delivered before it.
bool Instance::release_next(TimePoint now) {
  const auto next = order_.begin() + static_cast<std::ptrdiff_t>(delivered_);
  const auto asked = std::find_if(next, order_.end(), [&](const Delivery& d) { return steps_[d.ticket].asked; });
  if (asked == order_.end()) return false;
  std::rotate(next, asked, asked + 1);
  while (!unasked().empty() && steps_[unasked().front()].after <= delivered_) ++first_unasked_;  // it never will be
  deliver_next();
  deliver_in_order();
  go_ahead(now);
  return true;
}

// What came after the code had given up waiting for it, or did not come for that, and for which it waits now.
bool Instance::reclaim(TimePoint now) {
  const auto late = std::ranges::find_if(late_, [&](Ticket ticket) { return is_late(steps_[ticket]); });
  if (late == late_.end() || unasked_ > 0) return false;  // it went on without, and will again
  const Ticket ticket = *late;
  late_.erase(late);
  if (steps_[ticket].phase == Phase::withdrawn) {
    wait_again(ticket, now);
    return true;
  }
  steps_[ticket].forsaken_before = false;
  append(entry(EntryKind::reclaimed, ticket, now), Urgency::eager);
  lets_go_on_ = true;
  order_.push_back({ticket});
  deliver_next();
  return true;
}

}  // namespace workflows::core
