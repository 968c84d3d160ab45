#include "tests/fuzz/inputs.h"

#include <workflows/codec.h>
#include <workflows/config.h>
#include <workflows/error.h>
#include <workflows/failure.h>
#include <workflows/history.h>
#include <workflows/host.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/values/iso_time.h"
#include "engine/values/json.h"
#include "engine/values/text.h"
#include "tests/fuzz/promise.h"

namespace workflows::fuzz {
namespace {

// What is read comes back as it was written, unless floating point is in it.
template <class T>
void decode(std::string_view text) {
  try {
    const T value = Codec<T>::decode(text);
    const std::string written = Codec<T>::encode(value);
    require(!values::json_problem(written), "a value is written as valid JSON");
    if constexpr (!std::same_as<T, boost::json::value>)
      require(Codec<T>::decode(written) == value, "a value comes back as it was written");
  } catch (const SerializationError& error) { require_shown(std::string_view(error.what())); }
}

}  // namespace

void duration(std::string_view text) {
  try {
    const Millis parsed = parse_duration(text);
    require(parsed >= Millis(0) && parsed <= kMaxDuration, "a duration is from zero to ten years");
    require(parse_duration(std::string(text) + " 0 s") == parsed, "adding nothing changes nothing");
    require(parse_duration(std::to_string(parsed.count()) + "ms") == parsed, "milliseconds are exact");
  } catch (const InvalidDurationError& error) { require_shown(std::string_view(error.what())); }
}

void iso_time(std::string_view text) {
  const auto parsed = values::parse_iso_time(text);
  if (!parsed) return;
  const auto again = values::parse_iso_time(values::iso_time(*parsed));
  require(again == parsed, "a time comes back as it was written");
}

void history_document(std::string_view text) {
  named([&] {
    const HistoryDocument document = parse_history(text);
    const std::string written = to_json(document);
    require(to_json(parse_history(written)) == written, "a document is read as it was written");
    steps_of(document.history);
    require(!values::json_problem(to_json(redact(document.history, Redaction::everything))), "a redacted one is JSON");
  });
}

void names(std::string_view text) {
  for (const auto check : {check_workflow_name, check_instance_id, check_step_name, check_event_type}) {
    try {
      check(text);
      require(!text.empty() && values::as_valid_utf8(text) == text, "an accepted name is valid UTF-8");
      require(text.size() <= 4 * 256, "an accepted name has at most 256 characters");
    } catch (const InvalidNameError& error) { require_shown(std::string_view(error.what())); }
  }
}

void step_config(std::string_view text) {
  try {
    const StepConfig config = StepConfig::from_json(text);
    config.check();
    require(StepConfig::from_json(config.to_json()) == config, "a config comes back as it was written");
  } catch (const InvalidConfigError& error) { require_shown(std::string_view(error.what())); }
}

void failure(std::string_view text) {
  const std::string written = Failure::from_json(text).to_json();
  require(!values::json_problem(written), "a failure is written as valid JSON");
  require(Failure::from_json(written).to_json() == written, "a failure comes back as it was written");
}

void json(std::string_view text) {
  decode<bool>(text);
  decode<int>(text);
  decode<std::uint64_t>(text);
  decode<std::string>(text);
  decode<std::vector<std::string>>(text);
  decode<std::map<std::string, std::optional<int>>>(text);
  decode<boost::json::value>(text);
}

}  // namespace workflows::fuzz
