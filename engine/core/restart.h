#pragma once
// What a new generation keeps of the old one when it begins at a step (S28).

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include <workflows/error.h>
#include <workflows/journal.h>

namespace workflows::core {

struct RestartPoint {
  std::string name;
  std::uint32_t count = 1;
  StepKind kind = StepKind::do_;
};

struct KeptHistory {
  std::vector<Entry> entries;        // numbered anew; the first one tells of the restart
  std::vector<std::int64_t> events;  // that these entries took
};

// Leaves out the step and all that follow it, and steps that were rolled back with all that follow those. A step with
// recorded dependencies follows what it depends on, near or far; any other one follows the steps whose outcomes the
// code had got when it asked. InvalidConfigError: there is no such step.
std::expected<KeptHistory, Error> keep_for_restart(const std::vector<Entry>& history, const RestartPoint& from);

}  // namespace workflows::core
