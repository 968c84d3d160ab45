#pragma once
// What `inspect` tells of an instance, as values: gathered once, shown as text or as JSON.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <workflows/database_info.h>
#include <workflows/history.h>
#include <workflows/instance_info.h>

namespace workflows::cli {

// What lets an unfinished instance go on.
struct WakeUp {
  std::string source;  // "engine", "body", "timer", "event", "resume"
  StepKind step_kind{};
  std::string step{};  // its name
  std::uint32_t occurrence = 0;
  std::optional<TimePoint> at{};
  std::string event_type{};
};

struct Picture {
  InstanceHistory history;  // sensitive results redacted
  std::vector<StepInfo> steps;
  InstanceStatus status;
  std::vector<WakeUp> wake_ups;
  std::vector<std::string> versions;        // of the code, in the order in which they ran
  std::vector<InstanceInfo> generations{};  // newest first
  bool served = false;                      // an engine that lives has it
};

Picture picture_of(InstanceHistory history, const std::vector<EngineInfo>& engines, TimePoint now);

}  // namespace workflows::cli
