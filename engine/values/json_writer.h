#pragma once
// Writes JSON around texts that are JSON already: what is recorded keeps its bytes.

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <workflows/time.h>

#include "engine/values/iso_time.h"

namespace workflows::values {

// The text itself if it is JSON, null if it is empty, else a JSON string of it.
std::string recorded_json(std::string_view text);

// Members in the order in which they are added.
class JsonObject {
 public:
  // Requires: `json` is JSON.
  JsonObject& raw(std::string_view key, std::string_view json);
  JsonObject& text(std::string_view key, std::string_view value);
  JsonObject& flag(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
  template <std::integral Number>
  JsonObject& number(std::string_view key, Number value) {
    return raw(key, std::to_string(value));
  }
  JsonObject& time(std::string_view key, TimePoint value) { return text(key, iso_time(value)); }
  JsonObject& time(std::string_view key, std::optional<TimePoint> value) {
    return value ? time(key, *value) : raw(key, "null");
  }
  // null when it is empty.
  JsonObject& text_or_null(std::string_view key, std::string_view value) {
    return value.empty() ? raw(key, "null") : text(key, value);
  }
  std::string take();

 private:
  std::string json_ = "{";
};

// One JSON array of what `json_of` makes of each item.
template <class Range, class JsonOf>
std::string json_array(const Range& items, JsonOf json_of) {
  std::string json = "[";
  for (const auto& item : items) {
    if (json.size() > 1) json += ',';
    json += json_of(item);
  }
  return json += ']';
}

}  // namespace workflows::values
