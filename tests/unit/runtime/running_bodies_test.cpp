#include "engine/runtime/running_bodies.h"

#include <gtest/gtest.h>

namespace workflows::runtime {
namespace {

constexpr TimePoint kStart{};
constexpr TimePoint kLate = kStart + RunningBodies::kLinger;

TEST(RunningBodies, ABodyThatEndedIsNotWaitedFor) {
  RunningBodies bodies;
  bodies.began({1, 0, 1}, kStart);
  bodies.ended({1, 0, 1});
  EXPECT_EQ(bodies.next(), std::nullopt);
  EXPECT_EQ(bodies.pop_lingering(kLate), std::nullopt);
}

TEST(RunningBodies, ABodyLingersOnceAndNotBeforeItsTime) {
  RunningBodies bodies;
  bodies.began({1, 0, 1}, kStart);
  EXPECT_EQ(bodies.next(), kLate);
  EXPECT_EQ(bodies.pop_lingering(kLate - Millis(1)), std::nullopt);
  EXPECT_EQ(bodies.pop_lingering(kLate), (Body{1, 0, 1}));
  EXPECT_EQ(bodies.pop_lingering(kLate), std::nullopt);
}

// A step that failed at once and was tried again within the time.
TEST(RunningBodies, TheAttemptThatEndedSaysNothingOfTheNextOne) {
  RunningBodies bodies;
  bodies.began({1, 0, 1}, kStart);
  bodies.ended({1, 0, 1});
  bodies.began({1, 0, 2}, kStart + Millis(5));
  EXPECT_EQ(bodies.pop_lingering(kLate), std::nullopt);
  EXPECT_EQ(bodies.pop_lingering(kLate + Millis(5)), (Body{1, 0, 2}));
}

}  // namespace
}  // namespace workflows::runtime
