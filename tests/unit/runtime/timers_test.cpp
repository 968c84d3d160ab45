#include "engine/runtime/timers.h"

#include <gtest/gtest.h>
#include <workflows/host.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace workflows::runtime {
namespace {

struct Sleeper {
  std::int64_t instance = 0;
  std::uint32_t ticket = 0;

  bool operator==(const Sleeper&) const = default;
};
static_assert(sizeof(Sleeper) == 16);

TimePoint at(std::int64_t ms) { return TimePoint(Millis(ms)); }

TEST(TimersTest, S20_NothingFiresBeforeItsTime) {
  Timers<Sleeper> timers;
  EXPECT_EQ(timers.next(), std::nullopt);
  timers.arm(at(100), {1, 1});
  EXPECT_EQ(timers.next(), at(100));
  EXPECT_EQ(timers.pop_due(at(99)), std::nullopt);
  EXPECT_EQ(timers.pop_due(at(100)), (Sleeper{1, 1}));
  EXPECT_EQ(timers.pop_due(at(100)), std::nullopt);
  EXPECT_EQ(timers.next(), std::nullopt);
}

TEST(TimersTest, TimersFireInOrderOfTimeThenOfArming) {
  Timers<int> timers;
  timers.arm(at(3), 30);
  for (int i = 0; i < 10; ++i) timers.arm(at(2), i);
  timers.arm(at(1), 10);
  std::vector<int> fired;
  while (const auto payload = timers.pop_due(at(3))) fired.push_back(*payload);
  EXPECT_EQ(fired, (std::vector{10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 30}));
}

TEST(TimersTest, ADisarmedTimerNeverFires) {
  Timers<int> timers;
  const TimerId first = timers.arm(at(1), 1);
  timers.arm(at(2), 2);
  EXPECT_TRUE(timers.disarm(first));
  EXPECT_EQ(timers.size(), 1u);
  EXPECT_EQ(timers.pop_due(at(5)), 2);
  EXPECT_EQ(timers.pop_due(at(5)), std::nullopt);
}

TEST(TimersTest, AnIdOfTheDeadDoesNotHurtTheLiving) {
  Timers<int> timers;
  const TimerId popped = timers.arm(at(1), 1);
  EXPECT_EQ(timers.pop_due(at(1)), 1);
  const TimerId successor = timers.arm(at(1), 2);
  EXPECT_EQ(successor.slot, popped.slot);
  EXPECT_FALSE(timers.disarm(popped));
  EXPECT_FALSE(timers.disarm(TimerId{}));
  EXPECT_TRUE(timers.disarm(successor));
  EXPECT_FALSE(timers.disarm(successor));
}

TEST(TimersTest, ADisarmedPayloadIsLetGoAtOnce) {
  Timers<std::shared_ptr<int>> timers;
  const auto payload = std::make_shared<int>(1);
  const TimerId id = timers.arm(at(1), payload);
  EXPECT_EQ(payload.use_count(), 2);
  timers.disarm(id);
  EXPECT_EQ(payload.use_count(), 1);
}

TEST(TimersTest, RandomArmingAndDisarmingBehavesLikeAnOrderedMap) {
  std::mt19937_64 random(3);
  Timers<int> timers;
  std::multimap<std::int64_t, int> model;
  std::vector<std::pair<TimerId, std::multimap<std::int64_t, int>::iterator>> armed;
  std::map<int, std::size_t> place;  // of a payload in armed
  for (int i = 0; i < 50'000; ++i) {
    const auto choice = random() % 10;
    if (choice < 5) {
      const auto when = static_cast<std::int64_t>(random() % 1000);
      place[i] = armed.size();
      armed.emplace_back(timers.arm(at(when), i), model.emplace(when, i));
    } else if (choice < 8 && !armed.empty()) {
      const std::size_t which = random() % armed.size();
      const auto [id, entry] = armed[which];
      const bool lives = entry != model.end();
      ASSERT_EQ(timers.disarm(id), lives);
      if (!lives) continue;
      place.erase(entry->second);
      model.erase(entry);
      armed[which].second = model.end();
    } else if (!model.empty()) {
      ASSERT_EQ(timers.next(), at(model.begin()->first));
      ASSERT_EQ(timers.pop_due(at(1000)), model.begin()->second);
      armed[place[model.begin()->second]].second = model.end();
      model.erase(model.begin());
    }
    ASSERT_EQ(timers.size(), model.size());
  }
}

TEST(TimersTest, AMillionTimersFireInOrder) {
  constexpr std::int64_t kCount = 1'000'000;
  Timers<Sleeper> timers;
  for (std::int64_t i = 0; i < kCount; ++i) timers.arm(at(i * 7919 % kCount), {i, 0});
  std::int64_t fired = 0;
  while (const auto sleeper = timers.pop_due(at(fired))) {
    ASSERT_EQ(sleeper->instance * 7919 % kCount, fired);
    ++fired;
  }
  EXPECT_EQ(fired, kCount);
}

TEST(ManualClockTest, StandsStillUntilItIsMoved) {
  ManualClock clock(at(5));
  EXPECT_EQ(clock.now(), at(5));
  clock.advance(Millis(10));
  EXPECT_EQ(clock.now(), at(15));
  clock.set(at(3));
  EXPECT_EQ(clock.now(), at(3));
}

}  // namespace
}  // namespace workflows::runtime
