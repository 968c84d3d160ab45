// Sleeps, durations and events of the C++ API (S18 to S24).

#include <string>
#include <vector>

#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

class CppEvents : public CppApiTest {};

using Payloads = std::vector<int>;

// ---------------------------------------------------------------- sleeps

TEST_F(CppEvents, S18_S20_ASleepEndsAtItsDeadlineAndNotBefore) {
  auto engine = start_at(clock_, [](const Event&, Step& step) -> Workflow<int> {
    co_await step.sleep("nap", "1h30m");
    co_return 1;
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  EXPECT_EQ(engine->list().at(0).wake, kStart + 90min);
  advance(*engine, 90min - 1ms);
  settle(*engine);
  EXPECT_EQ(instance.status().status, Status::waiting);
  advance(*engine, 1ms);
  EXPECT_EQ(instance.result<int>(), 1);
}

TEST_F(CppEvents, S18_TheRecordedDeadlineWinsOverWhatTheCodeSaysNow) {
  const auto code = [](Duration duration) {
    return [duration](const Event&, Step& step) -> Workflow<int> {
      co_await step.sleep("nap", duration);
      co_return 1;
    };
  };
  auto engine = start_at(clock_, code(1h));
  wait_until(engine->create("test", {}, {.id = "one"}), Status::waiting);
  engine->close();
  engine = start_at(clock_, code(1000h));
  advance(*engine, 1h);
  EXPECT_EQ(engine->get("test", "one").result<int>(), 1);
}

TEST_F(CppEvents, S18_ATimeThatHasPassedReturnsAtOnceAndIsRecorded) {
  auto engine = start_at(clock_, [](const Event&, Step& step) -> Workflow<void> {
    co_await step.sleep_until("past", kStart - 24h);
    co_await step.sleep_until("now", std::chrono::sys_days(std::chrono::year(2000) / 1 / 1));
    co_await step.sleep("zero", 0s);
  });
  auto instance = engine->create("test");
  instance.result();
  EXPECT_EQ(instance.steps().size(), 3U);
}

TEST_F(CppEvents, S18_SleepUntilTakesTimesOfAnyPrecisionAndRoundsUp) {
  auto engine = start_at(clock_, [](const Event&, Step& step) -> Workflow<void> {
    co_await step.sleep_until("fine", std::chrono::sys_time<std::chrono::nanoseconds>(kStart) + 5ms + 1ns);
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  EXPECT_EQ(engine->list().at(0).wake, kStart + 6ms);
}

TEST_F(CppEvents, S18_S19_DurationsThatMakeNoSenseAreRefusedAndRecordNothing) {
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    int refused = 0;
    try {
      co_await step.sleep("negative", -1s);
    } catch (const InvalidDurationError&) { ++refused; }
    try {
      co_await step.sleep("long", "11 years");
    } catch (const InvalidDurationError&) { ++refused; }
    try {
      co_await step.sleep("text", "3 parsecs");
    } catch (const InvalidDurationError&) { ++refused; }
    co_return refused;
  });
  auto instance = engine->create("test");
  EXPECT_EQ(instance.result<int>(), 3);
  EXPECT_TRUE(instance.steps().empty());
}

// ---------------------------------------------------------------- events

TEST_F(CppEvents, S21_S22_AnEventBeforeTheWaitIsTheSameAsOneAfterIt) {
  Door door;
  auto engine = start([&](const Event&, Step& step) -> Workflow<Payloads> {
    auto sent = step.do_("sent", [&] { door.pass(); });
    co_await sent;
    const auto before = co_await step.wait_for_event<int>("before", "number");
    const auto after = co_await step.wait_for_event<int>("after", "number");
    co_return Payloads{before.payload, after.payload};
  });
  auto instance = engine->create("test");
  instance.send_event("number", 1);
  door.open();
  wait_until(instance, Status::waiting);
  instance.send_event("number", 2);
  EXPECT_EQ(instance.result<Payloads>(), (Payloads{1, 2}));
}

TEST_F(CppEvents, S21_AnEventHasTypePayloadAndTimeAndMayBeUsedInTheAwaitingExpression) {
  using Words = std::map<std::string, std::vector<std::string>>;
  auto engine = start_at(clock_, [](const Event&, Step& step) -> Workflow<std::string> {
    const auto event = co_await step.wait_for_event<Words>("first", "words.v1", {.timeout = std::nullopt});
    if (event.type != "words.v1" || event.timestamp != kStart + 5s) co_return "wrong";
    const std::string second = (co_await step.wait_for_event<Words>("second", "words.v1")).payload.at("list").at(1);
    co_return event.payload.at("list").at(0) + second;
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  advance(*engine, 5s);
  const Words words = {{"list", {"a text that is long enough to be allocated", "and another one, which is as long"}}};
  instance.send_event("words.v1", words);
  instance.send_event("words.v1", words);
  EXPECT_EQ(instance.result<std::string>(), words.at("list").at(0) + words.at("list").at(1));
}

TEST_F(CppEvents, S21_AWaitTimesOutAndDoesSoAgainOnReplay) {
  std::vector<std::string> errors;
  const auto code = [&](const Event&, Step& step) -> Workflow<int> {
    try {
      co_await step.wait_for_event<int>("never", "never", {.timeout = 1h});
    } catch (const WaitTimeoutError& error) { errors.push_back(failure_of(error)->type); }
    co_return (co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt})).payload;
  };
  auto engine = start_at(clock_, code);
  auto instance = engine->create("test", {}, {.id = "one"});
  wait_until(instance, Status::waiting);
  advance(*engine, 1h);
  while (instance.steps().size() < 2) std::this_thread::yield();
  engine->close();
  engine = start_at(clock_, code);
  engine->get("test", "one").send_event("never", 0);  // too late for the wait
  engine->get("test", "one").send_event("go", 7);
  EXPECT_EQ(engine->get("test", "one").result<int>(), 7);
  EXPECT_EQ(errors, (std::vector<std::string>{"WaitTimeoutError", "WaitTimeoutError"}));
}

TEST_F(CppEvents, S21_AZeroTimeoutOnlyLooks) {
  auto engine = start_at(clock_, [](const Event&, Step& step) -> Workflow<int> {
    try {
      co_await step.wait_for_event<int>("look", "number", {.timeout = 0s});
    } catch (const WaitTimeoutError&) { co_return 1; }
    co_return 0;
  });
  EXPECT_EQ(engine->create("test").result<int>(), 1);
}

TEST_F(CppEvents, S21_ABadTypeIsRefused) {
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    try {
      co_await step.wait_for_event<int>("bad", "no spaces please");
    } catch (const InvalidNameError&) { co_return 1; }
    co_return 0;
  });
  auto instance = engine->create("test");
  EXPECT_THROW(instance.send_event("no spaces please", 1), InvalidNameError);
  EXPECT_EQ(instance.result<int>(), 1);
}

