#pragma once
// How a value of the program becomes the JSON text that is recorded, and back. Whatever Boost.JSON can convert works as
// it is: numbers, text, containers, optional, variant, described structs, and types with `tag_invoke` for `value_from`
// and `value_to`. Anything else, or another form, by specialising Codec:
//
//   template <>
//   struct workflows::Codec<Money> {
//     static std::string encode(const Money& money) { return workflows::Codec<std::int64_t>::encode(money.cents()); }
//     static Money decode(std::string_view json) { return Money(workflows::Codec<std::int64_t>::decode(json)); }
//   };
//
// The text is what the Python SDK reads and writes for the same value: integers and floats stay apart (5.0 has a
// decimal point), NaN and the infinities are {"$":"float","v":"nan"}. Python's types that JSON does not know are read
// as the tagged objects that they are written as. Both directions throw SerializationError.

#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <variant>

#include <boost/json.hpp>

namespace workflows {

namespace detail {

std::string json_text(const boost::json::value& value);
std::string json_text(double value);
std::string json_text(std::string_view value);
boost::json::value json_value(std::string_view text);

// What stands between the quotes of a JSON string without escapes.
inline std::optional<std::string_view> plain_text(std::string_view json) {
  if (json.size() < 2 || json.front() != '"' || json.back() != '"') return std::nullopt;
  const std::string_view text = json.substr(1, json.size() - 2);
  if (text.find('"') != text.npos || text.find('\\') != text.npos) return std::nullopt;
  return text;
}

// Inside a catch block: turn what is in flight into a SerializationError that names the type.
[[noreturn]] void throw_not_encoded(const std::type_info& type);
[[noreturn]] void throw_not_decoded(const std::type_info& type, std::string_view json);

template <class T>
concept Null = std::same_as<T, std::nullptr_t> || std::same_as<T, std::monostate>;
template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool>;

template <class T>
std::string encode(const T& value) {
  if constexpr (Null<T>) {
    return "null";
  } else if constexpr (std::same_as<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (Integer<T>) {
    return std::to_string(value);
  } else if constexpr (std::floating_point<T>) {
    return json_text(static_cast<double>(value));
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    return json_text(std::string_view(value));
  } else {
    return json_text(boost::json::value_from(value));
  }
}

template <class T>
T decode(std::string_view json) {
  if constexpr (Null<T>) {
    return T{};
  } else {
    if constexpr (Integer<T>) {
      T value{};
      const char* end = json.data() + json.size();
      if (auto [rest, error] = std::from_chars(json.data(), end, value); error == std::errc{} && rest == end)
        return value;
    }
    if constexpr (std::same_as<T, std::string>) {
      if (const auto plain = plain_text(json)) return std::string(*plain);
    }
    return boost::json::value_to<T>(json_value(json));
  }
}

}  // namespace detail

template <class T>
struct Codec {
  static std::string encode(const T& value) {
    try {
      return detail::encode(value);
    } catch (...) { detail::throw_not_encoded(typeid(T)); }
  }

  static T decode(std::string_view json) {
    try {
      return detail::decode<T>(json);
    } catch (...) { detail::throw_not_decoded(typeid(T), json); }
  }
};

// A step or workflow without a result records null.
template <>
struct Codec<void> {
  static std::string encode() { return "null"; }
  static void decode(std::string_view) {}
};

// The type that a value is recorded as: text for literals.
template <class T>
using RecordedAs =
    std::conditional_t<std::is_same_v<std::decay_t<T>, const char*> || std::is_same_v<std::decay_t<T>, char*>,
                       std::string, std::remove_cvref_t<T>>;

template <class T>
std::string to_json(const T& value) {
  return Codec<RecordedAs<T>>::encode(value);
}

}  // namespace workflows
