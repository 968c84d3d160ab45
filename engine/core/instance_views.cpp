// Entries as they are written, effects as they are taken, and what is seen of an instance.

#include <algorithm>
#include <utility>

#include "engine/core/idempotency.h"
#include "engine/core/instance.h"

namespace workflows::core {
namespace {

bool is_attempted(StepKind kind) { return kind == StepKind::do_ || kind == StepKind::rollback; }

}  // namespace

Entry Instance::entry(EntryKind kind, Ticket ticket, TimePoint now) const {
  const Step& step = steps_[ticket];
  Entry made;
  made.kind = kind;
  made.step = ticket;
  made.at = now;
  if (is_attempted(step.kind)) made.attempt = step.attempt;
  return made;
}

Entry Instance::identified_entry(EntryKind kind, Ticket ticket, TimePoint now) const {
  const Step& step = steps_[ticket];
  Entry made = entry(kind, ticket, now);
  made.step_kind = step.kind;
  made.name = step_name(ticket);
  made.occurrence = step.occurrence;
  made.after = step.after;
  made.need = step.need;
  made.event_type = step.more().event_type;
  made.detail = step.more().detail;
  if (step.source != nullptr) made.source = *step.source;
  if (step.kind == StepKind::sleep || step.kind == StepKind::wait_for_event) made.deadline = step.deadline;
  return made;
}

void Instance::append(Entry&& entry, Urgency urgency) {
  if (!entry.name.empty()) steps_[entry.step].recorded = true;
  const bool of_step = entry.kind < EntryKind::rollback_started;
  if (limits_.replay_only || (of_step && parked())) return;
  effects_.emplace_back(std::in_place_type<Append>, std::move(entry), urgency);
}

bool Instance::lend(std::vector<Effect>& room) {
  if (effects_.capacity() > 0) return false;
  effects_.swap(room);
  return true;
}

// The newest question reaches the disk before what will let the code go on: else same-named steps could change places
// when the process dies right after that (S14). Requires: what is taken together is committed together.
void Instance::take_effects(std::vector<Effect>& effects) {
  if (std::exchange(lets_go_on_, false) && !chain_began_ && !steps_[newest_].recorded) {
    record_question(newest_);
    std::rotate(effects_.begin(), effects_.end() - 1, effects_.end());
  }
  resolve_taken_ |= std::exchange(resolve_queued_, false);
  effects.clear();
  effects.swap(effects_);
}

bool Instance::replaying() const {
  if (chain_began_ || result_) return false;
  if (limits_.replay_only || !caught_up()) return true;
  return std::ranges::any_of(late_, [&](Ticket ticket) { return is_late(steps_[ticket]); });
}

bool Instance::waiting() const {
  return !result_ && busy_ == 0 && held_.empty() && !pausing_ && !replaying() && starting_nodes_ == 0 &&
         (!deadlines_.empty() || endless_waits_ > 0);
}

std::optional<TimePoint> Instance::wake() const {
  return deadlines_.empty() ? std::nullopt : std::optional(deadlines_.begin()->first);
}

const StepConfig& Instance::config(Ticket ticket) const { return steps_.at(ticket).more().config; }

std::string Instance::idempotency_key(Ticket ticket) const {
  const Step& step = steps_.at(ticket);
  return core::idempotency_key(identity_, step.kind, step_name(ticket), step.occurrence);
}

std::string_view Instance::step_name(Ticket ticket) const { return std::string_view(*steps_.at(ticket).key).substr(1); }

std::uint32_t Instance::occurrence(Ticket ticket) const { return steps_.at(ticket).occurrence; }

}  // namespace workflows::core
