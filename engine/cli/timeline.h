#pragma once
// The steps of an instance, one under the other, with bars on one axis of time.

#include <cstdint>
#include <vector>

#include <workflows/instance_info.h>

#include "engine/cli/console.h"

namespace workflows::cli {

// Where a body that has begun and not ended is: in an engine, or gone with one.
enum class Bodies : std::uint8_t { running, nowhere };

// `now`: to where the bars of what is not over reach.
void print_timeline(Console& console, const InstanceInfo& info, const std::vector<StepInfo>& steps, TimePoint now,
                    Bodies bodies = Bodies::running);

}  // namespace workflows::cli
