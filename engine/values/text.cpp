#include "engine/values/text.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>

namespace workflows::values {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct LeadByte {
  std::size_t length;  // 0: cannot begin a code point
  char32_t bits;
};

LeadByte read_lead(std::uint8_t byte) {
  if (byte < 0x80) return {1, byte};
  if (byte >= 0xC2 && byte < 0xE0) return {2, byte & 0x1Fu};
  if (byte >= 0xE0 && byte < 0xF0) return {3, byte & 0x0Fu};
  if (byte >= 0xF0 && byte < 0xF5) return {4, byte & 0x07u};
  return {0, 0};
}

bool is_scalar_of_length(char32_t c, std::size_t length) {
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
  return c >= kSmallest[length] && c <= 0x10FFFF && !surrogate;
}

}  // namespace

std::optional<char32_t> take_code_point(std::string_view& rest) {
  const std::string_view text = rest;
  auto [length, code_point] = read_lead(static_cast<std::uint8_t>(text.front()));
  rest.remove_prefix(1);
  if (length == 0 || length > text.size()) return std::nullopt;
  for (const char c : text.substr(1, length - 1)) {
    const auto byte = static_cast<std::uint8_t>(c);
    if ((byte & 0xC0u) != 0x80u) return std::nullopt;
    code_point = (code_point << 6u) | (byte & 0x3Fu);
  }
  if (!is_scalar_of_length(code_point, length)) return std::nullopt;
  rest.remove_prefix(length - 1);
  return code_point;
}

std::string as_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::string_view before = text;
    const bool valid = take_code_point(text).has_value();
    out += valid ? before.substr(0, before.size() - text.size()) : kReplacement;
  }
  return out;
}

std::string quoted(std::string_view text, std::size_t limit) {
  std::string out = "\"";
  while (!text.empty() && out.size() <= limit) {
    const std::string_view before = text;
    const auto code_point = take_code_point(text);
    const std::string_view bytes = before.substr(0, before.size() - text.size());
    if (!code_point) {
      out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(bytes.front()));
    } else if (is_control(*code_point)) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(*code_point));
    } else {
      if (*code_point == U'"' || *code_point == U'\\') out += '\\';
      out += bytes;
    }
  }
  out += '"';
  if (!text.empty()) out += "...";
  return out;
}

}  // namespace workflows::values
