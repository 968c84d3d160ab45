#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <workflows/config.h>
#include <workflows/error.h>

#include <array>
#include <random>
#include <string>

namespace workflows {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::string error_of(const std::string& json) {
  try {
    return "accepted as " + StepConfig::from_json(json).to_json();
  } catch (const InvalidConfigError& error) { return error.what(); }
}

TEST(StepConfigTest, S9_TheDefaults) {
  const StepConfig config;
  EXPECT_EQ(config.retries.limit, 5u);
  EXPECT_EQ(config.retries.delay, Duration(1s));
  EXPECT_EQ(config.retries.backoff, Backoff::exponential);
  EXPECT_EQ(config.retries.max_delay, Duration(1h));
  EXPECT_EQ(config.retries.jitter, 0);
  EXPECT_EQ(config.timeout, Duration(10min));
  EXPECT_FALSE(config.sensitive_output);
  EXPECT_EQ(config.to_json(), "");
  EXPECT_EQ(StepConfig::from_json(""), config);
  EXPECT_EQ(StepConfig::from_json("{}"), config);
}

TEST(StepConfigTest, S9_WhatIsGivenIsMergedOverTheDefaultsKeyByKey) {
  const auto config =
      StepConfig::from_json(R"({"retries": {"limit": 2, "delay": "5 seconds"}, "timeout": "1 minute"})");
  EXPECT_EQ(config, (StepConfig{.retries = {.limit = 2, .delay = 5s}, .timeout = 1min}));
}

TEST(StepConfigTest, S9_EveryKeyIsWrittenWhenItDiffers) {
  const StepConfig config{.retries = {.limit = 0,
                                      .delay = 2s,
                                      .dynamic_delay = true,
                                      .backoff = Backoff::linear,
                                      .max_delay = 1min,
                                      .jitter = 0.3},
                          .timeout = 90s,
                          .sensitive_output = true};
  EXPECT_EQ(
      config.to_json(),
      R"({"retries":{"limit":0,"delay":2000,"dynamic_delay":true,"backoff":"linear","max_delay":60000,"jitter":0.3},)"
      R"("timeout":90000,"sensitive":"output"})");
  EXPECT_EQ(StepConfig::from_json(config.to_json()), config);
}

TEST(StepConfigTest, S9_ErrorsNameTheKeyAndWhatIsAccepted) {
  const std::array<std::array<const char*, 3>, 22> cases = {{
      {R"({"retry":{}})", "unknown key \"retry\"", "retries, timeout, heartbeat_timeout, sensitive"},
      {R"({"retries":{"limits":1}})", "unknown key \"limits\"", "limit, delay, backoff, max_delay, jitter"},
      {R"({"retries":3})", "retries is 3", "an object"},
      {R"({"retries":null})", "retries is null", "an object"},
      {R"({"retries":{"limit":-1}})", "retries.limit is -1", "a whole number"},
      {R"({"retries":{"limit":1.5}})", "retries.limit is 1.5", "a whole number"},
      {R"({"retries":{"limit":"3"}})", "retries.limit is \"3\"", "a whole number"},
      {R"({"retries":{"limit":4294967295}})", "retries.limit is 4294967295", "from 0 to 4294967294"},
      {R"({"retries":{"limit":1e3}})", "retries.limit is 1e3", "a whole number"},
      {R"({"retries":{"delay":-5}})", "retries.delay is -5", "a duration"},
      {R"({"retries":{"delay":"5"}})", "retries.delay", "1h30m"},
      {R"({"retries":{"delay":true}})", "retries.delay is true", "a duration"},
      {R"({"retries":{"max_delay":315576000001}})", "retries.max_delay is 315576000001", "ten years"},
      {R"({"retries":{"backoff":"cubic"}})", "retries.backoff is \"cubic\"", "\"exponential\""},
      {R"({"retries":{"jitter":1.01}})", "retries.jitter is 1.01", "from 0 to 1"},
      {R"({"retries":{"jitter":-0.1}})", "retries.jitter is -0.1", "from 0 to 1"},
      {R"({"retries":{"dynamic_delay":1}})", "retries.dynamic_delay is 1", "true or false"},
      {R"({"timeout":0})", "timeout is 0", "from 1 ms"},
      {R"({"timeout":"i like trains"})", "timeout", "1h30m"},
      {R"({"sensitive":true})", "sensitive is true", "\"output\""},
      {R"([1])", "\"[1]\"", "an object"},
      {R"({"timeout":1)", "not valid JSON", ""},
  }};
  for (const auto& [json, found, accepted] : cases) {
    EXPECT_THAT(error_of(json), testing::AllOf(HasSubstr(found), HasSubstr(accepted))) << json;
  }
}

TEST(StepConfigTest, S46_AHugeValueIsCutShortInTheMessage) {
  EXPECT_LT(error_of(R"({"retries":{"limit":")" + std::string(100'000, 'x') + "\"}}").size(), 300u);
}

TEST(StepConfigTest, S9_AConfigMadeInCodeIsHeldToTheSameRanges) {
  EXPECT_NO_THROW(StepConfig{}.check());
  EXPECT_THROW((StepConfig{.retries = {.delay = -1s}}.check()), InvalidConfigError);
  EXPECT_THROW((StepConfig{.retries = {.max_delay = kMaxDuration + 1ms}}.check()), InvalidConfigError);
  EXPECT_THROW((StepConfig{.retries = {.jitter = 2}}.check()), InvalidConfigError);
  EXPECT_THROW((StepConfig{.retries = {.limit = 4'294'967'295}}.check()), InvalidConfigError);
  EXPECT_THROW((StepConfig{.timeout = 0ms}.check()), InvalidConfigError);
}

TEST(StepConfigTest, S9_EveryConfigComesBackAsItWasWritten) {
  std::mt19937_64 random(9);
  const auto duration = [&] { return Millis(1 + static_cast<std::int64_t>(random() % 315'576'000'000)); };
  for (int i = 0; i < 5'000; ++i) {
    const StepConfig config{.retries = {.limit = static_cast<std::uint32_t>(random() % 4'294'967'295),
                                        .delay = duration(),
                                        .dynamic_delay = random() % 2 == 0,
                                        .backoff = static_cast<Backoff>(random() % 3),
                                        .max_delay = duration(),
                                        .jitter = std::uniform_real_distribution<>(0, 1)(random)},
                            .timeout = duration(),
                            .sensitive_output = random() % 2 == 0};
    ASSERT_EQ(StepConfig::from_json(config.to_json()), config) << config.to_json();
  }
}

}  // namespace
}  // namespace workflows