TEST_F(CppEvents, S22_WaitsOfOneTypeAreServedInTheOrderTheyWereAsked) {
  auto engine = start([](const Event&, Step& step) -> Workflow<Payloads> {
    auto [first, second] =
        co_await when_all(step.wait_for_event<int>("first", "number"), step.wait_for_event<int>("second", "number"));
    co_return Payloads{first.payload, second.payload};
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  instance.send_event("number", 1);
  instance.send_event("number", 2);
  EXPECT_EQ(instance.result<Payloads>(), (Payloads{1, 2}));
}

TEST_F(CppEvents, S21_S23_AnEventOfAnotherFormFailsTheCodeButIsTakenOnce) {
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    try {
      co_await step.wait_for_event<int>("number", "number");
      co_return 0;
    } catch (const SerializationError&) {}
    const auto again = co_await step.wait_for_event<int>("again", "number");
    co_return again.payload;
  });
  auto instance = engine->create("test");
  instance.send_event("number", "no number");
  instance.send_event("number", 2);
  EXPECT_EQ(instance.result<int>(), 2);
}

TEST_F(CppEvents, S24_AnEventForAFinishedInstanceIsAnErrorAndAnEventIdCountsOnce) {
  auto engine = start([](const Event&, Step& step) -> Workflow<Payloads> {
    const auto first = co_await step.wait_for_event<int>("first", "number");
    const auto second = co_await step.wait_for_event<int>("second", "number");
    co_return Payloads{first.payload, second.payload};
  });
  auto instance = engine->create("test");
  instance.send_event("number", 1, "a");
  instance.send_event("number", 1, "a");
  instance.send_event("number", 2, "b");
  EXPECT_EQ(instance.result<Payloads>(), (Payloads{1, 2}));
  EXPECT_THROW(instance.send_event("number", 3), InstanceFinishedError);
}

}  // namespace
}  // namespace workflows::testing
