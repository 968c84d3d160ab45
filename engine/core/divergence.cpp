#include "engine/core/divergence.h"

#include <boost/json.hpp>

namespace workflows::core {
namespace {

std::string named(const DivergentStep& step) {
  return std::string(to_string(step.kind)) + " '" + step.name + "' #" + std::to_string(step.occurrence);
}

std::string place(const DivergentStep& step) { return step.source.empty() ? "" : " at " + step.source; }

std::string hint(const Divergence& divergence) {
  for (const DivergentStep& asked : divergence.asked) {
    if (asked.name == divergence.recorded.name && asked.kind != divergence.recorded.kind)
      return "The name is the same, but it was a " + std::string(to_string(divergence.recorded.kind)) + " and is a " +
             std::string(to_string(asked.kind)) + " now.";
  }
  if (divergence.asked.empty()) return "The step was removed, or the code no longer comes there.";
  return "The step was renamed, removed or moved, or another one was put before it.";
}

boost::json::object to_object(const DivergentStep& step) {
  return {{"step", step.number},
          {"kind", to_string(step.kind)},
          {"name", step.name},
          {"count", step.occurrence},
          {"source", step.source}};
}

}  // namespace

std::string describe(const Divergence& divergence) {
  const DivergentStep& recorded = divergence.recorded;
  std::string text = "the code no longer does what the history of this instance says\n";
  text += "  after " + std::to_string(divergence.position) + " outcomes\n";
  text += "  the history has  " + named(recorded) + (recorded.ended ? ", which has ended" : ", which is open") +
          (recorded.source.empty() ? "" : ", asked for" + place(recorded)) + "\n";
  if (divergence.asked.empty()) text += "  the code         ends without asking for it\n";
  for (const DivergentStep& asked : divergence.asked)
    text += "  the code asks    " + named(asked) + place(asked) + "\n";
  text += hint(divergence) + " Three ways out:\n";
  text += "  1. put the code back, so that it asks for " + named(recorded) + " here, and resume the instance\n";
  text += "  2. guard the change: `if step.patched(\"...\"):` new way, else the old one; then resume it\n";
  text += "  3. restart it from a step before the change, or from the beginning";
  return text;
}

std::string to_json(const Divergence& divergence) {
  boost::json::array asked;
  for (const DivergentStep& step : divergence.asked) asked.push_back(to_object(step));
  const boost::json::object report = {{"reason", "diverged"},
                                      {"message", describe(divergence)},
                                      {"position", divergence.position},
                                      {"recorded", to_object(divergence.recorded)},
                                      {"asked", std::move(asked)}};
  return boost::json::serialize(report);
}

std::string describe(const Failure& failure) {
  return failure.message.empty() ? failure.type : failure.type + ": " + failure.message;
}

}  // namespace workflows::core
