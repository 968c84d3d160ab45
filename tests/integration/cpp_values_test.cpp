// Races, values from outside, heartbeats, subscriptions in the C++ API.

#include <string>
#include <vector>

#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

using Texts = std::vector<std::string>;

class CppValues : public CppApiTest {};

// ---------------------------------------------------------------- races

TEST_F(CppValues, TheFirstToEndWinsARaceAndWinsItAgainOnReplay) {
  std::vector<std::size_t> winners;
  const auto code = [&](const Event&, Step& step) -> Workflow<int> {
    const auto first = co_await step.race(step.wait_for_event<int>("never", "never"), step.sleep("nap", 1h));
    winners.push_back(first.index());
    co_return (co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt})).payload;
  };
  auto engine = start_at(clock_, code);
  auto instance = engine->create("test", {}, {.id = "one"});
  wait_until(instance, Status::waiting);
  advance(*engine, 1h);
  while (instance.steps().size() < 4) std::this_thread::yield();
  engine->close();
  engine = start_at(clock_, code);
  engine->get("test", "one").send_event("go", 7);
  EXPECT_EQ(engine->get("test", "one").result<int>(), 7);
  EXPECT_EQ(winners, (std::vector<std::size_t>{1, 1}));
}

TEST_F(CppValues, ABodyThatLosesIsAskedToStopAndHasReturnedWhenTheCodeGoesOn) {
  std::atomic<bool> runs = false, touched = false;
  auto engine = start([&](const Event&, Step& step) -> Workflow<std::string> {
    std::string result = "nothing";
    {
      std::string local = "a text that is long enough to be allocated";
      auto slow = step.do_("slow", [&](StepContext& context) {
        runs = true;
        while (!context.cancelled()) std::this_thread::yield();
        local += " and changed";
        touched = true;
        throw std::runtime_error("stopped");
      });
      const auto first = co_await step.race(slow, step.wait_for_event<std::string>("go", "go"));
      if (const auto* event = std::get_if<1>(&first)) result = event->payload;
      if (!touched) result = "the code went on too soon";
    }
    co_await step.sleep("nap", 2s);  // a retry of the body would be due meanwhile
    co_return result;
  });
  auto instance = engine->create("test");
  while (!runs) std::this_thread::yield();
  runs = false;
  instance.send_event("go", "went");
  EXPECT_EQ(instance.result<std::string>(), "went");
  EXPECT_FALSE(runs) << "the body ran again";
  EXPECT_EQ(instance.steps().at(0).status, "failed");
}

TEST_F(CppValues, ARacerThatRestsBetweenAttemptsWhenItLosesIsNotTriedAgain) {
  std::atomic<int> attempts = 0;
  auto engine = start_at(clock_, [&](const Event&, Step& step) -> Workflow<std::string> {
    auto flaky = step.do_("flaky", {.retries = {.delay = 1h}}, [&] {
      ++attempts;
      throw std::runtime_error("busy");
    });
    co_await step.race(flaky, step.wait_for_event<int>("go", "go"));
    co_await step.wait_for_event<int>("end", "end");
    co_return "done";
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  instance.send_event("go", 1);
  while (instance.steps().size() < 4) std::this_thread::yield();
  advance(*engine, 1h);
  wait_until(instance, [](const StepInfo& step) { return step.status == "failed"; });
  instance.send_event("end", 1);
  EXPECT_EQ(instance.result<std::string>(), "done");
  EXPECT_EQ(attempts, 1);
}

TEST_F(CppValues, AFailureEndsARaceAndALoserMayBeAwaitedAgainAsAStepOfItsOwn) {
  std::atomic<int> runs = 0;
  auto engine = start([&](const Event&, Step& step) -> Workflow<int> {
    auto slow = step.do_("slow", [&](StepContext& context) {
      if (++runs > 1) return context.count();
      while (!context.cancelled()) std::this_thread::yield();
      return 0U;
    });
    auto fails = step.do_("fails", {.retries = {.limit = 0}}, [&]() -> int {
      while (runs == 0) std::this_thread::yield();
      throw std::runtime_error("no");
    });
    try {
      co_await step.race(slow, fails);
    } catch (const StepFailure& failure) {
      if (failure.failure().message != "no") co_return 0;
    }
    co_return static_cast<int>(co_await slow);
  });
  EXPECT_EQ(engine->create("test").result<int>(), 2);
}

TEST_F(CppValues, ARacerOfTheGraphIsWaitedForBecauseOthersMayNeedIt) {
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    auto first = step.do_("first", [] { return 1; });
    auto second = step.do_("second", depends(first), [](int value) { return value + 1; });
    auto third = step.do_("third", depends(second), [](int value) { return value + 1; });
    const auto winner = co_await step.race(second, step.sleep("nap", 0s));
    if (winner.index() != 1 && std::get<0>(winner) != 2) co_return 0;
    co_return co_await third;
  });
  EXPECT_EQ(engine->create("test").result<int>(), 3);
}

// ---------------------------------------------------------------- values from outside

