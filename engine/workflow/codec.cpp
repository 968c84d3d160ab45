#include <workflows/codec.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>

#include <fmt/format.h>
#include <boost/system/system_error.hpp>

#include <workflows/error.h>

#include "engine/workflow/type_name.h"

namespace workflows::detail {
namespace {

namespace json = boost::json;

constexpr std::string_view kTag = "$";
constexpr std::string_view kTagged = "v";
constexpr std::size_t kQuoted = 80;  // characters of a bad value that an error shows

// What cannot be written, and where in the value it is.
struct Unwritable {
  std::string path;
  std::string reason;
};

// The length of the UTF-8 sequence at the start of `text`; 0: it is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) >= 0xA0;
  const bool too_large = lead == 0xF4 && byte(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : length;
}

// ASCII characters that stand for themselves.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (unsigned c = 0x20; c < 0x7f; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();
constexpr bool is_plain(char c) { return kPlain[static_cast<unsigned char>(c)]; }

void write(std::string_view text, std::string& out) {
  out.reserve(out.size() + text.size() + 2);
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const auto plain = std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(i), text.end(), is_plain);
    if (const auto end = static_cast<std::size_t>(plain - text.begin()); end > i) {
      out.append(text, i, end - i);
      i = end;
      continue;
    }
    const std::size_t length = sequence_length(text.substr(i));
    if (length == 0) {
      throw Unwritable{"",
                       fmt::format("byte {} of the text is not UTF-8; encode binary data, for example as base64", i)};
    }
    const char c = text[i];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out.append(text, i, length);
    }
    i += length;
  }
  out += '"';
}

void write(double number, std::string& out) {
  if (std::isnan(number)) {
    out += R"({"$":"float","v":"nan"})";
  } else if (std::isinf(number)) {
    out += number > 0 ? R"({"$":"float","v":"inf"})" : R"({"$":"float","v":"-inf"})";
  } else {
    std::array<char, 32> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
    out += text;
    if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
  }
}

void write(const json::value& value, std::string& out);

// Writes a part of a value; `place` names it for an error.
template <class Write, class Place>
void at(Place place, Write write_part) {
  try {
    write_part();
  } catch (Unwritable& error) {
    error.path.insert(0, place());
    throw;
  }
}

void write(const json::array& array, std::string& out) {
  out += '[';
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (i > 0) out += ',';
    at([&] { return fmt::format("[{}]", i); }, [&] { write(array[i], out); });
  }
  out += ']';
}

// Calls `write_member` for each, with commas between.
template <class Write>
void write_members(const json::object& object, std::string& out, Write write_member) {
  bool first = true;
  for (const auto& member : object) {
    if (!first) out += ',';
    first = false;
    const std::string_view key = member.key();
    at([&] { return fmt::format(".{}", key); }, [&] { write_member(key, member.value()); });
  }
}

// An object that could be taken for a tagged value is written as pairs.
void write_pairs(const json::object& object, std::string& out) {
  out += R"({"$":"dict","v":[)";
  write_members(object, out, [&](std::string_view key, const json::value& value) {
    out += '[';
    write(key, out);
    out += ',';
    write(value, out);
    out += ']';
  });
  out += "]}";
}

void write(const json::object& object, std::string& out) {
  if (object.contains(kTag)) return write_pairs(object, out);
  out += '{';
  write_members(object, out, [&](std::string_view key, const json::value& value) {
    write(key, out);
    out += ':';
    write(value, out);
  });
  out += '}';
}

void write(const json::value& value, std::string& out) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      return;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      return;
    case json::kind::int64:
      fmt::format_to(std::back_inserter(out), "{}", value.get_int64());
      return;
    case json::kind::uint64:
      fmt::format_to(std::back_inserter(out), "{}", value.get_uint64());
      return;
    case json::kind::double_:
      return write(value.get_double(), out);
    case json::kind::string:
      return write(std::string_view(value.get_string()), out);
    case json::kind::array:
      return write(value.get_array(), out);
    case json::kind::object:
      return write(value.get_object(), out);
  }
}

template <class T>
std::string text_of(const T& value) {
  std::string out;
  write(value, out);
  return out;
}

// What a tagged value stands for; absent: it is not one that C++ has a value for.
std::optional<json::value> restored_float(const json::value& text) {
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

std::optional<json::value> restored_object(const json::value& pairs) {
  json::object object;
  if (!pairs.is_array()) return std::nullopt;
  for (const json::value& pair : pairs.get_array()) {
    const auto* entry = pair.if_array();
    if (entry == nullptr || entry->size() != 2 || !entry->front().is_string()) return std::nullopt;
    object[entry->front().get_string()] = entry->back();
  }
  return object;
}

std::optional<json::value> restored(const json::object& object) {
  const auto* tag = object.if_contains(kTag);
  const auto* tagged = object.if_contains(kTagged);
  if (tag == nullptr || tagged == nullptr) return std::nullopt;
  if (*tag == "float") return restored_float(*tagged);
  if (*tag == "dict") return restored_object(*tagged);
  return std::nullopt;
}

// Members first: a tagged value may hold others.
void restore(json::value& value) {
  if (auto* array = value.if_array()) {
    for (auto& item : *array) restore(item);
  } else if (auto* object = value.if_object()) {
    for (auto& member : *object) restore(member.value());
    if (auto meant = restored(*object)) value = std::move(*meant);
  }
}

std::string in_flight_reason() {
  try {
    throw;
  } catch (const Unwritable& error) {
    return error.path.empty() ? error.reason : fmt::format("at '{}': {}", error.path, error.reason);
  } catch (const boost::system::system_error& error) {
    return error.code().message();
  } catch (const std::bad_alloc&) {  // tells nothing about the value
    throw;
  } catch (const std::exception& error) { return error.what(); } catch (...) {
    return "an exception of unknown type";
  }
}

// It may be no text at all; no character is cut.
std::string quoted(std::string_view text) {
  std::string shown;
  std::size_t i = 0;
  while (i < std::min(text.size(), kQuoted)) {
    const std::size_t length = sequence_length(text.substr(i));
    shown += length == 0 ? "\xEF\xBF\xBD" : text.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return i < text.size() ? shown + "..." : shown;
}

}  // namespace

std::string json_text(const json::value& value) { return text_of(value); }
std::string json_text(double value) { return text_of(value); }
std::string json_text(std::string_view value) { return text_of(value); }

json::value json_value(std::string_view text) {
  json::parse_options options;
  options.max_depth = 1000;
  json::value value = json::parse(text, {}, options);
  if (text.find(R"("$")") != std::string_view::npos) restore(value);
  return value;
}

void throw_not_encoded(const std::type_info& type) {
  throw SerializationError(
      fmt::format("a value of type {} cannot be written as JSON: {}", type_name(type), in_flight_reason()));
}

void throw_not_decoded(const std::type_info& type, std::string_view json) {
  throw SerializationError(
      fmt::format("the recorded value {} cannot be read as {}: {}; give the type that it was "
                  "recorded with, or specialise workflows::Codec",
                  quoted(json), type_name(type), in_flight_reason()));
}

}  // namespace workflows::detail
