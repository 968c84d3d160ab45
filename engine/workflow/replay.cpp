#include <workflows/replay.h>

#include "engine/workflow/loop.h"

namespace workflows::detail {

Replayed replay(InstanceHistory history, WorkflowFunction function) {
  const std::string workflow = history.info.workflow;
  Loop loop({.database = ":memory:", .workflows = {{.name = workflow}}}, {{workflow, std::move(function)}}, 1);
  loop.run();
  const std::string told = loop.replay(std::move(history)).reason;
  const auto verdict = told.substr(0, told.find(':'));
  const auto report = told.find(": ");
  return {.verdict = verdict == "match"        ? ReplayVerdict::match
                     : verdict == "incomplete" ? ReplayVerdict::incomplete
                                               : ReplayVerdict::diverged,
          .report = report == told.npos ? told : told.substr(report + 2)};
}

}  // namespace workflows::detail
