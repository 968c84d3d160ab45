#include <workflows/codec.h>

#include <array>
#include <cmath>
#include <limits>
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

void write(std::string_view text, std::string& out) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
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

template <class Write>
void at_path(Write write_part, std::string_view prefix) {
  try {
    write_part();
  } catch (Unwritable& error) {
    error.path.insert(0, prefix);
    throw;
  }
}

void write(const json::array& array, std::string& out) {
  out += '[';
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (i > 0) out += ',';
    at_path([&] { write(array[i], out); }, fmt::format("[{}]", i));
  }
  out += ']';
}

void write(const json::object& object, std::string& out) {
  out += '{';
  bool first = true;
  for (const auto& [name, value] : object) {
    if (!first) out += ',';
    first = false;
    at_path(
        [&, &key = name, &member = value] {
          write(std::string_view(key.data(), key.size()), out);
          out += ':';
          write(member, out);
        },
        fmt::format(".{}", std::string_view(name.data(), name.size())));
  }
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
      return write(std::string_view(value.get_string().data(), value.get_string().size()), out);
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

// NaN and the infinities, which JSON has no numbers for.
bool restore_float(json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr || object->size() != 2) return false;
  const auto* tag = object->if_contains(kTag);
  const auto* text = object->if_contains(kTagged);
  if (tag == nullptr || text == nullptr || !tag->is_string() || !text->is_string() || tag->get_string() != "float") {
    return false;
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text->get_string() == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else if (text->get_string() == "inf") {
    value = kInfinity;
  } else if (text->get_string() == "-inf") {
    value = -kInfinity;
  } else {
    return false;
  }
  return true;
}

void restore_floats(json::value& value) {
  if (restore_float(value)) return;
  if (auto* array = value.if_array()) {
    for (auto& item : *array) restore_floats(item);
  } else if (auto* object = value.if_object()) {
    for (auto& member : *object) restore_floats(member.value());
  }
}

std::string in_flight_reason() {
  try {
    throw;
  } catch (const Unwritable& error) {
    return error.path.empty() ? error.reason : fmt::format("at '{}': {}", error.path, error.reason);
  } catch (const boost::system::system_error& error) {
    return error.code().message();
  } catch (const std::exception& error) { return error.what(); } catch (...) {
    return "an exception of unknown type";
  }
}

std::string quoted(std::string_view text) {
  return text.size() <= kQuoted ? std::string(text) : std::string(text.substr(0, kQuoted)) + "...";
}

}  // namespace

std::string json_text(const json::value& value) { return text_of(value); }
std::string json_text(double value) { return text_of(value); }
std::string json_text(std::string_view value) { return text_of(value); }

json::value json_value(std::string_view text) {
  json::parse_options options;
  options.max_depth = 1000;
  json::value value = json::parse(json::string_view(text.data(), text.size()), {}, options);
  if (text.find(R"("$")") != std::string_view::npos) restore_floats(value);
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
