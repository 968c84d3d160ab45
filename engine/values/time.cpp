#include <workflows/error.h>
#include <workflows/time.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <ranges>

#include "engine/values/text.h"

namespace workflows {
namespace {

constexpr std::int64_t kSecondMs = 1000;
constexpr std::int64_t kMinuteMs = 60 * kSecondMs;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::int64_t kDayMs = 24 * kHourMs;

struct Unit {
  std::string_view name;
  std::int64_t ms;
  bool has_plural = true;
};

constexpr std::array<Unit, 16> kUnits = {{
    {"ms", 1, false},
    {"s", kSecondMs, false},
    {"sec", kSecondMs},
    {"second", kSecondMs},
    {"m", kMinuteMs, false},
    {"min", kMinuteMs},
    {"minute", kMinuteMs},
    {"h", kHourMs, false},
    {"hr", kHourMs},
    {"hour", kHourMs},
    {"d", kDayMs, false},
    {"day", kDayMs},
    {"w", 7 * kDayMs, false},
    {"week", 7 * kDayMs},
    {"month", 30 * kDayMs},
    {"year", 36525 * kDayMs / 100},
}};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

const Unit* find_unit(std::string_view text) {
  const std::string name = lower(text);
  const auto matches = [&](const Unit& unit) {
    return name == unit.name ||
           (unit.has_plural && name.ends_with('s') && name.substr(0, name.size() - 1) == unit.name);
  };
  const auto found = std::ranges::find_if(kUnits, matches);
  return found == kUnits.end() ? nullptr : &*found;
}

// 0.<digits> of a unit, rounded up; exact whatever the number of digits.
std::int64_t fraction_of(std::int64_t unit_ms, std::string_view digits) {
  std::int64_t ms = 0;
  bool remainder = false;
  for (const char digit : std::views::reverse(digits)) {
    ms += (digit - '0') * unit_ms;
    remainder = remainder || ms % 10 != 0;
    ms /= 10;
  }
  return ms + (remainder ? 1 : 0);
}

class DurationParser {
 public:
  explicit DurationParser(std::string_view text) : text_(text), rest_(text) {}

  Millis parse() {
    skip_spaces();
    if (rest_.empty()) fail("it is empty");
    while (!rest_.empty()) {
      part();
      skip_spaces();
    }
    return Millis(total_ms_);
  }

 private:
  void part() {
    const std::string_view whole = take(is_digit);
    if (whole.empty()) fail_at_number();
    std::string_view fraction;
    if (rest_.starts_with('.')) {
      rest_.remove_prefix(1);
      fraction = take(is_digit);
      if (fraction.empty()) fail("a digit has to follow the decimal point");
    }
    skip_spaces();
    const std::string_view name = take(is_letter);
    if (name.empty()) fail_at_unit();
    const Unit* unit = find_unit(name);
    if (unit == nullptr) fail("the unit " + values::quoted(name) + " is unknown");
    add(whole, unit->ms);
    add_ms(fraction_of(unit->ms, fraction));
  }

  void add(std::string_view digits, std::int64_t unit_ms) {
    std::int64_t count = 0;
    for (const char digit : digits) {
      count = count * 10 + (digit - '0');
      if (count > kMaxDuration.count() / unit_ms) fail_too_long();
    }
    add_ms(count * unit_ms);
  }

  void add_ms(std::int64_t ms) {
    total_ms_ += ms;
    if (total_ms_ > kMaxDuration.count()) fail_too_long();
  }

  template <class Predicate>
  std::string_view take(Predicate belongs) {
    const auto end = std::ranges::find_if_not(rest_, belongs);
    const auto taken = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  void skip_spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }

  [[noreturn]] void fail_at_number() {
    if (rest_.front() == '-') fail("it is negative");
    fail("a number is expected at " + values::quoted(rest_, 20));
  }
  [[noreturn]] void fail_at_unit() {
    if (rest_.empty()) fail("the last number has no unit");
    fail("a unit is expected at " + values::quoted(rest_, 20));
  }
  [[noreturn]] void fail_too_long() { fail("it is longer than 10 years"); }

  [[noreturn]] void fail(const std::string& problem) {
    throw InvalidDurationError(fmt::format(
        "The duration {} is not accepted: {}. Write one or more numbers with units, such as \"30 minutes\", \"1h30m\" "
        "or \"1.5 days\". Units: ms, s|sec|second, m|min|minute, h|hr|hour, d|day, w|week, month (30 days), year "
        "(365.25 "
        "days), singular or plural, in any case; at most 10 years.",
        values::quoted(text_), problem));
  }

  std::string_view text_;
  std::string_view rest_;
  std::int64_t total_ms_ = 0;
};

}  // namespace

Millis parse_duration(std::string_view text) { return DurationParser(text).parse(); }

}  // namespace workflows
