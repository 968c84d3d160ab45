#include <workflows/history.h>

#include "engine/core/report.h"
#include "storage/lifecycle.h"

namespace workflows {

std::vector<StepInfo> steps_of(const InstanceHistory& history) {
  std::vector<Entry> entries;
  for (const auto& [cursor, entry] : history.entries) {
    if (entry.kind < EntryKind::rollback_started) entries.push_back(entry);
  }
  return core::report_steps(entries, history.inbox);
}

InstanceStatus status_of(const InstanceHistory& history) {
  return storage::outcome_of(history.info.status, history.entries.empty() ? Entry{} : history.entries.back().entry);
}

}  // namespace workflows
