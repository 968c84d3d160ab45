#pragma once
// The steps of an instance, one under the other, with bars on one axis of time.

#include <vector>

#include <workflows/instance_info.h>

#include "engine/cli/console.h"

namespace workflows::cli {

// `now`: to where the bars of what is not over reach.
void print_timeline(Console& console, const InstanceInfo& info, const std::vector<StepInfo>& steps, TimePoint now);

}  // namespace workflows::cli
