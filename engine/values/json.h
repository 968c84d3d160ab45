#pragma once
// JSON that must keep its bytes. Boost.JSON checks it; what is opaque to the engine (results, exception data) is then
// handled as raw text, because parsing would round: integers beyond 64 bits, and doubles (one in five, Boost 1.81)
// change.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace workflows::values {

// How deep JSON may nest.
inline constexpr std::size_t kMaxJsonDepth = 1000;

// What is wrong with `text` as JSON, for people; absent when nothing is.
std::optional<std::string> json_problem(std::string_view text);

struct RawMember {
  std::string_view key;  // as spelled, without the quotes
  std::string_view value;
};
// The members of a JSON object in order; views into `object`. Requires: valid JSON, an object.
std::vector<RawMember> raw_members(std::string_view object);
// The same for the elements of an array.
std::vector<std::string_view> raw_elements(std::string_view array);
// The value of a member; empty if `object` is not a valid one, as what is recorded may be, or has none of this name.
std::string_view raw_member(std::string_view object, std::string_view key);

constexpr bool is_json_string(std::string_view raw) noexcept { return raw.starts_with('"'); }
constexpr bool is_json_object(std::string_view raw) noexcept { return raw.starts_with('{'); }
constexpr bool is_json_array(std::string_view raw) noexcept { return raw.starts_with('['); }
// Requires: a valid JSON string.
std::string decode_json_string(std::string_view raw);
// Bytes that are not UTF-8 become U+FFFD, so that the result is always valid JSON.
std::string encode_json_string(std::string_view text);

// Whether they say the same, however objects order their members and whatever blanks there are. Numbers are the same
// if they are spelled so.
bool is_same_json(std::string_view a, std::string_view b);

// Without white space between its tokens.
std::string compact_json(std::string_view text);
// Without blanks on either side.
std::string_view trim_json(std::string_view text);

}  // namespace workflows::values
