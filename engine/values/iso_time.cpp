#include "engine/values/iso_time.h"

#include <fmt/format.h>

#include <chrono>

namespace workflows::values {
namespace {

namespace chrono = std::chrono;

// Reads a text from its front.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Exactly so many digits.
  std::optional<int> number(std::size_t digits) {
    if (rest_.size() < digits) return std::nullopt;
    int value = 0;
    for (const char c : rest_.substr(0, digits)) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  // Digits after a point, as milliseconds; what is finer is dropped.
  std::optional<int> fraction() {
    int value = 0;
    int scale = 100;
    const std::size_t before = rest_.size();
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; rest_.remove_prefix(1)) {
      value += (rest_.front() - '0') * scale;
      scale /= 10;
    }
    return rest_.size() == before ? std::nullopt : std::optional(value);
  }

 private:
  std::string_view rest_;
};

std::optional<chrono::sys_days> read_date(Reader& reader) {
  const auto year = reader.number(4);
  if (!year || !reader.take('-')) return std::nullopt;
  const auto month = reader.number(2);
  if (!month || !reader.take('-')) return std::nullopt;
  const auto day = reader.number(2);
  if (!day) return std::nullopt;
  const chrono::year_month_day date{chrono::year(*year), chrono::month(static_cast<unsigned>(*month)),
                                    chrono::day(static_cast<unsigned>(*day))};
  return date.ok() ? std::optional(chrono::sys_days(date)) : std::nullopt;
}

std::optional<Millis> read_clock(Reader& reader) {
  const auto hour = reader.number(2);
  if (!hour || *hour > 23 || !reader.take(':')) return std::nullopt;
  const auto minute = reader.number(2);
  if (!minute || *minute > 59) return std::nullopt;
  Millis time = chrono::hours(*hour) + chrono::minutes(*minute);
  if (!reader.take(':')) return time;
  const auto second = reader.number(2);
  if (!second || *second > 59) return std::nullopt;
  time += chrono::seconds(*second);
  if (!reader.take('.')) return time;
  const auto fraction = reader.fraction();
  if (!fraction) return std::nullopt;
  return time + Millis(*fraction);
}

std::optional<Millis> read_zone(Reader& reader) {
  if (reader.take('Z')) return Millis(0);
  const bool east = reader.take('+');
  if (!east && !reader.take('-')) return std::nullopt;
  const auto hour = reader.number(2);
  reader.take(':');
  const auto minute = reader.number(2);
  if (!hour || !minute || *hour > 23 || *minute > 59) return std::nullopt;
  const Millis offset = chrono::hours(*hour) + chrono::minutes(*minute);
  return east ? offset : -offset;
}

// The years 0000 to 9999, which four digits hold. An offset may lead out of them.
bool is_writable(TimePoint time) {
  constexpr chrono::sys_days kFirst = chrono::year(0) / 1 / 1;
  constexpr chrono::sys_days kAfterLast = chrono::year(10'000) / 1 / 1;
  return kFirst <= time && time < kAfterLast;
}

}  // namespace

std::string iso_time(TimePoint time) {
  const auto day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

std::optional<TimePoint> parse_iso_time(std::string_view text) {
  Reader reader(text);
  const auto date = read_date(reader);
  if (!date || (!reader.take('T') && !reader.take(' '))) return std::nullopt;
  const auto clock = read_clock(reader);
  if (!clock) return std::nullopt;
  const auto zone = read_zone(reader);
  if (!zone || !reader.at_end()) return std::nullopt;
  const TimePoint time = TimePoint(*date) + *clock - *zone;
  return is_writable(time) ? std::optional(time) : std::nullopt;
}

}  // namespace workflows::values
