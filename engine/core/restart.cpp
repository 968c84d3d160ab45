#include "engine/core/restart.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <set>

#include "engine/core/detail.h"

namespace workflows::core {
namespace {

using StepNumber = std::uint32_t;

struct Recorded {
  Entry opening{};  // the first of its entries that tells its identity
  std::vector<StepNumber> depends{};
  std::optional<std::size_t> outcome{};  // place among the outcomes that the code got
  bool forsaken = false;
  bool rolled_back = false;
};

bool is_outcome(EntryKind kind) {
  return kind == EntryKind::step_completed || kind == EntryKind::step_failed || kind == EntryKind::sleep_finished ||
         kind == EntryKind::wait_taken || kind == EntryKind::wait_timed_out;
}

bool is_of_step(const Entry& entry) { return entry.kind < EntryKind::rollback_started; }

class Selection {
 public:
  explicit Selection(const std::vector<Entry>& history) : history_(history) {
    for (const Entry& entry : history) {
      if (is_of_step(entry)) note(entry);
    }
    for (auto& [number, step] : steps_) {
      const Entry& asked = step.opening;
      step.rolled_back = asked.step_kind == StepKind::do_ && rolled_back_.contains({asked.name, asked.occurrence});
    }
  }

  std::optional<StepNumber> find(const RestartPoint& from) const {
    for (const auto& [number, step] : steps_) {
      const Entry& asked = step.opening;
      if (asked.step_kind == from.kind && asked.name == from.name && asked.occurrence == from.count) return number;
    }
    return std::nullopt;
  }

  std::string names() const {
    std::string names;
    for (const auto& [number, step] : steps_) {
      if (step.opening.name.empty()) continue;
      names += (names.empty() ? "" : ", ") + std::string(to_string(step.opening.step_kind)) + " '" + step.opening.name +
               "' #" + std::to_string(step.opening.occurrence);
    }
    return names.empty() ? "none" : names;
  }

  // Steps are asked for in the order of their numbers, so what one follows has been decided before it.
  void drop_from(StepNumber first) {
    for (const auto& [number, step] : steps_) {
      if (number == first || step.rolled_back || step.opening.name.empty() || follows_dropped(step)) {
        drop(number);
        continue;
      }
      asked_after_.push_back(step.opening.after);
      if (step.outcome) kept_outcomes_.push_back(*step.outcome);
    }
    std::ranges::sort(asked_after_);
    std::ranges::sort(kept_outcomes_);
  }

  KeptHistory keep(const RestartPoint& from) const {
    KeptHistory kept;
    kept.entries.push_back(restarted(from));
    const auto numbers = number_anew();
    for (const Entry& entry : history_) {
      if (is_of_step(entry) ? !numbers.contains(entry.step) : !stays(entry.kind)) continue;
      kept.entries.push_back(is_of_step(entry) ? moved(entry, numbers) : entry);
      if (entry.kind == EntryKind::wait_taken) kept.events.push_back(entry.event);
    }
    return kept;
  }

 private:
  static bool stays(EntryKind kind) { return kind == EntryKind::resumed || kind == EntryKind::version; }

  void note(const Entry& entry) {
    if (entry.step_kind == StepKind::rollback) {
      rolled_back_.emplace(entry.name, entry.occurrence);
      rollback_steps_.insert(entry.step);
      return;
    }
    if (rollback_steps_.contains(entry.step)) return;
    Recorded& step = steps_[entry.step];
    if (step.opening.name.empty() && !entry.name.empty()) {
      step.opening = entry;
      step.depends = read_detail(entry).depends;
    }
    if (entry.kind == EntryKind::abandoned) step.forsaken |= !step.outcome;
    if (entry.kind == EntryKind::wait_started) step.forsaken = false;
    const bool heard = is_outcome(entry.kind) && entry.step_kind != StepKind::value && !step.forsaken;
    if (heard || entry.kind == EntryKind::reclaimed) step.outcome = outcomes_++;
  }

  bool follows_dropped(const Recorded& step) const {
    if (!step.depends.empty())
      return std::ranges::any_of(step.depends, [&](StepNumber number) { return dropped_.contains(number); });
    return first_dropped_outcome_ && step.opening.after > *first_dropped_outcome_;
  }

  void drop(StepNumber number) {
    dropped_.insert(number);
    const auto outcome = steps_.at(number).outcome;
    if (outcome) first_dropped_outcome_ = std::min(first_dropped_outcome_.value_or(*outcome), *outcome);
  }

  std::map<StepNumber, StepNumber> number_anew() const {
    std::map<StepNumber, StepNumber> numbers;
    for (const auto& [number, step] : steps_) {
      if (!dropped_.contains(number)) numbers.emplace(number, static_cast<StepNumber>(numbers.size()));
    }
    return numbers;
  }

  // How many of the first `after` outcomes are kept, and how many kept steps had been asked for by the last of these.
  std::pair<std::uint32_t, std::uint32_t> place(std::uint32_t after) const {
    const auto kept = std::ranges::lower_bound(kept_outcomes_, after);
    if (kept == kept_outcomes_.begin()) return {0, 0};
    const auto asked = std::ranges::upper_bound(asked_after_, *std::prev(kept));
    return {static_cast<std::uint32_t>(kept - kept_outcomes_.begin()),
            static_cast<std::uint32_t>(asked - asked_after_.begin())};
  }

  Entry moved(const Entry& entry, const std::map<StepNumber, StepNumber>& numbers) const {
    Entry copy = entry;
    copy.step = numbers.at(entry.step);
    if (entry.name.empty()) return copy;
    std::tie(copy.after, copy.need) = place(entry.after);
    const auto depends = read_detail(entry).depends;
    if (depends.empty()) return copy;
    boost::json::array moved_depends;
    for (const StepNumber number : depends) {
      if (const auto kept = numbers.find(number); kept != numbers.end()) moved_depends.emplace_back(kept->second);
    }
    auto detail = boost::json::parse(entry.detail);
    detail.as_object()["depends"] = std::move(moved_depends);
    copy.detail = boost::json::serialize(detail);
    return copy;
  }

  Entry restarted(const RestartPoint& from) const {
    boost::json::array kept;
    for (const auto& [number, step] : steps_) {
      if (!dropped_.contains(number)) kept.emplace_back(step.opening.name);
    }
    const boost::json::value told = {
        {"from_step", from.name}, {"count", from.count}, {"kind", to_string(from.kind)}, {"kept", std::move(kept)}};
    return {.kind = EntryKind::restarted, .value = boost::json::serialize(told)};
  }

  const std::vector<Entry>& history_;
  std::map<StepNumber, Recorded> steps_;
  std::set<std::pair<std::string, std::uint32_t>> rolled_back_;
  std::set<StepNumber> rollback_steps_;
  std::set<StepNumber> dropped_;
  std::vector<std::size_t> asked_after_;    // Entry::after of the kept steps, sorted
  std::vector<std::size_t> kept_outcomes_;  // sorted
  std::size_t outcomes_ = 0;
  std::optional<std::size_t> first_dropped_outcome_;
};

}  // namespace

std::expected<KeptHistory, Error> keep_for_restart(const std::vector<Entry>& history, const RestartPoint& from) {
  Selection selection(history);
  const auto first = selection.find(from);
  if (!first) {
    return std::unexpected(Error{ErrorCode::invalid_config, "there is no " + std::string(to_string(from.kind)) + " '" +
                                                                from.name + "' #" + std::to_string(from.count) +
                                                                " to restart from. Recorded: " + selection.names()});
  }
  selection.drop_from(*first);
  return selection.keep(from);
}

}  // namespace workflows::core
