#include "engine/values/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <string>

#include "engine/values/text.h"

namespace workflows::values {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

// `at`: the opening quote. Returns the place after the closing one.
std::size_t skip_string(std::string_view text, std::size_t at) {
  for (++at; text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at + 1;
}

std::size_t skip_container(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  do {
    switch (text[at]) {
      case '"':
        at = skip_string(text, at);
        continue;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        --depth;
        break;
      default:
        break;
    }
    ++at;
  } while (depth > 0);
  return at;
}

std::size_t skip_value(std::string_view text, std::size_t at) {
  switch (text[at]) {
    case '"':
      return skip_string(text, at);
    case '{':
    case '[':
      return skip_container(text, at);
    default:
      return text.find_first_of(",}] \t\r\n", at);
  }
}

}  // namespace

std::optional<std::string> json_problem(std::string_view text) {
  boost::json::monotonic_resource memory;  // freed at once: no destructor walks down a deep value
  boost::json::stream_parser parser(&memory, {.max_depth = kMaxJsonDepth});
  boost::json::error_code error;
  const std::size_t read = parser.write_some(text.data(), text.size(), error);
  if (!error && read < text.size()) error = boost::json::error::extra_data;
  if (!error) parser.finish(error);
  if (!error) return std::nullopt;
  if (error == boost::json::error::too_deep) return fmt::format("it nests more than {} levels deep", kMaxJsonDepth);
  return fmt::format("{} near byte {}", error.message(), read);
}

std::vector<RawMember> raw_members(std::string_view object) {
  std::vector<RawMember> members;
  std::size_t at = object.find('{') + 1;
  while (object[at = object.find_first_of("\"}", at)] == '"') {
    const std::size_t key_end = skip_string(object, at);
    const std::size_t value = object.find_first_not_of(": \t\r\n", key_end);
    const std::size_t value_end = skip_value(object, value);
    members.push_back({object.substr(at + 1, key_end - at - 2), object.substr(value, value_end - value)});
    at = value_end;
  }
  return members;
}

std::vector<std::string_view> raw_elements(std::string_view array) {
  std::vector<std::string_view> elements;
  std::size_t at = array.find('[') + 1;
  while (array[at = array.find_first_not_of(", \t\r\n", at)] != ']') {
    const std::size_t end = skip_value(array, at);
    elements.push_back(array.substr(at, end - at));
    at = end;
  }
  return elements;
}

std::string_view raw_member(std::string_view object, std::string_view key) {
  if (!is_json_object(object) || json_problem(object)) return {};
  for (const RawMember& member : raw_members(object)) {
    if (member.key == key) return member.value;
  }
  return {};
}

std::string decode_json_string(std::string_view raw) {
  const boost::json::value value = boost::json::parse(raw);
  return std::string(value.as_string());
}

std::string encode_json_string(std::string_view text) { return boost::json::serialize(as_valid_utf8(text)); }

namespace {

// Require valid JSON.
bool are_same(std::string_view a, std::string_view b);

bool are_same_objects(std::string_view a, std::string_view b) {
  const auto by_key = [](std::string_view object) {
    std::map<std::string, std::string_view> members;
    for (const auto& [key, value] : raw_members(object))
      members.insert_or_assign(decode_json_string('"' + std::string(key) + '"'), value);
    return members;
  };
  return std::ranges::equal(by_key(a), by_key(b), [](const auto& one, const auto& other) {
    return one.first == other.first && are_same(one.second, other.second);
  });
}

bool are_same(std::string_view a, std::string_view b) {
  a = trim_json(a);
  b = trim_json(b);
  if (a == b) return true;
  if (is_json_object(a) && is_json_object(b)) return are_same_objects(a, b);
  if (is_json_array(a) && is_json_array(b)) return std::ranges::equal(raw_elements(a), raw_elements(b), are_same);
  return is_json_string(a) && is_json_string(b) && decode_json_string(a) == decode_json_string(b);
}

}  // namespace

bool is_same_json(std::string_view a, std::string_view b) {
  return a == b || (!json_problem(a) && !json_problem(b) && are_same(a, b));
}

std::string compact_json(std::string_view text) {
  std::string compact;
  compact.reserve(text.size());
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!in_string && kBlanks.find(text[at]) != std::string_view::npos) continue;
    compact += text[at];
    if (text[at] == '"') in_string = !in_string;
    if (text[at] == '\\' && at + 1 < text.size()) compact += text[++at];
  }
  return compact;
}

std::string_view trim_json(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace workflows::values
