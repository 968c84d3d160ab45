#include "engine/core/retry.h"

#include <gtest/gtest.h>

#include <random>

namespace workflows::core {
namespace {

using namespace std::chrono_literals;

TEST(RetryTest, S9_TheDefaultDoublesOneSecondUpToAnHour) {
  const Retries retries;
  EXPECT_EQ(retry_delay(retries, 1, 0.5), 1s);
  EXPECT_EQ(retry_delay(retries, 2, 0.5), 2s);
  EXPECT_EQ(retry_delay(retries, 5, 0.5), 16s);
  EXPECT_EQ(retry_delay(retries, 12, 0.5), 2048s);
  EXPECT_EQ(retry_delay(retries, 13, 0.5), 1h);
}

TEST(RetryTest, S9_ConstantAndLinear) {
  EXPECT_EQ(retry_delay({.delay = 3s, .backoff = Backoff::constant}, 9, 0), 3s);
  EXPECT_EQ(retry_delay({.delay = 3s, .backoff = Backoff::linear}, 9, 0), 27s);
}

TEST(RetryTest, S9_NoDelayExceedsMaxDelay) {
  EXPECT_EQ(retry_delay({.delay = 2h, .backoff = Backoff::constant}, 1, 0), 1h);
  EXPECT_EQ(retry_delay({.delay = 3s, .backoff = Backoff::linear, .max_delay = 20s}, 9, 0), 20s);
}

TEST(RetryTest, S9_JitterTakesOffUpToItsShare) {
  const Retries retries{.delay = 10s, .backoff = Backoff::constant, .jitter = 0.2};
  EXPECT_EQ(retry_delay(retries, 1, 0.0), 10s);
  EXPECT_EQ(retry_delay(retries, 1, 0.5), 9s);
  EXPECT_EQ(retry_delay(retries, 1, 1.0), 8s);
}

TEST(RetryTest, NoDelayStaysNoDelay) {
  EXPECT_EQ(retry_delay({.delay = 0s}, 60, 0.5), 0s);
  EXPECT_EQ(retry_delay({.delay = 1s, .max_delay = 0s}, 3, 0.5), 0s);
}

TEST(RetryTest, NothingOverflowsWhateverTheNumbers) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const Retries retries{.delay = Millis(static_cast<std::int64_t>(random() >> (random() % 64))),
                          .backoff = static_cast<Backoff>(random() % 3),
                          .max_delay = Millis(static_cast<std::int64_t>(random() >> (1 + random() % 63))),
                          .jitter = static_cast<double>(random() % 101) / 100};
    const auto attempt = static_cast<std::uint32_t>(random() >> (32 + random() % 32));
    const Millis delay = retry_delay(retries, attempt, static_cast<double>(random() % 1000) / 999);
    ASSERT_GE(delay, 0ms);
    ASSERT_LE(delay, retries.max_delay.millis());
  }
}

}  // namespace
}  // namespace workflows::core
