// What interrupts a run: new work that waits, waits that are given up, pause, rollback, divergence.

#include <algorithm>
#include <boost/json.hpp>
#include <ranges>
#include <utility>

#include "engine/core/divergence.h"
#include "engine/core/instance.h"
#include "engine/testing/planted_bug.h"

namespace workflows::core {

// ---------------------------------------------------------------- new work that waits

void Instance::hold(Ticket ticket, Work work) {
  Step& step = steps_[ticket];
  step.phase = Phase::held;
  step.start_recorded = false;
  held_.emplace_back(ticket, std::move(work));
}

void Instance::begin(Ticket ticket, Work work, TimePoint now) {
  steps_[ticket].phase = Phase::unknown;
  if (auto* failure = std::get_if<Failure>(&work)) return end_do(ticket, std::move(*failure), now);
  if (const auto* sleep = std::get_if<SleepRequest>(&work)) return begin_sleep(ticket, *sleep, now);
  if (const auto* wait = std::get_if<WaitRequest>(&work)) return begin_wait(ticket, *wait, now);
  start_attempt(ticket, steps_[ticket].attempt + 1, now);
}

// Called whenever something that new work waits for may have come.
void Instance::go_ahead(TimePoint now) {
  if (result_ || chain_began_ || limits_.replay_only) return;
  if (rolling_back_ && caught_up()) {
    chain_began_ = true;
    return roll_back_next(now);
  }
  if (roll_back_asked_ && caught_up()) return begin_rollback(std::nullopt, now);
  if (held_.empty() || holds()) return;
  for (auto& [ticket, work] : std::exchange(held_, {})) begin(ticket, std::move(work), now);
}

// ---------------------------------------------------------------- waits that the code gives up

// Whoever cancels a wait does not expect it to take what comes later: that is for the waits that follow.
void Instance::withdraw(Ticket ticket) {
  Step& step = steps_[ticket];
  if (step.phase == Phase::held) {
    std::erase_if(held_, [&](const auto& held) { return held.first == ticket; });
  } else if (step.phase == Phase::waiting) {
    std::erase(waits_[step.more().event_type], ticket);
    if (step.deadline) {
      deadlines_.erase({*step.deadline, ticket});
      effects_.emplace_back(Disarm{ticket});
    } else {
      --endless_waits_;
    }
  } else {
    return;
  }
  enter(step, Phase::withdrawn);
}

// In this life the code waits for it after all.
void Instance::wait_again(Ticket ticket, TimePoint now) {
  Step& step = steps_[ticket];
  step.forsaken_before = step.forsaken_early = false;
  append(identified_entry(EntryKind::wait_started, ticket, now), Urgency::eager);
  step.phase = Phase::waiting;
  go_on(ticket, now);
}

// ---------------------------------------------------------------- the end

void Instance::stop_everything() {
  for (Ticket ticket = 0; ticket < steps_.size(); ++ticket) {
    Step& step = steps_[ticket];
    if (is_armed(step)) effects_.emplace_back(Disarm{ticket});
    if (step.phase == Phase::running && step.asked) effects_.emplace_back(CancelBody{ticket, step.attempt});
    if (step.phase < Phase::ending) enter(step, Phase::stopped);
  }
  deadlines_.clear();
  held_.clear();
  endless_waits_ = 0;
}

void Instance::end_run(EntryKind kind, std::string value, TimePoint now, std::string detail) {
  result_ = Finished{kind, value, detail};
  Entry end;
  end.kind = kind;
  end.at = now;
  end.value = std::move(value);
  end.detail = std::move(detail);
  append(std::move(end), Urgency::awaited);
}

void Instance::lose() {
  if (result_) return;
  stop_everything();
  result_ = Finished{EntryKind::instance_terminated, {}, {}};
}

// ---------------------------------------------------------------- pause

void Instance::pause(TimePoint now) {
  if (result_ || pausing_ || rolling_back_) return;
  pausing_ = true;
  pause_began_ = now;
  for (const auto& [deadline, ticket] : deadlines_) effects_.emplace_back(Disarm{ticket});
  park_if_quiet(now);
}

// No body runs and nothing is on its way to disk. What the code does meanwhile it does again when it comes back.
void Instance::park_if_quiet(TimePoint now) {
  if (!pausing_ || result_ || busy_ > 0) return;
  end_run(EntryKind::paused, {}, now);
}

void Instance::resume(TimePoint now) {
  if (!pausing_ || (result_ && result_->kind != EntryKind::paused)) return;
  pausing_ = false;
  Entry resumed;
  resumed.kind = EntryKind::resumed;
  resumed.at = now;
  resumed.began = pause_began_;
  append(std::move(resumed), Urgency::eager);
  if (result_) return;  // it has been parked
  shift_timers(pause_began_, now);
  for (const auto& [deadline, ticket] : deadlines_) effects_.emplace_back(Arm{ticket, deadline});
  for (auto& [type, waits] : waits_) {
    if (!waits.empty()) take_events(type, now);
  }
  go_ahead(now);
}

// Timers that stood still get the time that was left.
void Instance::shift_timers(TimePoint since, TimePoint until) {
  deadlines_.clear();
  for (Ticket ticket = 0; ticket < steps_.size(); ++ticket) {
    Step& step = steps_[ticket];
    const bool waits = step.phase == Phase::resting || step.phase == Phase::sleeping || step.phase == Phase::waiting;
    if (!waits || !step.deadline) continue;
    *step.deadline += until - std::max(since, step.began);
    if (step.asked) deadlines_.emplace(*step.deadline, ticket);
  }
}

// ---------------------------------------------------------------- rollback

bool Instance::can_be_rolled_back(Ticket ticket) const {
  const Step& step = steps_[ticket];
  return step.kind == StepKind::do_ && step.asked && step.attempt > 0 && step.more().rollback;
}

void Instance::roll_back(TimePoint now) {
  if (chain_began_) return;
  if (result_ && result_->kind == EntryKind::instance_completed) {  // which the store does not take any more
    result_.reset();
    return begin_rollback(std::nullopt, now);
  }
  if (result_) return;
  pausing_ = false;
  roll_back_asked_ = true;
  go_ahead(now);  // also if it is on record already: a run of no steps has nothing to catch up with
}

void Instance::begin_rollback(std::optional<Failure> failure, TimePoint now) {
  for (Ticket ticket = 0; ticket < steps_.size(); ++ticket) {
    if (can_be_rolled_back(ticket)) record_that_it_started(ticket);
  }
  stop_everything();
  pausing_ = false;
  rolling_back_ = chain_began_ = true;
  failure_ = std::move(failure);
  Entry started;
  started.kind = EntryKind::rollback_started;
  started.at = now;
  if (failure_) started.value = failure_->to_json();
  append(std::move(started), Urgency::awaited);
}

// So that a later life knows it, too. The question alone may have been recorded before.
void Instance::record_that_it_started(Ticket ticket) {
  const Step& step = steps_[ticket];
  const bool is_under_way = step.phase == Phase::running || step.phase == Phase::choosing;
  if (is_under_way && !step.start_recorded) return append_start(ticket, Urgency::eager);
  record_question(ticket);
}

// The step of the engine's own that compensates another one.
Ticket Instance::rollback_step(Ticket of) {
  const std::string name(step_name(of));
  auto& [key, names] = *names_.try_emplace(key_of(StepKind::rollback, name)).first;
  const std::uint32_t occurrence = steps_[of].occurrence;
  if (occurrence <= names.recorded.size() && names.recorded[occurrence - 1] != kNoTicket)
    return names.recorded[occurrence - 1];
  const Ticket ticket = free_ticket();
  Step& step = new_step(ticket);
  step.kind = StepKind::rollback;
  step.key = &key;
  step.occurrence = occurrence;
  DoRequest request{.config = steps_[of].more().rollback->step};
  open_do(ticket, request);
  return ticket;
}

// In reverse order of their start, one at a time, those that have ended in an earlier life passed over.
void Instance::roll_back_next(TimePoint now) {
  if (to_roll_back_.empty() && compensated_.empty()) {
    for (Ticket ticket = 0; ticket < steps_.size(); ++ticket) {
      if (can_be_rolled_back(ticket)) to_roll_back_.push_back(ticket);
    }
    if (WORKFLOWS_PLANTED(rollbacks_forward)) std::ranges::reverse(to_roll_back_);
  }
  while (!to_roll_back_.empty()) {
    if (!compensated_.empty()) {
      const auto& [of, ticket] = compensated_.back();
      const bool failed = std::holds_alternative<Failure>(steps_[ticket].ending->outcome);
      if (failed && !steps_[of].more().rollback->continue_on_failure) break;
    }
    const Ticket of = to_roll_back_.back();
    to_roll_back_.pop_back();
    rollback_of_ = of;
    const Ticket ticket = rollback_step(of);
    compensated_.push_back({of, ticket});
    steps_[ticket].asked = true;
    if (steps_[ticket].phase == Phase::ended) continue;
    if (steps_[ticket].phase == Phase::unknown) return start_attempt(ticket, 1, now);
    return go_on(ticket, now);
  }
  end_rollback(now);
}

std::string Instance::rollback_report() const {
  boost::json::array done;
  boost::json::array failed;
  boost::json::array left;
  const auto shown = [&](Ticket ticket) -> boost::json::object {
    return {{"name", std::string(step_name(ticket))}, {"count", steps_[ticket].occurrence}};
  };
  for (const auto& [of, ticket] : compensated_) {
    if (const auto* failure = std::get_if<Failure>(&steps_[ticket].ending->outcome)) {
      auto step = shown(of);
      step["error"] = boost::json::parse(failure->to_json());
      failed.push_back(std::move(step));
    } else {
      done.push_back(shown(of));
    }
  }
  for (const Ticket of : std::views::reverse(to_roll_back_)) left.push_back(shown(of));
  const boost::json::object report = {
      {"compensated", std::move(done)}, {"failed", std::move(failed)}, {"not_run", std::move(left)}};
  return boost::json::serialize(boost::json::object{{"rollback", report}});
}

void Instance::end_rollback(TimePoint now) {
  end_run(failure_ ? EntryKind::instance_errored : EntryKind::instance_terminated,
          failure_ ? failure_->to_json() : std::string(), now, rollback_report());
}

Failure Instance::rollback_reason() const {
  if (failure_) return *failure_;
  Failure terminated;
  terminated.type = "WorkflowTerminatedError";
  terminated.message = "the instance was terminated";
  return terminated;
}

std::optional<Value> Instance::output(Ticket ticket) const {
  const auto& ending = steps_.at(ticket).ending;
  const auto* value = ending ? std::get_if<Value>(&ending->outcome) : nullptr;
  return value == nullptr ? std::nullopt : std::optional(*value);
}

// ---------------------------------------------------------------- divergence

// The code waits for something else than what its history has next: for new work, or for an outcome that came later.
bool Instance::goes_on_elsewhere() const {
  if (!held_.empty()) return true;
  const auto waits = [&](const Delivery& delivery) { return !delivery.unheard && steps_[delivery.ticket].asked; };
  return std::any_of(order_.begin() + static_cast<std::ptrdiff_t>(delivered_), order_.end(), waits);
}

// The first recorded step that the code should have asked for by now.
std::optional<Ticket> Instance::missing_step() const {
  if (unasked_ == 0) return std::nullopt;
  for (const Ticket ticket : recorded_) {
    if (steps_[ticket].asked) continue;
    return steps_[ticket].after <= delivered_ ? std::optional(ticket) : std::nullopt;
  }
  return std::nullopt;
}

void Instance::diverge(Ticket missing, TimePoint now) {
  const auto described = [&](Ticket ticket) {
    const Step& step = steps_[ticket];
    return DivergentStep{.number = ticket,
                         .kind = step.kind,
                         .name = std::string(step_name(ticket)),
                         .occurrence = step.occurrence,
                         .source = step.source == nullptr ? std::string() : *step.source,
                         .ended = step.phase == Phase::ended};
  };
  Divergence divergence{.position = static_cast<std::uint32_t>(delivered_), .recorded = described(missing)};
  for (const auto& [ticket, work] : held_) divergence.asked.push_back(described(ticket));
  for (std::size_t k = delivered_; k < order_.size(); ++k) {
    const Ticket ticket = order_[k].ticket;
    if (!order_[k].unheard && steps_[ticket].asked) divergence.asked.push_back(described(ticket));
  }
  stop_everything();
  if (limits_.replay_only || limits_.determinism == Determinism::pause) {
    end_run(EntryKind::paused, to_json(divergence), now);
  } else {
    Failure failure;
    failure.type = "DivergenceError";
    failure.message = describe(divergence);
    failure.retryable = false;
    end_run(EntryKind::instance_errored, failure.to_json(), now);
  }
  if (limits_.replay_only) effects_.emplace_back(std::move(*result_));
}

// ---------------------------------------------------------------- replay alone

// `outcome`: what `run` returned or raised; absent: the code stands still at the end of the history.
void Instance::end_replay(const BodyOutcome* outcome) {
  std::string problem;
  if (outcome == nullptr && recorded_end_ && recorded_end_->kind != EntryKind::instance_terminated) {
    problem = "the history has come to its end, but the code goes on";
    if (!held_.empty()) {
      const auto& [ticket, work] = held_.front();
      problem += " to " + std::string(to_string(steps_[ticket].kind)) + " '" + std::string(step_name(ticket)) + "'";
    }
  }
  if (outcome != nullptr && recorded_end_) {
    const auto* value = std::get_if<Value>(outcome);
    const bool completed = recorded_end_->kind == EntryKind::instance_completed;
    if (recorded_end_->kind != EntryKind::instance_terminated) {
      if ((value != nullptr) != completed) {
        problem = completed ? "the history ends with an output, but the code fails with " +
                                  core::describe(std::get<Failure>(*outcome))
                            : "the history ends with a failure, but the code returns";
      } else if (completed && value->json != recorded_end_->value) {
        problem = "the code returns another output than the history has";
      }
    }
  }
  const bool complete = outcome != nullptr && recorded_end_.has_value();
  const std::string_view reason = !problem.empty() ? "diverged" : complete ? "match" : "incomplete";
  if (problem.empty()) {
    problem =
        complete ? "the code does what the history says" : "the code does what the history says, as far as that goes";
  }
  const boost::json::object told = {{"reason", reason}, {"message", problem}};
  stop_everything();
  result_ = Finished{EntryKind::paused, boost::json::serialize(told), {}};
  effects_.emplace_back(*result_);
}

// ---------------------------------------------------------------- versions

void Instance::note_version(const std::vector<Entry>& history) {
  std::string last = identity_.version;
  for (const Entry& entry : history) {
    if (entry.kind == EntryKind::version) last = entry.value;
  }
  if (identity_.code_version.empty() || last == identity_.code_version || limits_.replay_only) return;
  Entry noted;
  noted.kind = EntryKind::version;
  noted.at = identity_.started;
  noted.value = identity_.code_version;
  append(std::move(noted), Urgency::eager);
}

}  // namespace workflows::core
