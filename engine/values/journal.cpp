#include <workflows/journal.h>

namespace workflows {

std::string_view to_string(StepKind kind) noexcept {
  switch (kind) {
    case StepKind::do_:
      return "do";
    case StepKind::sleep:
      return "sleep";
    case StepKind::wait_for_event:
      return "wait_for_event";
  }
  return "unknown";
}

std::string_view to_string(EntryKind kind) noexcept {
  switch (kind) {
    case EntryKind::attempt_started:
      return "attempt_started";
    case EntryKind::attempt_failed:
      return "attempt_failed";
    case EntryKind::step_completed:
      return "step_completed";
    case EntryKind::step_failed:
      return "step_failed";
    case EntryKind::sleep_started:
      return "sleep_started";
    case EntryKind::sleep_finished:
      return "sleep_finished";
    case EntryKind::wait_started:
      return "wait_started";
    case EntryKind::wait_taken:
      return "wait_taken";
    case EntryKind::wait_timed_out:
      return "wait_timed_out";
    case EntryKind::abandoned:
      return "abandoned";
    case EntryKind::reclaimed:
      return "reclaimed";
    case EntryKind::instance_completed:
      return "instance_completed";
    case EntryKind::instance_errored:
      return "instance_errored";
    case EntryKind::instance_terminated:
      return "instance_terminated";
  }
  return "unknown";
}

}  // namespace workflows
