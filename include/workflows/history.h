#pragma once
// What one generation of an instance recorded, as a value: what it says, and as a document that leaves the database.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <workflows/instance_info.h>

namespace workflows {

// The steps, in the order in which they were asked for. Results of sensitive steps are "[REDACTED]" (S17).
std::vector<StepInfo> steps_of(const InstanceHistory& history);
InstanceStatus status_of(const InstanceHistory& history);

enum class Redaction : std::uint8_t {
  sensitive,   // results of sensitive steps
  everything,  // every value: params, results, payloads, output, and what failures carry but for their type
  nothing,
};
struct HistoryDocument {
  InstanceHistory history;
  bool redacted = false;  // a value that was recorded is "[REDACTED]" here
};
HistoryDocument redact(InstanceHistory history, Redaction redaction);

// One JSON object; engine/cli/JSON.md describes it. Values keep their bytes.
std::string to_json(const HistoryDocument& document);
std::string to_json(const InboxEvent& event);
// SerializationError that says where the text is not such a document.
HistoryDocument parse_history(std::string_view json);

}  // namespace workflows
