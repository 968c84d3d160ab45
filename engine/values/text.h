#pragma once
// Text that came from outside: UTF-8 and how to show it in a message.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace workflows::values {

// Takes the first code point off `rest`. Absent, with one byte taken, where `rest` does not begin with valid UTF-8.
// Requires: `rest` is not empty.
std::optional<char32_t> take_code_point(std::string_view& rest);

// The same text with U+FFFD in place of every byte that is not part of valid UTF-8.
std::string as_valid_utf8(std::string_view text);

// For messages: in double quotes, one line, valid UTF-8, cut short after `limit` bytes.
std::string quoted(std::string_view text, std::size_t limit = 80);

// C0, DEL and C1.
constexpr bool is_control(char32_t c) noexcept { return c < 0x20 || (c >= 0x7F && c <= 0x9F); }

}  // namespace workflows::values
