#include "engine/values/iso_time.h"

#include <gtest/gtest.h>

namespace workflows::values {
namespace {

constexpr TimePoint kTime{Millis(1'767'323'045'678)};

TEST(IsoTime, IsWrittenInUtcWithMilliseconds) {
  EXPECT_EQ(iso_time(kTime), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(iso_time(TimePoint(Millis(-1))), "1969-12-31T23:59:59.999Z");
}

TEST(IsoTime, IsReadInTheFormsThatPeopleWrite) {
  EXPECT_EQ(parse_iso_time("2026-01-02T03:04:05.678Z"), kTime);
  EXPECT_EQ(parse_iso_time("2026-01-02 04:04:05.678901+01:00"), kTime);
  EXPECT_EQ(parse_iso_time("2026-01-01T23:34:05.678-0330"), kTime);
  EXPECT_EQ(parse_iso_time("2026-01-02T03:04Z"), kTime - Millis(5678));
}

TEST(IsoTime, WhatIsReadCanBeWritten) {
  EXPECT_EQ(iso_time(parse_iso_time("0000-01-01T05:30+05:30").value()), "0000-01-01T00:00:00.000Z");
  EXPECT_EQ(iso_time(parse_iso_time("9999-12-31T18:29:59.999-05:30").value()), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(parse_iso_time("0000-01-01T03:59:59.9+05:30"), std::nullopt);
  EXPECT_EQ(parse_iso_time("9999-12-31T23:59:59-14:00"), std::nullopt);
}

TEST(IsoTime, AnythingElseIsRefused) {
  for (const auto* text : {"", "2026", "2026-01-02", "2026-01-02T03:04:05", "2026-02-30T00:00Z", "2026-01-02T24:00Z",
                           "2026-01-02T03:60Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05Zx", "x026-01-02T03:04Z"})
    EXPECT_EQ(parse_iso_time(text), std::nullopt) << text;
}

}  // namespace
}  // namespace workflows::values
