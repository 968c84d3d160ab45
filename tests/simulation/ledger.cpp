#include "tests/simulation/ledger.h"

#include <algorithm>

#include <fmt/format.h>

#include "tests/simulation/invariants.h"

namespace workflows::simulation {
namespace {

bool ends_step(EntryKind kind) {
  return kind == EntryKind::step_completed || kind == EntryKind::step_failed || kind == EntryKind::sleep_finished ||
         kind == EntryKind::wait_taken || kind == EntryKind::wait_timed_out;
}

BodyOutcome as_end(const Outcome& outcome) {
  if (const auto* value = std::get_if<Value>(&outcome)) return *value;
  if (const auto* event = std::get_if<Received>(&outcome)) return Value{event->payload};
  return std::get<Failure>(outcome);
}

}  // namespace

// What the code was told, as the model's leaves.
class Ledger::Facts final : public Leaves {
 public:
  explicit Facts(const Record& record) : record_(record) {}

  End step(const Op& op) override {
    const auto found = record_.told.find(op.place);
    return found == record_.told.end() ? End() : End(found->second);
  }
  End graph(const Op& op) override { return step(op.children.back()); }
  bool patched(const Op& op) override {
    return std::ranges::any_of(record_.entries, [&](const RecordedEntry& recorded) {
      return recorded.entry.step_kind == StepKind::value && recorded.entry.name == "patch " + op.name;
    });
  }
  std::optional<std::size_t> winner(const Op& race, std::optional<std::size_t> /*first*/) override {
    const auto found = record_.winners.find(race.place);
    return found == record_.winners.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  const Record& record_;
};

// ---------------------------------------------------------------- the database

Ledger::Record& Ledger::record_of(const storage::memory::Instance& instance) {
  const auto [known, is_new] = records_.try_emplace(instance.info.key);
  Record& record = known->second;
  if (is_new) record.status = instance.info.status;
  record.workflow = instance.info.workflow;
  record.id = instance.info.id;
  record.program = &programs_->at(record.workflow);
  record.expires = instance.info.expires;
  return record;
}

void Ledger::observe(const Tables& data, TimePoint latest, int life, const std::optional<Name>& removing) {
  check_removed(data, latest, removing);
  for (const auto& [key, instance] : data.instances) {
    hold(1, !removed_.contains(key), "instance " + instance.info.id + " was removed and is there again");
    Record& record = record_of(instance);
    check_status(record, instance.info.status, life);
    record.status = instance.info.status;
    hold(2, instance.history.size() >= record.entries.size(), "entries of instance " + record.id + " are gone");
    for (std::size_t i = record.entries.size(); i < instance.history.size(); ++i) {
      check(record, instance.history[i].entry, data, latest, life);
      record.entries.push_back(instance.history[i]);
    }
  }
  for (const auto& [id, row] : data.inbox) records_.at(row.instance).events.insert(row.event_id);
}

// What callers asked for, only callers take back (S26).
void Ledger::check_status(const Record& record, Status status, int life) {
  if (life == 0 || status == record.status) return;
  const bool is_end = is_finished(status);
  const bool stays = record.status == Status::paused || is_finished(record.status) ||
                     (record.status == Status::rolling_back && (!is_end || status == Status::complete)) ||
                     (record.status == Status::waiting_for_pause && !is_end && status != Status::paused &&
                      status != Status::rolling_back);
  hold(1, !stays,
       fmt::format("instance {} was {}, and an engine has made it {}", record.id, to_string(record.status),
                   to_string(status)));
}

// An older generation goes with a newer one.
bool Ledger::has_expired(const Record& record, TimePoint latest) const {
  return record.ended && std::ranges::any_of(records_, [&](const auto& known) {
           const Record& other = known.second;
           return other.workflow == record.workflow && other.id == record.id && other.ended && other.expires &&
                  *other.expires <= latest;
         });
}

void Ledger::check_removed(const Tables& data, TimePoint latest, const std::optional<Name>& removing) {
  std::vector<InstanceKey> removed;
  for (const auto& [key, record] : records_) {
    if (data.instances.contains(key)) continue;
    hold(12, has_expired(record, latest) || removing == Name(record.workflow, record.id),
         "instance " + record.id + " was removed although nobody asked for it and it has not expired");
    counters_->sometimes("an instance was removed");
    removed.push_back(key);
  }
  for (const InstanceKey key : removed) {
    removed_.insert(key);
    removed_events_.merge(records_.extract(key).mapped().events);
  }
}

void Ledger::check(Record& record, const Entry& entry, const Tables& data, TimePoint latest, int life) {
  hold(7, !record.ended,
       "instance " + record.id + " has ended, and " + std::string(to_string(entry.kind)) + " was written for it");
  hold(6, entry.at <= latest, "an entry was written in the future");
  hold(7,
       !record.paused || entry.kind == EntryKind::resumed || entry.kind == EntryKind::instance_terminated ||
           entry.kind == EntryKind::rollback_started || entry.kind == EntryKind::version,
       "instance " + record.id + " is paused, and " + std::string(to_string(entry.kind)) + " was written for it");
  switch (entry.kind) {
    case EntryKind::paused:
      hold(13, entry.value.empty(), "instance " + record.id + " was paused by the engine: " + entry.value);
      record.paused = true;
      counters_->sometimes("an instance was paused");
      break;
    case EntryKind::resumed:
      record.paused = false;
      record.stood_still = true;
      shift(record, entry);
      break;
    case EntryKind::rollback_started:
      record.paused = false;
      begin_chain(record, entry);
      break;
    case EntryKind::instance_completed:
    case EntryKind::instance_errored:
    case EntryKind::instance_terminated:
      check_end(record, entry);
      record.ended = true;
      break;
    default:
      if (entry.kind < EntryKind::rollback_started) check_step(record, entry, data, life);
      break;
  }
}

void Ledger::shift(Record& record, const Entry& resumed) {
  for (auto& [ticket, step] : record.steps) {
    if (!step.ended && step.deadline) step.pauses.push_back({std::max(*resumed.began, step.began), resumed.at});
  }
}

// What began in the moment of a pause, before it was heard, may be recorded after the pause.
TimePoint Ledger::due(const Step& step, TimePoint when) {
  TimePoint due = *step.deadline;
  for (const auto& [began, ended] : step.pauses) {
    const bool stepped_back = ended < began;
    if (ended <= when || stepped_back) due += ended - began;
  }
  return due;
}

const Op* Ledger::op_of(const Record& record, Ticket ticket) const {
  const auto place = record.places.find(ticket);
  return place == record.places.end() ? nullptr : find(*record.program, place->second);
}

void Ledger::check_step(Record& record, const Entry& entry, const Tables& data, int life) {
  Step& step = record.steps[entry.step];
  if (!entry.name.empty()) {
    step.kind = entry.step_kind;
    step.name = entry.name;
    step.occurrence = entry.occurrence;
  }
  const bool ends = ends_step(entry.kind);
  const bool is_note = entry.kind == EntryKind::abandoned || entry.kind == EntryKind::reclaimed;
  hold(2, is_note || !step.ended,
       fmt::format("step {} ({}) of instance {} has its result, and {} was written for it", entry.step, step.name,
                   record.id, to_string(entry.kind)));
  const Op* op = op_of(record, entry.step);
  check_time(step, op, entry, record.stood_still);
  if (step.kind == StepKind::do_ && op != nullptr) check_attempt(record, step, *op, entry, life);
  if (entry.kind == EntryKind::wait_taken) check_taken(record, step, entry, data);
  if (entry.kind == EntryKind::wait_timed_out) counters_->sometimes("timeout beat event");
  if (ends && step.kind == StepKind::rollback) check_compensation(record, entry);
  step.attempt = std::max(step.attempt, entry.attempt);
  step.ended |= ends;
  if (entry.kind == EntryKind::attempt_started && op != nullptr) record.bodies[op->place].lives.insert(life);
  if (entry.kind == EntryKind::abandoned) step.withdrawn = !step.type.empty();  // it is a wait, and had begun
  if (entry.kind == EntryKind::wait_started) step.withdrawn = false;
  if (is_note) return;
  step.deadline = entry.deadline;
  step.pauses.clear();
  step.began = entry.at;
  if (!entry.event_type.empty()) step.type = entry.event_type;
}

void Ledger::check_time(const Step& step, const Op* op, const Entry& entry, bool stood_still) {
  const bool fires = entry.kind == EntryKind::sleep_finished || entry.kind == EntryKind::wait_timed_out;
  if (fires) {
    hold(6, !step.deadline || entry.at >= due(step, entry.at), "the timer of " + step.name + " fired before its time");
    if (op != nullptr && !stood_still)
      hold(6, entry.at >= *entry.began + Millis(op->ms), "the timer of " + step.name + " fired too soon");
  }
  const auto began = entry.kind == EntryKind::attempt_started ? std::optional(entry.at) : entry.began;
  const bool is_next_attempt = entry.attempt > step.attempt && step.attempt > 0 && step.deadline && began;
  if (!is_next_attempt) return;
  hold(6, *began >= due(step, *began), "an attempt of " + step.name + " began before its delay was over");
}

// What a body may have come to, and how many times it may be tried.
void Ledger::check_attempt(Record& record, const Step& step, const Op& op, const Entry& entry, int life) {
  const std::string what = fmt::format("attempt {} of step {} at {}", entry.attempt, step.name, op.place);
  hold(2, entry.attempt >= step.attempt && entry.attempt <= op.limit + 1, what + " is one that there cannot be");
  if (entry.kind == EntryKind::step_completed) {
    hold(2, text_of(body_outcome(op, entry.attempt)) == entry.value, what + " cannot have ended with " + entry.value);
    return;
  }
  if (entry.kind != EntryKind::step_failed && entry.kind != EntryKind::attempt_failed) return;
  const Failure failure = Failure::from_json(entry.value);
  const bool is_last = entry.attempt == op.limit + 1 || failure.type == "FatalError" || entry.attempt == 0;
  hold(2, is_last == (entry.kind == EntryKind::step_failed), what + " was the last one, or was not");
  if (failure.type == kProcessLost) {
    counters_->sometimes("an attempt was lost with its process");
    const bool by_another =
        std::ranges::any_of(record.bodies[op.place].lives, [&](int other) { return other != life; });
    hold(2, by_another, what + " is said to be lost, but no other process ran it");
  } else if (failure.type == "StepTimeoutError") {
    counters_->sometimes("an attempt timed out");
    // Where a function chooses the delay, it is written down when that has answered.
    hold(6, op.chooses_delay || entry.at >= *entry.began + Millis(op.timeout_ms), what + " timed out too soon");
  } else if (failure.type == "DependencyError") {
    counters_->sometimes("a dependency failed");
    hold(8, entry.attempt == 0, what + " ran although a dependency failed");
  } else {
    hold(2, text_of(body_outcome(op, entry.attempt)) == text_of(failure), what + " cannot fail with " + failure.type);
  }
}

void Ledger::check_taken(Record& record, const Step& step, const Entry& entry, const Tables& data) {
  const auto event = data.inbox.find(entry.event);
  hold(5, event != data.inbox.end() && event->second.event.taken, "a wait took an event that is not in the inbox");
  const std::string& type = event->second.event.type;
  hold(5, step.type.empty() || step.type == type, "a wait took an event of another type");
  hold(5, !step.withdrawn, "a wait took an event after its await was cancelled");
  auto& last = record.last_taken[type];
  hold(5, entry.event > last, "events were taken twice, or out of their order");
  last = entry.event;
  counters_->sometimes("a wait took an event");
}

// ---------------------------------------------------------------- compensation and the end

void Ledger::begin_chain(Record& record, const Entry& entry) {
  hold(9, !record.rolls_back, "a rollback began twice");
  record.rolls_back = true;
  counters_->sometimes("a rollback began");
  for (auto& [ticket, step] : record.steps) {
    const Op* op = op_of(record, ticket);
    if (step.kind != StepKind::do_ || step.attempt == 0 || op == nullptr || !op->rollback) continue;
    record.to_compensate.insert(record.to_compensate.begin(), Compensation{step.name, step.occurrence, op->goes_on});
  }
  if (entry.value.empty()) return;
  const BodyOutcome end = expected(record);
  hold(13, text_of(end) == text_of(Failure::from_json(entry.value)),
       "the run failed with " + entry.value + " instead of " + text_of(end));
}

void Ledger::check_compensation(Record& record, const Entry& entry) {
  hold(9, record.compensated < record.to_compensate.size() && !record.chain_stopped,
       "a step was compensated that is not to be, " + entry.name);
  const Compensation& next = record.to_compensate[record.compensated++];
  hold(9, next.name == entry.name && next.occurrence == entry.occurrence,
       fmt::format("{}#{} was compensated instead of {}#{}", entry.name, entry.occurrence, next.name, next.occurrence));
  record.chain_stopped = entry.kind == EntryKind::step_failed && !next.goes_on;
  if (record.chain_stopped) counters_->sometimes("a failed compensation stopped the chain");
}

BodyOutcome Ledger::expected(const Record& record) const {
  Facts facts(record);
  const End end = evaluate(*record.program, facts);
  hold(13, end.has_value(), "instance " + record.id + " has ended, but its program has not");
  return *end;
}

void Ledger::check_report(const Record& record, const Entry& entry) {
  const auto report = boost::json::parse(entry.detail).at("rollback");
  const auto count = [&](const char* part) { return report.at(part).as_array().size(); };
  hold(9, count("compensated") + count("failed") == record.compensated, "the report of a rollback is wrong");
  hold(9, count("not_run") == record.to_compensate.size() - record.compensated, "the report of a rollback is wrong");
}

void Ledger::check_end(Record& record, const Entry& entry) {
  counters_->sometimes("ended: " + std::string(to_string(entry.kind)));
  if (record.rolls_back) {
    hold(9, record.chain_stopped || record.compensated == record.to_compensate.size(),
         "instance " + record.id + " has ended before all was compensated");
    check_report(record, entry);
  }
  if (entry.kind == EntryKind::instance_terminated) return;
  const BodyOutcome end = expected(record);
  const bool completed = entry.kind == EntryKind::instance_completed;
  const std::string found = completed ? entry.value : text_of(Failure::from_json(entry.value));
  hold(13, std::holds_alternative<Value>(end) == completed && text_of(end) == found,
       "instance " + record.id + " has ended with " + found + " instead of " + text_of(end));
}

// ---------------------------------------------------------------- the code

// A step that is on record belongs to the same place of the program in every life.
void Ledger::asked(InstanceKey key, Ticket ticket, const Op& op) {
  const auto known = records_.find(key);
  if (known == records_.end()) return;  // removed, and its engine has not heard
  Record& record = known->second;
  const auto step = record.steps.find(ticket);
  auto& place = record.places.try_emplace(ticket, op.place).first->second;
  if (step != record.steps.end() && step->second.kind != StepKind{}) {
    hold(13, place == op.place,
         fmt::format("step {} of instance {} was asked for at {} before, and is now at {}", ticket, record.id, place,
                     op.place));
  }
  place = op.place;
}

void Ledger::told(InstanceKey key, Ticket ticket, const Op& op, const Outcome& outcome, const Tables& data) {
  const auto known = records_.find(key);
  if (known == records_.end()) return;
  Record& record = known->second;
  const auto& history = data.instances.at(key).history;
  const bool durable = std::ranges::any_of(history, [&](const RecordedEntry& recorded) {
    return recorded.entry.step == ticket && ends_step(recorded.entry.kind);
  });
  hold(1, durable, fmt::format("the outcome of step {} was told before it was committed", ticket));
  const BodyOutcome end = as_end(outcome);
  const auto [first, is_new] = record.told.try_emplace(op.place, end);
  if (!is_new) counters_->sometimes("an outcome was replayed");
  hold(2, text_of(first->second) == text_of(end),
       fmt::format("the code at {} was told {} before, and now {}", op.place, text_of(first->second), text_of(end)));
}

void Ledger::won(InstanceKey key, const Op& race, std::size_t winner) {
  const auto known = records_.find(key);
  if (known == records_.end()) return;
  const auto [first, is_new] = known->second.winners.try_emplace(race.place, winner);
  hold(13, first->second == winner, fmt::format("the race at {} was won by another one before", race.place));
  if (winner > 0) counters_->sometimes("a later racer won");
}

void Ledger::body_began(const Body& body, int life, bool owned) {
  const auto known = records_.find(body.key);
  if (known == records_.end()) return;
  Step& step = known->second.steps[body.ticket];
  if (!owned) {
    counters_->sometimes("a stale owner ran a body");
    return;
  }
  hold(3, !step.ended, fmt::format("the body of step {} began after its result was committed", body.ticket));
  Bodies& bodies = known->second.bodies[body.op->place];
  if (body.op->limit == 0 && !body.is_rollback) {
    hold(3, body.attempt == 1 && bodies.count == 0, "a body that may run once began again");
    hold(3, step.attempt == 1, "a body that may run once began before that was on record");
  }
  if (!body.is_rollback) ++bodies.count;
  bodies.lives.insert(life);
}

// ---------------------------------------------------------------- callers

void Ledger::created(const std::string& id, InstanceKey key, const Tables& data) {
  created_[key] = id;
  check_created(id, key, data);
}

void Ledger::check_created(const std::string& id, InstanceKey key, const Tables& data) const {
  const auto found = data.instances.find(key);
  const bool is_there = found != data.instances.end() && found->second.info.id == id;
  hold(1, is_there || removed_.contains(key), "the creation of " + id + " was acknowledged and is lost");
}

void Ledger::sent(const std::string& event_id, const Tables& data) {
  sent_.insert(event_id);
  check_sent(event_id, data);
}

void Ledger::check_sent(const std::string& event_id, const Tables& data) const {
  const bool is_there =
      std::ranges::any_of(data.inbox, [&](const auto& row) { return row.second.event_id == event_id; });
  hold(1, is_there || removed_events_.contains(event_id), "event " + event_id + " was acknowledged and is lost");
}

void Ledger::check_acknowledged(const Tables& data) const {
  for (const auto& [key, id] : created_) check_created(id, key, data);
  for (const std::string& event_id : sent_) check_sent(event_id, data);
  for (const auto& [key, record] : records_) {
    hold(2, data.instances.at(key).history == record.entries, "the history of " + record.id + " has changed");
  }
}

void Ledger::check_indexes(const Tables& data) {
  std::set<std::tuple<std::string, std::string, std::uint32_t>> names;
  std::map<std::pair<Status, storage::OwnerId>, std::set<InstanceKey>> unfinished;
  for (const auto& [key, instance] : data.instances) {
    const InstanceInfo& info = instance.info;
    hold(10, names.insert({info.workflow, info.id, info.generation}).second, "there are two instances " + info.id);
    if (!is_finished(info.status)) unfinished[{info.status, info.owner}].insert(key);
  }
  for (const auto& [place, keys] : data.unfinished) {
    hold(14, keys == unfinished[place], "an index of unfinished instances is wrong");
    unfinished.erase(place);
  }
  for (const auto& [place, keys] : unfinished) hold(14, keys.empty(), "an unfinished instance is in no index");
  std::set<std::pair<InstanceKey, std::string>> events;
  for (const auto& [id, row] : data.inbox) {
    hold(5, row.event_id.empty() || events.insert({row.instance, row.event_id}).second,
         "event " + row.event_id + " is there twice");
  }
}

std::vector<std::string> Ledger::awaited(InstanceKey key) const {
  std::vector<std::string> types;
  const auto known = records_.find(key);
  if (known == records_.end() || known->second.ended || known->second.rolls_back) return types;
  for (const auto& [ticket, step] : known->second.steps) {
    if (step.kind == StepKind::wait_for_event && !step.ended && !step.withdrawn && !step.type.empty())
      types.push_back(step.type);
  }
  return types;
}

std::vector<std::string> Ledger::starving(InstanceKey key, const Tables& data) const {
  std::vector<std::string> types = awaited(key);
  std::erase_if(types, [&](const std::string& type) {
    return std::ranges::none_of(data.inbox, [&](const auto& row) {
      return row.second.instance == key && !row.second.event.taken && row.second.event.type == type;
    });
  });
  return types;
}

}  // namespace workflows::simulation
