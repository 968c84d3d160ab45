#include <workflows/journal.h>

#include <array>
#include <utility>

namespace workflows {

namespace {

constexpr std::array<std::pair<StepKind, std::string_view>, 5> kStepKinds = {{
    {StepKind::do_, "do"},
    {StepKind::sleep, "sleep"},
    {StepKind::wait_for_event, "wait_for_event"},
    {StepKind::value, "value"},
    {StepKind::rollback, "rollback"},
}};

constexpr std::array<std::pair<EntryKind, std::string_view>, 20> kEntryKinds = {{
    {EntryKind::attempt_started, "attempt_started"},
    {EntryKind::attempt_failed, "attempt_failed"},
    {EntryKind::step_completed, "step_completed"},
    {EntryKind::step_failed, "step_failed"},
    {EntryKind::sleep_started, "sleep_started"},
    {EntryKind::sleep_finished, "sleep_finished"},
    {EntryKind::wait_started, "wait_started"},
    {EntryKind::wait_taken, "wait_taken"},
    {EntryKind::wait_timed_out, "wait_timed_out"},
    {EntryKind::abandoned, "abandoned"},
    {EntryKind::reclaimed, "reclaimed"},
    {EntryKind::heartbeat, "heartbeat"},
    {EntryKind::rollback_started, "rollback_started"},
    {EntryKind::paused, "paused"},
    {EntryKind::resumed, "resumed"},
    {EntryKind::version, "version"},
    {EntryKind::restarted, "restarted"},
    {EntryKind::instance_completed, "instance_completed"},
    {EntryKind::instance_errored, "instance_errored"},
    {EntryKind::instance_terminated, "instance_terminated"},
}};

}  // namespace

std::string_view to_string(StepKind kind) noexcept {
  for (const auto& [value, name] : kStepKinds) {
    if (value == kind) return name;
  }
  return "unknown";
}

std::optional<StepKind> parse_step_kind(std::string_view text) noexcept {
  for (const auto& [value, name] : kStepKinds) {
    if (name == text) return value;
  }
  return std::nullopt;
}

std::string_view to_string(EntryKind kind) noexcept {
  for (const auto& [value, name] : kEntryKinds) {
    if (value == kind) return name;
  }
  return "unknown";
}

}  // namespace workflows