TEST_F(CppValues, TimeRandomNumbersAndIdsAreTheSameOnEveryReplay) {
  struct Drawn {
    TimePoint now;
    double random;
    std::string id;
    bool operator==(const Drawn&) const = default;
  };
  std::vector<Drawn> drawn;
  const auto code = [&](const Event&, Step& step) -> Workflow<void> {
    drawn.push_back({step.now(), step.random(), step.uuid4()});
    co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt});
    drawn.push_back({step.now(), step.random(), step.uuid4()});
  };
  auto engine = start_at(clock_, code);
  wait_until(engine->create("test", {}, {.id = "one"}), Status::waiting);
  engine->close();
  clock_->advance(5s);
  engine = start_at(clock_, code);
  auto instance = engine->get("test", "one");
  instance.send_event("go", 1);
  instance.result();
  ASSERT_EQ(drawn.size(), 3U);
  EXPECT_EQ(drawn[0], drawn[1]);
  EXPECT_EQ(drawn[0].now, kStart);
  EXPECT_EQ(drawn[2].now, kStart + 5s);
  EXPECT_NE(drawn[2].id, drawn[0].id);
  EXPECT_EQ(drawn[0].id.size(), 36U);
  EXPECT_EQ(drawn[0].id[14], '4');
  EXPECT_TRUE(drawn[0].random >= 0 && drawn[0].random < 1);
}

// ---------------------------------------------------------------- heartbeats

TEST_F(CppValues, S14_AnAttemptGoesOnWhereTheHeartbeatOfTheOneBeforeSays) {
  std::vector<int> begun;
  auto engine = start([&](const Event&, Step& step) -> Workflow<int> {
    auto import = step.do_("import", {.retries = {.delay = 0s}}, [&](StepContext& context) {
      int row = context.last_heartbeat<int>().value_or(0);
      begun.push_back(row);
      for (; row < 10; ++row) {
        if (row == 4 * static_cast<int>(context.attempt())) throw std::runtime_error("interrupted");
        context.heartbeat(row + 1);
      }
      return row;
    });
    co_return co_await import;
  });
  EXPECT_EQ(engine->create("test").result<int>(), 10);
  EXPECT_EQ(begun, (std::vector<int>{0, 4, 8}));
}

TEST_F(CppValues, S14_ABodyThatGivesNoSignOfLifeForTooLongFails) {
  std::atomic<int> attempt = 0;
  auto engine = start_at(clock_, [&](const Event&, Step& step) -> Workflow<int> {
    const StepOptions watched{.retries = {.limit = 1, .delay = 0s}, .heartbeat_timeout = 30s};
    auto body = step.do_("body", watched, [&](StepContext& context) {
      attempt = static_cast<int>(context.attempt());
      if (context.attempt() == 1) {
        while (!context.cancelled()) std::this_thread::yield();
      }
      return 1;
    });
    co_return co_await body;
  });
  auto instance = engine->create("test");
  while (attempt == 0) std::this_thread::yield();
  advance(*engine, 30s);
  EXPECT_EQ(instance.result<int>(), 1);
  EXPECT_NE(instance.steps().at(0).attempts.at(0).failure->message.find("no sign of life for 30 s"), std::string::npos);
}

// ---------------------------------------------------------------- subscriptions

Texts kinds_of(Subscription& entries) {
  Texts kinds;
  while (const auto entry = entries.next()) kinds.emplace_back(to_string(entry->entry.kind));
  return kinds;
}

TEST_F(CppValues, ASubscriptionGivesWhatWasThenWhatComesAndEndsWithTheInstance) {
  auto engine = start([](const Event&, Step& step) -> Workflow<void> {
    auto first = step.do_("first", [] { return 1; });
    co_await first;
    co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt});
  });
  auto instance = engine->create("test", {}, {.id = "one"});
  wait_until(instance, Status::waiting);
  auto here = instance.subscribe();
  EXPECT_EQ(here.next()->entry.name, "first");
  EXPECT_EQ(here.next()->entry.kind, EntryKind::wait_started);
  EXPECT_FALSE(here.next(1ms));
  EXPECT_FALSE(here.ended());
  Client client({.database = file()});
  Subscription elsewhere(client, client.get("test", "one").key, here.cursor());
  instance.send_event("go", 1);
  const Texts rest = {"wait_taken", "instance_completed"};
  EXPECT_EQ(kinds_of(here), rest);
  EXPECT_EQ(kinds_of(elsewhere), rest);
  EXPECT_TRUE(here.ended());
  EXPECT_FALSE(here.next());
}

TEST_F(CppValues, ASubscriptionEndsWhenItsInstanceIsRemovedOrRestarted) {
  auto engine = start([](const Event&, Step& step) -> Workflow<void> {
    co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt});
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  auto first = instance.subscribe();
  instance.restart();
  EXPECT_EQ(kinds_of(first).back(), "instance_terminated");
  auto second = instance.subscribe();
  instance.remove();
  kinds_of(second);
  EXPECT_TRUE(second.ended());
}

}  // namespace
}  // namespace workflows::testing
