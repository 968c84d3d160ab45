#pragma once
// Plays workflow code, written as data, on a core::Instance: bodies succeed at once, timers fire when nothing else is
// to do. For what does not depend on the order in which things come (instance_script.h is for what does).

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/instance.h"
#include "tests/support/durable.h"
#include "tests/unit/core/instance_harness.h"

namespace workflows::core {

struct Op {
  StepKind kind = StepKind::do_;
  std::string name{};
  std::vector<std::string> depends{};  // do: begins when these have ended
  std::string patch{};                 // not empty: no step, but a guard of what follows
  std::vector<Op> patched{};
  std::vector<Op> unpatched{};
};
using Ops = std::vector<Op>;
// Branches that run at the same time.
using Code = std::vector<Ops>;

inline Op step(std::string name) { return {.name = std::move(name)}; }
inline Op after(std::string name, std::vector<std::string> depends) {
  return {.name = std::move(name), .depends = std::move(depends)};
}
inline Op nap(std::string name) { return {.kind = StepKind::sleep, .name = std::move(name)}; }
inline Op event(std::string name) { return {.kind = StepKind::wait_for_event, .name = std::move(name)}; }
inline Op recorded(std::string name) { return {.kind = StepKind::value, .name = std::move(name)}; }
inline Op guard(std::string patch, Ops patched, Ops unpatched) {
  return {.patch = std::move(patch), .patched = std::move(patched), .unpatched = std::move(unpatched)};
}
inline Ops repeat(int times, const Op& op) { return Ops(static_cast<std::size_t>(times), op); }

class CodePlayer {
 public:
  CodePlayer(Code code, std::vector<Entry> history = {}, Limits limits = {}, std::vector<InboxEvent> inbox = {})
      : journal(history), instance_(kIdentity, limits, history, as_stored(std::move(inbox), history)) {
    for (Ops& ops : code) branches_.push_back({std::move(ops)});
  }

  // "complete", "paused", "errored", or "waits" when only an event helps.
  std::string play() {
    while (end.empty()) {
      for (Branch& branch : branches_) go_on(branch);
      if (carry_out() || finish() || end_body() || commit()) continue;
      if (instance_.replaying() && instance_.release_stalled(now_)) continue;
      if (fire_timer()) continue;
      return "waits";
    }
    return end;
  }

  std::vector<Entry> journal;
  std::vector<std::string> bodies{};  // "name#occurrence", in the order in which they ran
  std::string end{};
  std::string told{};  // with the end

 private:
  struct Branch {
    Ops ops;
    std::size_t next = 0;
    std::optional<Ticket> awaited{};
  };

  void go_on(Branch& branch) {
    while (!branch.awaited && branch.next < branch.ops.size() && end.empty()) {
      const Op op = branch.ops[branch.next];
      if (!op.patch.empty()) {
        const Ops& chosen = instance_.patched(op.patch, nullptr, now_).value() ? op.patched : op.unpatched;
        const auto at = branch.ops.erase(branch.ops.begin() + static_cast<std::ptrdiff_t>(branch.next));
        branch.ops.insert(at, chosen.begin(), chosen.end());
      } else if (op.kind == StepKind::value) {
        static_cast<void>(instance_.value({op.name, {"1"}}, now_));
        ++branch.next;
      } else if (!ask(branch, op)) {
        return;
      }
    }
  }

  bool ask(Branch& branch, const Op& op) {
    std::vector<Ticket> depends;
    for (const std::string& name : op.depends) {
      if (!ended_.contains(name)) return false;
      depends.push_back(ended_.at(name));
    }
    const Source place = source(op.name + ".cpp:1");
    const auto asked = op.kind == StepKind::sleep ? instance_.sleep({op.name, Duration(Millis(1000)), place}, now_)
                       : op.kind == StepKind::wait_for_event
                           ? instance_.wait({op.name, "t", std::nullopt, place}, now_)
                           : instance_.do_({.name = op.name, .depends = std::move(depends), .source = place}, now_);
    if (asked->state == Asked::State::run) open_.push_back({asked->ticket, asked->attempt});
    branch.awaited = asked->ticket;
    if (asked->state == Asked::State::resolved) resolve(asked->ticket);
    return true;
  }

  void resolve(Ticket ticket) {
    for (Branch& branch : branches_) {
      if (branch.awaited != ticket) continue;
      ended_[branch.ops[branch.next].name] = ticket;
      branch.awaited.reset();
      ++branch.next;
    }
  }

  bool carry_out() {
    std::vector<Effect> effects;
    instance_.take_effects(effects);
    for (Effect& effect : effects) {
      if (auto* append = std::get_if<Append>(&effect)) {
        journal.push_back(append->entry);
        if (append->urgency == Urgency::awaited) awaited_.push_back(append->entry);
      }
      if (const auto* run = std::get_if<RunBody>(&effect)) open_.push_back({run->ticket, run->attempt});
      if (const auto* arm = std::get_if<Arm>(&effect)) timers_[arm->ticket] = arm->at;
      if (const auto* disarm = std::get_if<Disarm>(&effect)) timers_.erase(disarm->ticket);
      if (const auto* resolved = std::get_if<Resolve>(&effect)) resolve(resolved->ticket);
      if (const auto* finished = std::get_if<Finished>(&effect)) {
        told = finished->value;
        end = finished->kind == EntryKind::paused               ? "paused"
              : finished->kind == EntryKind::instance_completed ? "complete"
                                                                : "errored";
      }
    }
    instance_.settled();
    return !effects.empty();
  }

  bool finish() {
    const auto done = [](const Branch& branch) { return branch.next == branch.ops.size(); };
    if (finished_ || !std::ranges::all_of(branches_, done)) return false;
    finished_ = true;
    instance_.finish(Value{"\"done\""}, now_);
    return true;
  }

  bool end_body() {
    if (open_.empty()) return false;
    const auto [ticket, attempt] = open_.front();
    open_.erase(open_.begin());
    bodies.push_back(std::string(instance_.step_name(ticket)) + "#" + std::to_string(instance_.occurrence(ticket)));
    instance_.body_finished(ticket, attempt, Value{"1"}, now_);
    return true;
  }

  bool commit() {
    if (awaited_.empty()) return false;
    for (const Entry& entry : std::exchange(awaited_, {})) report_durable(instance_, entry, now_);
    return true;
  }

  bool fire_timer() {
    if (timers_.empty()) return false;
    const auto first = std::ranges::min_element(timers_, {}, &std::pair<const Ticket, TimePoint>::second);
    now_ = std::max(now_, first->second);
    const Ticket ticket = first->first;
    timers_.erase(first);
    instance_.timer(ticket, now_);
    return true;
  }

  Instance instance_;
  TimePoint now_ = kStart;
  std::vector<Branch> branches_{};
  std::vector<std::pair<Ticket, std::uint32_t>> open_{};
  std::vector<Entry> awaited_{};
  std::map<Ticket, TimePoint> timers_{};
  std::map<std::string, Ticket> ended_{};
  bool finished_ = false;
};

// What the code leaves behind; without the run's end, the first `kept` entries of it.
inline std::vector<Entry> history_of(const Code& code, std::optional<std::size_t> kept = std::nullopt) {
  CodePlayer player(code);
  player.play();
  std::vector<Entry> history = std::move(player.journal);
  if (!history.empty() && history.back().kind >= EntryKind::instance_completed) history.pop_back();
  if (kept) history.resize(std::min(*kept, history.size()));
  return history;
}

}  // namespace workflows::core
