#pragma once
// A journal as people read it.

#include <vector>

#include <workflows/instance_info.h>
#include <workflows/journal.h>

namespace workflows::core {

// The steps of a run, in the order in which they were asked for. The results of sensitive steps are "[REDACTED]" (S17).
// `inbox` gives the events that waits took.
std::vector<StepInfo> report_steps(const std::vector<Entry>& history, const std::vector<InboxEvent>& inbox);

}  // namespace workflows::core
