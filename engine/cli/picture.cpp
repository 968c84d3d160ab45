#include "engine/cli/picture.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/values/json.h"

namespace workflows::cli {
namespace {

WakeUp wake_up_of(const StepInfo& step, std::string source) {
  return {.source = std::move(source),
          .step_kind = step.kind,
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

bool is_due(const WakeUp& wake_up, const std::vector<InboxEvent>& inbox, TimePoint now) {
  const auto came = [&](const InboxEvent& event) { return !event.taken && event.type == wake_up.event_type; };
  return (wake_up.at && *wake_up.at <= now) || std::ranges::any_of(inbox, came);
}

std::vector<WakeUp> wake_ups_of(const Picture& picture, TimePoint now) {
  const Status status = picture.history.info.status;
  const bool is_to_pause = status == Status::waiting_for_pause;
  if (is_finished(status)) return {};
  if (status == Status::paused) return {{.source = "resume"}};
  std::vector<WakeUp> found = of_steps(picture.steps);
  if (is_to_pause || !picture.served)  // where no engine is, no body runs; a pause stops the timers
    std::erase_if(found,
                  [&](const WakeUp& each) { return (each.source == "body") != (is_to_pause && picture.served); });
  const auto due = [&](const WakeUp& each) { return is_due(each, picture.history.inbox, now); };
  if (!picture.served && (status != Status::waiting || std::ranges::any_of(found, due))) found.clear();
  if (!picture.served || found.empty()) found.insert(found.begin(), WakeUp{.source = "engine"});
  if (is_to_pause) found.push_back({.source = "resume"});
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

Picture picture_of(InstanceHistory history, const std::vector<EngineInfo>& engines, TimePoint now) {
  Picture picture{.history = redact(std::move(history), Redaction::sensitive).history,
                  .steps = {},
                  .status = {},
                  .wake_ups = {},
                  .versions = {}};
  picture.steps = steps_of(picture.history);
  picture.status = status_of(picture.history);
  picture.served = std::ranges::any_of(
      engines, [&](const EngineInfo& engine) { return engine.alive && engine.id == picture.history.info.owner; });
  picture.wake_ups = wake_ups_of(picture, now);
  picture.versions = versions_of(picture.history);
  return picture;
}

}  // namespace workflows::cli
