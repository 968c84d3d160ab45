#include "engine/values/json_writer.h"

#include <utility>

#include "engine/values/json.h"

namespace workflows::values {

std::string recorded_json(std::string_view text) {
  const std::string_view trimmed = trim_json(text);
  if (trimmed.empty()) return "null";
  return json_problem(trimmed) ? encode_json_string(text) : std::string(trimmed);
}

JsonObject& JsonObject::raw(std::string_view key, std::string_view json) {
  if (json_.size() > 1) json_ += ',';
  json_ += encode_json_string(key);
  json_ += ':';
  json_ += json;
  return *this;
}

JsonObject& JsonObject::text(std::string_view key, std::string_view value) {
  return raw(key, encode_json_string(value));
}

std::string JsonObject::take() { return std::exchange(json_, "{") + '}'; }

}  // namespace workflows::values
