#pragma once
// Points in time as ISO 8601 text.

#include <optional>
#include <string>
#include <string_view>

#include <workflows/time.h>

namespace workflows::values {

// "2026-01-01T00:00:00.000Z"
std::string iso_time(TimePoint time);
// Also without seconds or milliseconds, with a blank for the T, or with an offset such as +02:00. Absent: it is not
// one, has no time zone, or lies outside of the years 0000 to 9999 of UTC.
std::optional<TimePoint> parse_iso_time(std::string_view text);

}  // namespace workflows::values
