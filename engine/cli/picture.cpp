#include "engine/cli/picture.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/values/json.h"

namespace workflows::cli {
namespace {

WakeUp wake_up_of(const StepInfo& step, std::string source) {
  return {.source = std::move(source),
          .step = step.name,
          .occurrence = step.occurrence,
          .at = step.deadline,
          .event_type = step.event_type};
}

std::vector<WakeUp> of_steps(const std::vector<StepInfo>& steps) {
  std::vector<WakeUp> found;
  for (const StepInfo& step : steps) {
    if (step.status == "running") found.push_back(wake_up_of(step, "body"));
    if (step.status == "retrying") found.push_back(wake_up_of(step, "timer"));
    if (step.status == "waiting") found.push_back(wake_up_of(step, step.event_type.empty() ? "timer" : "event"));
  }
  // The next one first; what has no time comes last.
  std::ranges::sort(found, {}, [](const WakeUp& wake_up) {
    return std::tuple(wake_up.at.value_or(TimePoint::max()), wake_up.step, wake_up.occurrence);
  });
  return found;
}

std::vector<WakeUp> wake_ups_of(const InstanceInfo& info, const std::vector<StepInfo>& steps) {
  if (is_finished(info.status)) return {};
  if (info.status == Status::paused) return {{.source = "resume"}};
  std::vector<WakeUp> found;
  if (info.owner == 0) found.push_back({.source = "engine"});
  const auto more = of_steps(steps);
  found.insert(found.end(), more.begin(), more.end());
  if (found.empty()) found.push_back({.source = "engine"});
  return found;
}

std::vector<std::string> versions_of(const InstanceHistory& history) {
  std::vector<std::string> versions;
  const auto ran = [&](std::string version) {
    if (!version.empty() && (versions.empty() || versions.back() != version)) versions.push_back(std::move(version));
  };
  ran(history.info.version);
  for (const auto& [cursor, entry] : history.entries) {
    if (entry.kind != EntryKind::version) continue;
    ran(values::is_json_string(entry.value) ? values::decode_json_string(entry.value) : entry.value);
  }
  return versions;
}

}  // namespace

Picture picture_of(InstanceHistory history) {
  Picture picture{.history = redact(std::move(history), Redaction::sensitive).history,
                  .steps = {},
                  .status = {},
                  .wake_ups = {},
                  .versions = {}};
  picture.steps = steps_of(picture.history);
  picture.status = status_of(picture.history);
  picture.wake_ups = wake_ups_of(picture.history.info, picture.steps);
  picture.versions = versions_of(picture.history);
  return picture;
}

}  // namespace workflows::cli
