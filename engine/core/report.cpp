#include "engine/core/report.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <utility>

#include "engine/values/json.h"

namespace workflows::core {
namespace {

constexpr std::string_view kRedacted = "\"[REDACTED]\"";

// "[1,2]" as numbers.
std::vector<std::uint32_t> read_numbers(std::string_view array) {
  std::vector<std::uint32_t> numbers;
  const char* at = array.data();
  const char* const end = at + array.size();
  while (at != end) {
    std::uint32_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error == std::errc()) numbers.push_back(number);
    at = next == at ? at + 1 : next;
  }
  return numbers;
}

// Steps are built up entry by entry.
class Report {
 public:
  explicit Report(const std::vector<InboxEvent>& inbox) {
    for (const InboxEvent& event : inbox) payloads_[event.id] = event.payload;
  }

  void add(const Entry& entry) {
    if (entry.kind >= EntryKind::rollback_started) return;  // of the instance as a whole
    StepInfo& step = steps_[entry.step];
    step.number = entry.step;
    if (step.name.empty()) identify(step, entry);
    apply(step, entry);
  }

  std::vector<StepInfo> take() {
    std::vector<StepInfo> steps;
    steps.reserve(steps_.size());
    for (auto& [number, step] : steps_) steps.push_back(std::move(step));
    return steps;
  }

 private:
  void identify(StepInfo& step, const Entry& entry) {
    step.kind = entry.step_kind;
    step.name = entry.name;
    step.occurrence = entry.occurrence;
    step.event_type = entry.event_type;
    step.config = values::raw_member(entry.detail, "config");
    step.depends = read_numbers(values::raw_member(entry.detail, "depends"));
  }

  void apply(StepInfo& step, const Entry& entry) {
    switch (entry.kind) {
      case EntryKind::attempt_started:
        return attempt_started(step, entry);
      case EntryKind::attempt_failed:
        return attempt_failed(step, entry);
      case EntryKind::sleep_started:
      case EntryKind::wait_started:
        return opened(step, entry);
      case EntryKind::step_completed:
        return completed(step, entry, entry.value);
      case EntryKind::step_failed:
        return failed(step, entry, "failed");
      case EntryKind::sleep_finished:
        return completed(step, entry, "null");
      case EntryKind::wait_taken:
        return completed(step, entry, payloads_[entry.event]);
      case EntryKind::wait_timed_out:
        return failed(step, entry, "timed_out");
      case EntryKind::abandoned:
        if (step.status == "waiting" && step.kind == StepKind::wait_for_event) end(step, entry, "cancelled");
        return;
      default:
        return;
    }
  }

  void attempt_started(StepInfo& step, const Entry& entry) {
    step.status = "pending";
    if (entry.attempt == 0) return;  // it waits until the instance is resumed, or has caught up
    AttemptInfo& attempt = attempt_of(step, entry);
    if (!attempt.began) attempt.began = entry.at;
    if (!step.began) step.began = attempt.began;
    step.status = "running";
    step.deadline.reset();
  }

  void attempt_failed(StepInfo& step, const Entry& entry) {
    end_attempt(step, entry);
    attempt_of(step, entry).failure = Failure::from_json(entry.value);
    step.status = "retrying";
    step.deadline = entry.deadline;
  }

  void opened(StepInfo& step, const Entry& entry) {
    step.status = "waiting";
    step.ended.reset();
    step.began = entry.at;
    step.deadline = entry.deadline;
    if (!entry.event_type.empty()) step.event_type = entry.event_type;
  }

  void completed(StepInfo& step, const Entry& entry, std::string_view result) {
    end(step, entry, "completed");
    step.result = values::raw_member(step.config, "sensitive").empty() ? result : kRedacted;
  }

  void failed(StepInfo& step, const Entry& entry, std::string_view status) {
    const bool had_ended = has_attempts(step) && entry.attempt > 0 && attempt_of(step, entry).ended;
    end(step, entry, status);
    step.failure = Failure::from_json(entry.value);
    // A failed choice of the next delay (S11) fails the step after its attempt had failed for a reason of its own.
    if (has_attempts(step) && entry.attempt > 0 && !had_ended) attempt_of(step, entry).failure = step.failure;
  }

  void end(StepInfo& step, const Entry& entry, std::string_view status) {
    end_attempt(step, entry);
    if (!step.began) step.began = entry.began ? *entry.began : entry.at;
    step.ended = entry.at;
    step.status = status;
    if (has_attempts(step)) {
      step.deadline.reset();
    } else if (entry.deadline) {
      step.deadline = entry.deadline;
    }
  }

  // A `do` without attempts failed because of a dependency (S35).
  void end_attempt(StepInfo& step, const Entry& entry) {
    if (!has_attempts(step) || entry.attempt == 0) return;
    AttemptInfo& attempt = attempt_of(step, entry);
    if (!attempt.began) attempt.began = entry.began;
    if (!attempt.ended) attempt.ended = entry.at;
    if (!step.began) step.began = attempt.began;
  }

  static bool has_attempts(const StepInfo& step) {
    return step.kind == StepKind::do_ || step.kind == StepKind::rollback;
  }

  // Entries of attempts come in order of their numbers.
  static AttemptInfo& attempt_of(StepInfo& step, const Entry& entry) {
    if (step.attempts.empty() || step.attempts.back().number != entry.attempt) {
      step.attempts.push_back({.number = entry.attempt, .began = {}, .ended = {}, .failure = {}});
    }
    return step.attempts.back();
  }

  std::map<std::uint32_t, StepInfo> steps_;
  std::map<std::int64_t, std::string_view> payloads_;
};

}  // namespace

std::vector<StepInfo> report_steps(const std::vector<Entry>& history, const std::vector<InboxEvent>& inbox) {
  Report report(inbox);
  for (const Entry& entry : history) report.add(entry);
  return report.take();
}

}  // namespace workflows::core
