#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <workflows/error.h>
#include <workflows/time.h>

#include <array>
#include <random>
#include <string>

namespace workflows {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    return "accepted as " + std::to_string(parse_duration(text).count()) + " ms";
  } catch (const InvalidDurationError& error) { return error.what(); }
}

TEST(DurationTest, S46_ADurationThatNoMillisecondsCanHoldIsLongerThanAnyThatIsAccepted) {
  static_assert(Duration(std::chrono::hours::max()).millis() > kMaxDuration);
  static_assert(Duration(std::chrono::hours::min()).millis() < -kMaxDuration);
  static_assert(Duration(kMaxDuration).millis() == kMaxDuration);
  static_assert(Duration(1500us).millis() == 2ms);
}

TEST(DurationTest, S19_NumbersWithUnits) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("30 minutes"), 30min);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("1.5 days"), 36h);
  EXPECT_EQ(parse_duration("2 weeks 1 day"), 24h * 15);
  EXPECT_EQ(parse_duration("1 month"), 24h * 30);
  EXPECT_EQ(parse_duration("1 year"), 24h * 365 + 6h);
  EXPECT_EQ(parse_duration("0s"), 0ms);
}

TEST(DurationTest, S19_EveryUnitSingularPluralAndInAnyCase) {
  for (const auto* text : {"1s", "1sec", "1secs", "1second", "1seconds", "1S", "1 SeCoNdS"})
    EXPECT_EQ(parse_duration(text), 1s) << text;
  for (const auto* text : {"1m", "1min", "1mins", "1minute", "1minutes", "1M"})
    EXPECT_EQ(parse_duration(text), 1min) << text;
  for (const auto* text : {"1h", "1hr", "1hrs", "1hour", "1hours"}) EXPECT_EQ(parse_duration(text), 1h) << text;
  for (const auto* text : {"1d", "1day", "1days"}) EXPECT_EQ(parse_duration(text), 24h) << text;
  for (const auto* text : {"1w", "1week", "1weeks"}) EXPECT_EQ(parse_duration(text), 168h) << text;
  for (const auto* text : {"1month", "1months"}) EXPECT_EQ(parse_duration(text), 720h) << text;
  for (const auto* text : {"1year", "1years"}) EXPECT_EQ(parse_duration(text), 8766h) << text;
  EXPECT_EQ(parse_duration("1MS"), 1ms);
}

TEST(DurationTest, S19_SpacesAreOptional) {
  EXPECT_EQ(parse_duration("  1h 30  m "), 90min);
  EXPECT_EQ(parse_duration("1h30m"), parse_duration("1 h 30 m"));
}

TEST(DurationTest, FractionsOfAMillisecondRoundUp) {
  EXPECT_EQ(parse_duration("0.1ms"), 1ms);
  EXPECT_EQ(parse_duration("1.0001s"), 1001ms);
  EXPECT_EQ(parse_duration("0.1s"), 100ms);
  EXPECT_EQ(parse_duration("1." + std::string(5000, '0') + "s"), 1s);
  EXPECT_EQ(parse_duration("1." + std::string(5000, '0') + "1s"), 1001ms);
}

TEST(DurationTest, S18_TenYearsAreTheLongest) {
  EXPECT_EQ(parse_duration("10 years"), kMaxDuration);
  EXPECT_EQ(parse_duration("315576000000 ms"), kMaxDuration);
  EXPECT_THAT(error_of("10 years 0.1 ms"), HasSubstr("longer than 10 years"));
  EXPECT_THAT(error_of("315576000001ms"), HasSubstr("longer than 10 years"));
  EXPECT_THAT(error_of(std::string(400, '9').append("s")), HasSubstr("longer than 10 years"));
  EXPECT_EQ(parse_duration(std::string(400, '0') + "5s"), 5s);
}

TEST(DurationTest, S19_AnythingElseIsAnErrorThatShowsWhatIsAccepted) {
  const std::array<std::pair<const char*, const char*>, 20> cases = {{
      {"", "it is empty"},
      {"   ", "it is empty"},
      {"5", "the last number has no unit"},
      {"1h 30", "the last number has no unit"},
      {"1.5", "the last number has no unit"},
      {"-1s", "it is negative"},
      {"1h -5m", "it is negative"},
      {"+1s", "a number is expected at \"+1s\""},
      {"s", "a number is expected at \"s\""},
      {"nan", "a number is expected"},
      {"inf s", "a number is expected"},
      {".5s", "a number is expected"},
      {"1.s", "a digit has to follow the decimal point"},
      {"1,5s", "a unit is expected at \",5s\""},
      {"1h,30m", "a number is expected at \",30m\""},
      {"1 fortnight", "the unit \"fortnight\" is unknown"},
      {"1 mss", "the unit \"mss\" is unknown"},
      {"1e3s", "the unit \"e\" is unknown"},
      {"1h\n", "a number is expected"},
      {"1 \xC3\xA9", "a unit is expected at \"\xC3\xA9\""},
  }};
  for (const auto& [text, problem] : cases) {
    EXPECT_THAT(error_of(text), HasSubstr(problem)) << text;
    EXPECT_THAT(error_of(text), testing::AllOf(HasSubstr("30 minutes"), HasSubstr("1h30m"), HasSubstr("1.5 days")));
  }
  EXPECT_THAT(error_of("1 parsec"), HasSubstr("\"1 parsec\""));
}

TEST(DurationTest, S19_RandomDurationsAddUp) {
  struct Unit {
    const char* name;
    std::int64_t ms;
  };
  constexpr std::array<Unit, 8> kUnits = {{{"ms", 1},
                                           {"s", 1000},
                                           {"Minutes", 60'000},
                                           {"hr", 3'600'000},
                                           {"DAY", 86'400'000},
                                           {"w", 604'800'000},
                                           {"months", 2'592'000'000},
                                           {"year", 31'557'600'000}}};
  std::mt19937_64 random(19);
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    std::int64_t sum = 0;
    for (auto parts = 1 + random() % 5; parts > 0; --parts) {
      const Unit& unit = kUnits[random() % kUnits.size()];
      const auto whole = static_cast<std::int64_t>(random() % 3);
      const auto thousandths = static_cast<std::int64_t>(random() % 1000);
      std::string fraction = std::to_string(1000 + thousandths).substr(1);
      text += std::string(random() % 3, ' ') + std::to_string(whole);
      sum += whole * unit.ms;
      if (random() % 2 == 0) {
        text += "." + fraction;
        sum += (thousandths * unit.ms + 999) / 1000;
      }
      text += std::string(random() % 2, ' ') + unit.name;
    }
    if (sum > kMaxDuration.count()) {
      ASSERT_THAT(error_of(text), HasSubstr("longer than 10 years")) << text;
    } else {
      ASSERT_EQ(parse_duration(text).count(), sum) << text;
    }
  }
}

TEST(DurationTest, ADurationIsTextOrChrono) {
  EXPECT_EQ(Duration("2s"), Duration(2s));
  EXPECT_EQ(Duration(std::string("2s")).millis(), 2000ms);
  EXPECT_EQ(Duration(1500us).millis(), 2ms);
  EXPECT_THROW(Duration("soon"), InvalidDurationError);
}

}  // namespace
}  // namespace workflows
