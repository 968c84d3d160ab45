// Steps of the C++ API (S4, S7 to S17, S38, S43).

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

class CppSteps : public CppApiTest {};

// ---------------------------------------------------------------- results

TEST_F(CppSteps, S4_WhatTheFunctionReturnsIsTheOutput) {
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    auto add = step.do_("add", [] { return 40 + 2; });
    co_return co_await add;
  });
  EXPECT_EQ(engine->create("test").result<int>(), 42);
}

TEST_F(CppSteps, S4_AWorkflowAndAStepWithoutAResultRecordNull) {
  auto engine = start([](const Event&, Step& step) -> Workflow<void> {
    auto nothing = step.do_("nothing", [] {});
    co_await nothing;
  });
  auto instance = engine->create("test");
  instance.result();
  EXPECT_EQ(instance.status().output, "null");
  EXPECT_EQ(instance.steps().at(0).result, "null");
}

TEST_F(CppSteps, S4_AnErrorThatLeavesTheFunctionIsTheInstancesFailure) {
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    auto fine = step.do_("fine", [] { return 1; });
    co_await fine;
    throw std::out_of_range("beyond the end");
  });
  auto instance = engine->create("test");
  const Failure failure = failure_of_run(instance);
  EXPECT_EQ(failure.type, "std::out_of_range");
  EXPECT_EQ(failure.message, "beyond the end");
  EXPECT_EQ(instance.status().status, Status::errored);
}

TEST_F(CppSteps, S4_AnOutputThatCannotBeEncodedFailsTheInstance) {
  auto engine = start([](const Event&, Step&) -> Workflow<std::string> { co_return "\xff"; });
  EXPECT_EQ(failure_of_run(engine->create("test")).type, "SerializationError");
}

TEST_F(CppSteps, PartsOfAWorkflowAreWorkflowsThatItAwaits) {
  struct Parts {
    static Workflow<int> twice(int number, Step& step) {
      auto compute = step.do_("twice", [&] { return number * 2; });
      co_return co_await compute;
    }
    static Workflow<int> failing(Step& step) {
      auto fail = step.do_("fail", {.retries = {.limit = 0}}, []() -> int { throw std::runtime_error("no"); });
      co_return co_await fail;
    }
  };
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    int sum = co_await Parts::twice(4, step);
    try {
      sum += co_await Parts::failing(step);
    } catch (const StepFailure&) { sum += 1; }
    co_return sum + co_await Parts::twice(10, step);
  });
  EXPECT_EQ(engine->create("test").result<int>(), 8 + 1 + 20);
}

// ---------------------------------------------------------------- identity and replay

// Waits for "go" between two steps, so that a test can close and open in between.
struct TwoSteps {
  std::atomic<int>& before;
  std::atomic<int>& after;
  std::atomic<int>& runs;

  Workflow<std::vector<double>> operator()(const Event&, Step& step) const {
    ++runs;
    auto first = step.do_("first", [this] { return 0.1 * ++before; });
    const double value = co_await first;
    co_await step.wait_for_event<int>("go", "go");
    auto second = step.do_("second", [&, this] { return value + ++after; });
    const double sum = co_await second;
    co_return std::vector<double>{value, sum};
  }
};

TEST_F(CppSteps, S6_S7_S38_ANewEngineReplaysCompletedStepsWithoutRunningOrWritingThem) {
  std::atomic<int> before = 0, after = 0, runs = 0;
  const TwoSteps code{before, after, runs};
  auto engine = start(code);
  auto instance = engine->create("test", {}, {.id = "one"});
  wait_until(instance, Status::waiting);
  engine->close();

  engine = start(code);
  engine->get("test", "one").send_event("go", 1);
  EXPECT_EQ(engine->get("test", "one").result<std::vector<double>>(), (std::vector<double>{0.1, 1.1}));
  EXPECT_EQ(before, 1);
  EXPECT_EQ(after, 1);
  EXPECT_EQ(runs, 2);
}

TEST_F(CppSteps, S7_StepsOfOneNameAreCountedInTheOrderOfTheirAsking) {
  auto engine = start([](const Event&, Step& step) -> Workflow<std::vector<std::string>> {
    std::vector<std::string> seen;
    for (int i = 0; i < 3; ++i) {
      auto again = step.do_(
          "again", [i](StepContext& context) { return std::to_string(i) + ":" + std::to_string(context.count()); });
      seen.push_back(co_await again);
    }
    co_return seen;
  });
  EXPECT_EQ(engine->create("test").result<std::vector<std::string>>(), (std::vector<std::string>{"0:1", "1:2", "2:3"}));
}

Workflow<std::string> branch(std::string name, int steps, Step& step) {
  std::string seen;
  for (int i = 0; i < steps; ++i) {
    auto next = step.do_("next", [&](StepContext& context) { return name + std::to_string(context.count()) + " "; });
    seen += co_await next;
  }
  co_return seen;
}

TEST_F(CppSteps, S7_ParallelBranchesWithStepsOfOneNameGetTheSameResultsAfterARestart) {
  using Branches = std::vector<std::string>;
  std::vector<Branches> seen;
  const auto code = [&](const Event&, Step& step) -> Workflow<Branches> {
    std::vector<Workflow<std::string>> branches;
    for (const char* name : {"a", "b", "c"}) branches.push_back(branch(name, 5, step));
    Branches results = co_await when_all(std::move(branches));
    seen.push_back(results);
    co_await step.wait_for_event<int>("go", "go");
    co_return results;
  };
  auto engine = start(code);
  wait_until(engine->create("test", {}, {.id = "one"}), Status::waiting);
  engine->close();
  engine = start(code);
  engine->get("test", "one").send_event("go", 1);
  const auto results = engine->get("test", "one").result<Branches>();
  EXPECT_EQ(seen, (std::vector<Branches>{results, results}));
}

TEST_F(CppSteps, S38_CodeBetweenStepsKnowsWhenItReplays) {
  std::vector<bool> replaying;
  const auto code = [&](const Event&, Step& step) -> Workflow<void> {
    auto first = step.do_("first", [] { return 1; });
    replaying.push_back(step.replaying());
    co_await first;
    replaying.push_back(step.replaying());
    co_await step.wait_for_event<int>("go", "go");
    replaying.push_back(step.replaying());
  };
  auto engine = start(code);
  wait_until(engine->create("test", {}, {.id = "one"}), Status::waiting);
  engine->close();
  engine = start(code);
  engine->get("test", "one").send_event("go", 1);
  engine->get("test", "one").result();
  EXPECT_EQ(replaying, (std::vector<bool>{false, false, true, true, false}));
}

// ---------------------------------------------------------------- names and options

TEST_F(CppSteps, S8_ABadNameIsRefusedBeforeAnythingIsRecorded) {
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    int refused = 0;
    for (const std::string& name : {std::string(), std::string(257, 'x'), std::string("tab\there")}) {
      try {
        auto bad = step.do_(name, [] { return 1; });
        co_await bad;
      } catch (const InvalidNameError&) { ++refused; }
      try {
        co_await step.sleep(name, 0ms);
      } catch (const InvalidNameError&) { ++refused; }
      try {
        co_await step.wait_for_event<int>(name, "type", {.timeout = 0ms});
      } catch (const InvalidNameError&) { ++refused; }
    }
    auto longest = step.do_(std::string(256, 'x'), [] { return 0; });
    co_return refused + co_await longest;
  });
  auto instance = engine->create("test");
  EXPECT_EQ(instance.result<int>(), 9);
  EXPECT_EQ(instance.steps().size(), 1U);
}

TEST_F(CppSteps, S9_OptionsOutOfRangeAreRefused) {
  auto engine = start([](const Event&, Step& step) -> Workflow<std::vector<std::string>> {
    std::vector<std::string> errors;
    const StepOptions bad[] = {
        {.retries = {.jitter = 1.5}},
        {.retries = {.delay = -1s}},
        {.timeout = 0s},
    };
    for (const StepOptions& options : bad) {
      try {
        auto refused = step.do_("refused", options, [] { return 1; });
        co_await refused;
      } catch (const InvalidConfigError& error) { errors.emplace_back(error.what()); }
    }
    co_return errors;
  });
  auto instance = engine->create("test");
  const auto errors = instance.result<std::vector<std::string>>();
  ASSERT_EQ(errors.size(), 3U);
  EXPECT_NE(errors[0].find("jitter"), std::string::npos) << errors[0];
  EXPECT_NE(errors[1].find("delay"), std::string::npos) << errors[1];
  EXPECT_NE(errors[2].find("timeout"), std::string::npos) << errors[2];
  EXPECT_TRUE(instance.steps().empty());
}

TEST_F(CppSteps, S9_OnlyWhatDiffersFromTheDefaultsIsRecordedAndTheBodySeesAllOfIt) {
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    auto configured = step.do_("configured", {.retries = {.limit = 3}, .timeout = "1m"}, [](StepContext& context) {
      const StepConfig& config = context.config();
      return config.retries.limit == 3 && config.timeout == Duration(60s) && config.retries.max_delay == Duration(1h);
    });
    co_return co_await configured ? 1 : 0;
  });
  auto instance = engine->create("test");
  EXPECT_EQ(instance.result<int>(), 1);
  EXPECT_EQ(instance.steps().at(0).config, R"({"retries":{"limit":3},"timeout":60000})");
}

// ---------------------------------------------------------------- attempts

TEST_F(CppSteps, S10_AStepIsTriedLimitPlusOneTimes) {
  std::atomic<int> attempts = 0;
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto failing = step.do_("failing", {.retries = {.limit = 3, .delay = 0ms}}, [&](StepContext& context) {
      EXPECT_EQ(context.attempt(), static_cast<std::uint32_t>(++attempts));
      throw std::runtime_error("attempt " + std::to_string(context.attempt()));
    });
    co_await failing;
  });
  auto instance = engine->create("test");
  EXPECT_EQ(failure_of_run(instance).message, "attempt 4");
  EXPECT_EQ(attempts, 4);
  EXPECT_EQ(instance.steps().at(0).attempts.size(), 4U);
}

TEST_F(CppSteps, S10_WithLimitZeroABodyThatTheEngineWasClosedInNeverRunsAgain) {
  std::atomic<int> bodies = 0;
  const auto code = [&](const Event&, Step& step) -> Workflow<void> {
    auto once = step.do_("once", {.retries = {.limit = 0}}, [&](StepContext& context) {
      ++bodies;
      bodies.notify_all();
      while (!context.cancelled()) std::this_thread::yield();
      throw std::runtime_error("cancelled");
    });
    co_await once;
  };
  auto engine = start(code);
  engine->create("test", {}, {.id = "one"});
  bodies.wait(0);
  engine->close();

  engine = start(code);
  EXPECT_EQ(failure_of_run(engine->get("test", "one")).type, kProcessLost);
  EXPECT_EQ(bodies, 1);
}

// Nobody can tell it from half a result.
TEST_F(CppSteps, S10_WhatABodyReturnsThatWasToldToStopIsNotItsResult) {
  std::atomic<int> bodies = 0;
  const auto code = [&](const Event&, Step& step) -> Workflow<int> {
    auto slow = step.do_("slow", [&](StepContext& context) {
      const int which = ++bodies;
      bodies.notify_all();
      while (which == 1 && !context.cancelled()) std::this_thread::yield();
      return which;
    });
    co_return co_await slow;
  };
  auto engine = start(code);
  engine->create("test", {}, {.id = "one"});
  bodies.wait(0);
  engine->close();

  engine = start(code);
  EXPECT_EQ(engine->get("test", "one").result<int>(), 2);
}

TEST_F(CppSteps, S10_WhatABodyReturnsThatCannotBeToldToStopIsItsResult) {
  std::atomic<int> bodies = 0;
  std::unique_ptr<Engine> engine;
  const auto is_open = [&] {
    try {
      return engine->exists("test", "one");
    } catch (const EngineClosedError&) { return false; }
  };
  const auto code = [&](const Event&, Step& step) -> Workflow<int> {
    auto slow = step.do_("slow", [&] {
      ++bodies;
      bodies.notify_all();
      while (is_open()) std::this_thread::yield();
      return 7;
    });
    co_return co_await slow;
  };
  engine = start(code);
  engine->create("test", {}, {.id = "one"});
  bodies.wait(0);
  engine->close();

  engine = start(code);
  EXPECT_EQ(engine->get("test", "one").result<int>(), 7);
  EXPECT_EQ(bodies, 1);
}

TEST_F(CppSteps, S9_RetriesWaitForTheirDelayByTheEnginesClock) {
  std::atomic<int> attempts = 0;
  auto engine = start_at(clock_, [&](const Event&, Step& step) -> Workflow<int> {
    auto second_time = step.do_("second time", {.retries = {.delay = "10 minutes"}}, [&] {
      if (++attempts == 1) throw std::runtime_error("first time");
      return attempts.load();
    });
    co_return co_await second_time;
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  EXPECT_EQ(engine->list().at(0).wake, kStart + 10min);
  advance(*engine, 10min - 1ms);
  settle(*engine);
  EXPECT_EQ(attempts, 1);
  advance(*engine, 1ms);
  EXPECT_EQ(instance.result<int>(), 2);
}

TEST_F(CppSteps, S11_ADelayFunctionSeesAttemptAndFailureAndItsValueIsUsedAsItIs) {
  auto engine = start_at(clock_, [&](const Event&, Step& step) -> Workflow<void> {
    const RetryDelay delay = [](std::uint32_t attempt, const Failure& failure) {
      return attempt == 1 && failure.message == "busy" ? 90min : 1min;
    };
    auto busy = step.do_("busy", {.retries = {.limit = 1, .delay = delay}}, [] { throw std::runtime_error("busy"); });
    co_await busy;
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  EXPECT_EQ(engine->list().at(0).wake, kStart + 90min);
}

TEST_F(CppSteps, S11_ADelayFunctionThatThrowsOrReturnsNonsenseEndsTheStep) {
  std::atomic<int> bodies = 0;
  auto engine = start([&](const Event& event, Step& step) -> Workflow<void> {
    const bool throws = event.payload<bool>();
    const RetryDelay delay = [throws](std::uint32_t, const Failure&) -> Duration {
      if (throws) throw std::logic_error("no idea");
      return -5s;
    };
    auto failing = step.do_("failing", {.retries = {.delay = delay}}, [&] {
      ++bodies;
      throw std::runtime_error("busy");
    });
    co_await failing;
  });
  const Failure thrown = failure_of_run(engine->create("test", true));
  EXPECT_NE(thrown.message.find("threw std::logic_error: no idea"), std::string::npos) << thrown.message;
  ASSERT_TRUE(thrown.cause);
  EXPECT_EQ(thrown.cause->message, "busy");
  const Failure nonsense = failure_of_run(engine->create("test", false));
  EXPECT_NE(nonsense.message.find("-5000 ms"), std::string::npos) << nonsense.message;
  EXPECT_EQ(bodies, 2);
}

// ---------------------------------------------------------------- timeouts

TEST_F(CppSteps, S12_ATimeoutRequestsTheStopAndFailsTheAttempt) {
  std::atomic<int> begun = 0;
  auto engine = start_at(clock_, [&](const Event&, Step& step) -> Workflow<std::string> {
    auto slow = step.do_("slow", {.retries = {.limit = 0}, .timeout = 1min}, [&](StepContext& context) {
      begun = 1;
      begun.notify_all();
      while (!context.cancelled()) std::this_thread::yield();
    });
    try {
      co_await slow;
    } catch (const StepTimeoutError& error) { co_return failure_of(error)->type; }
    co_return "no timeout";
  });
  auto instance = engine->create("test");
  begun.wait(0);
  advance(*engine, 1min);
  EXPECT_EQ(instance.result<std::string>(), "StepTimeoutError");
}

TEST_F(CppSteps, S12_TheTimeOfABodyBeginsWhenAThreadTakesIt) {
  Door door;
  std::atomic<int> begun = 0;
  auto engine =
      start({.database = file(), .hibernate_after = 10'000h, .pool_size = 1, .clock = clock_}, [&](Engine& e) {
        e.add("blocking", [&](const Event&, Step& step) -> Workflow<> {
          auto body = step.do_("body", {.retries = {.limit = 0}, .timeout = 24h}, [&] {
            begun = 1;
            begun.notify_all();
            door.pass();
          });
          co_await body;
        });
        e.add("slow", [&](const Event&, Step& step) -> Workflow<std::string> {
          auto body = step.do_("body", {.retries = {.limit = 0}, .timeout = 1min}, [&](StepContext& context) {
            begun = 2;
            begun.notify_all();
            while (!context.cancelled()) std::this_thread::yield();
          });
          try {
            co_await body;
          } catch (const StepTimeoutError& error) { co_return failure_of(error)->type; }
          co_return "no timeout";
        });
      });
  auto blocking = engine->create("blocking");
  begun.wait(0);
  auto slow = engine->create("slow");
  wait_until(slow, [](const StepInfo& step) { return step.status == "running"; });
  for (const Millis passes : {Millis(3min), Millis(30s)}) {
    advance(*engine, passes);
    settle(*engine);
  }
  door.open();
  begun.wait(1);
  advance(*engine, 59s);
  settle(*engine);
  EXPECT_EQ(slow.steps().at(0).status, "running");
  advance(*engine, 1s);
  EXPECT_EQ(slow.result<std::string>(), "StepTimeoutError");
}

TEST_F(CppSteps, S12_CodeGoesOnOnlyWhenABodyThatIgnoredItsTimeoutHasReturned) {
  Door door;
  std::atomic<int> begun = 0;
  std::atomic<bool> went_on = false;
  auto engine = start_at(clock_, [&](const Event&, Step& step) -> Workflow<std::string> {
    std::string local = "alive";
    auto deaf = step.do_("deaf", {.retries = {.limit = 0}, .timeout = 1min}, [&] {
      begun = 1;
      begun.notify_all();
      door.pass();
      local += " and well";  // the frame is still there
    });
    try {
      co_await deaf;
    } catch (const StepTimeoutError&) {}
    went_on = true;
    co_return local;
  });
  auto instance = engine->create("test");
  begun.wait(0);
  advance(*engine, 1min);
  wait_until(instance, [](const StepInfo& step) { return step.status == "failed"; });
  settle(*engine);
  EXPECT_FALSE(went_on);
  door.open();
  EXPECT_EQ(instance.result<std::string>(), "alive and well");
}

TEST_F(CppSteps, S43_ARetryWaitsForTheBodyOfTheAttemptThatTimedOut) {
  Door door;
  std::atomic<int> inside = 0, most = 0, bodies = 0;
  auto engine = start_at(clock_, [&](const Event&, Step& step) -> Workflow<int> {
    auto deaf = step.do_("deaf", {.retries = {.limit = 1, .delay = 0ms}, .timeout = 1min}, [&] {
      most = std::max(most.load(), ++inside);
      ++bodies;
      bodies.notify_all();
      door.pass();
      --inside;
      return bodies.load();
    });
    co_return co_await deaf;
  });
  auto instance = engine->create("test");
  bodies.wait(0);
  advance(*engine, 1min);
  wait_until(instance, [](const StepInfo& step) { return !step.attempts.empty() && step.attempts[0].failure; });
  advance(*engine, 1s);
  settle(*engine);
  EXPECT_EQ(bodies, 1);
  door.open();
  EXPECT_EQ(instance.result<int>(), 2);
  EXPECT_EQ(most, 1);
}

// ---------------------------------------------------------------- failures

class CardDeclined : public std::runtime_error {
 public:
  using runtime_error::runtime_error;
};

TEST_F(CppSteps, S13_WhatABodyThrowsComesBackWithTypeMessageAndCause) {
  auto engine = start([](const Event&, Step& step) -> Workflow<std::string> {
    auto charge = step.do_("charge", {.retries = {.limit = 0}}, [] {
      try {
        throw std::invalid_argument("expired in 2020");
      } catch (...) { std::throw_with_nested(CardDeclined("card declined")); }
    });
    try {
      co_await charge;
    } catch (const StepFailure& error) {
      const Failure& failure = error.failure();
      co_return failure.type + "|" + failure.message + "|" + failure.cause->type + "|" + failure.cause->message;
    }
    co_return "no failure";
  });
  const auto seen = engine->create("test").result<std::string>();
  EXPECT_NE(seen.find("CardDeclined"), std::string::npos) << seen;
  EXPECT_NE(seen.find("|card declined|std::invalid_argument|expired in 2020"), std::string::npos) << seen;
}

TEST_F(CppSteps, S13_NonRetryableErrorFailsTheStepAtOnce) {
  std::atomic<int> bodies = 0;
  auto engine = start([&](const Event&, Step& step) -> Workflow<std::string> {
    auto hopeless = step.do_("hopeless", [&] {
      ++bodies;
      throw NonRetryableError("no such customer");
    });
    try {
      co_await hopeless;
    } catch (const NonRetryableError& error) { co_return error.what(); }
    co_return "no failure";
  });
  EXPECT_EQ(engine->create("test").result<std::string>(), "no such customer");
  EXPECT_EQ(bodies, 1);
}

TEST_F(CppSteps, S13_AFailureThatWasCaughtStaysAFailureOnReplay) {
  std::atomic<int> bodies = 0;
  std::vector<std::string> caught;
  const auto code = [&](const Event&, Step& step) -> Workflow<void> {
    auto failing = step.do_("failing", {.retries = {.limit = 0}}, [&] {
      ++bodies;
      throw CardDeclined("declined");
    });
    try {
      co_await failing;
    } catch (const StepFailure& error) { caught.push_back(error.failure().message); }
    co_await step.wait_for_event<int>("go", "go");
  };
  auto engine = start(code);
  wait_until(engine->create("test", {}, {.id = "one"}), Status::waiting);
  engine->close();
  engine = start(code);
  engine->get("test", "one").send_event("go", 1);
  engine->get("test", "one").result();
  EXPECT_EQ(caught, (std::vector<std::string>{"declined", "declined"}));
  EXPECT_EQ(bodies, 1);
}

TEST_F(CppSteps, S13_ThrowingWhatIsNoExceptionIsAFailureThatSaysSo) {
  auto engine = start([](const Event&, Step& step) -> Workflow<void> {
    auto odd = step.do_("odd", {.retries = {.limit = 0}}, [] { throw 42; });
    co_await odd;
  });
  EXPECT_NE(failure_of_run(engine->create("test")).message.find("not a std::exception"), std::string::npos);
}

// ---------------------------------------------------------------- context

TEST_F(CppSteps, S14_TheIdempotencyKeyStaysOverAttemptsAndDiffersBetweenSteps) {
  std::vector<std::string> keys;
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    for (int i = 0; i < 2; ++i) {
      auto keyed = step.do_("keyed", {.retries = {.delay = 0ms}}, [&](StepContext& context) {
        EXPECT_EQ(context.name(), "keyed");
        EXPECT_FALSE(context.cancelled());
        keys.push_back(context.idempotency_key());
        if (context.attempt() == 1) throw std::runtime_error("again");
      });
      co_await keyed;
    }
  });
  engine->create("test").result();
  ASSERT_EQ(keys.size(), 4U);
  EXPECT_EQ(keys[0], keys[1]);
  EXPECT_EQ(keys[2], keys[3]);
  EXPECT_NE(keys[0], keys[2]);
}

// ---------------------------------------------------------------- values and limits

TEST_F(CppSteps, S15_AResultThatCannotBeEncodedFailsTheStepWithoutRetries) {
  std::atomic<int> bodies = 0;
  auto engine = start([&](const Event&, Step& step) -> Workflow<std::string> {
    auto binary = step.do_("binary", [&] {
      ++bodies;
      return std::map<std::string, std::vector<std::string>>{{"names", {"fine", "\xc3\x28"}}};
    });
    try {
      co_await binary;
    } catch (const SerializationError& error) { co_return error.what(); }
    co_return "no failure";
  });
  const auto message = engine->create("test").result<std::string>();
  EXPECT_NE(message.find("std::map"), std::string::npos) << message;
  EXPECT_NE(message.find(".names[1]"), std::string::npos) << message;
  EXPECT_EQ(bodies, 1);
}

TEST_F(CppSteps, S15_AResultOverTheLimitFailsTheStepWithTheSizes) {
  std::atomic<int> bodies = 0;
  const auto code = [&](const Event&, Step& step) -> Workflow<std::string> {
    auto large = step.do_("large", [&] {
      ++bodies;
      return std::string(1000, 'x');
    });
    try {
      co_await large;
    } catch (const PayloadTooLargeError& error) { co_return error.what(); }
    co_return "no failure";
  };
  auto engine = start({.database = file(), .payload_limit = 1000}, [&](Engine& its) { its.add("test", code); });
  const auto message = engine->create("test").result<std::string>();
  EXPECT_NE(message.find("1002"), std::string::npos) << message;
  EXPECT_NE(message.find("'large'"), std::string::npos) << message;
  EXPECT_EQ(bodies, 1);
}

TEST_F(CppSteps, S16_ExactlyTheLimitOfStepsPasses) {
  const auto code = [](const Event&, Step& step) -> Workflow<int> {
    int done = 0;
    try {
      for (; done < 100; ++done) co_await step.sleep("nap", 0ms);
    } catch (const StepLimitError&) {}
    co_return done;
  };
  auto engine = start({.database = file(), .step_limit = 10}, [&](Engine& its) { its.add("test", code); });
  EXPECT_EQ(engine->create("test").result<int>(), 10);
}

TEST_F(CppSteps, S17_ASensitiveOutputIsForTheProgramOnly) {
  auto engine = start([](const Event&, Step& step) -> Workflow<bool> {
    auto secret = step.do_("secret", {.sensitive = Sensitive::output}, [] { return "password"; });
    co_return co_await secret == "password";
  });
  auto instance = engine->create("test");
  EXPECT_TRUE(instance.result<bool>());
  EXPECT_EQ(instance.steps().at(0).result.find("password"), std::string::npos);
  EXPECT_NE(instance.steps().at(0).result.find("[REDACTED]"), std::string::npos);
}

// ---------------------------------------------------------------- when_all

TEST_F(CppSteps, WhenAllAwaitsDifferentThingsAtTheSameTime) {
  auto engine = start([](const Event&, Step& step) -> Workflow<std::string> {
    auto first = step.do_("first", [] { return 1; });
    auto second = step.do_("second", [] { return "two"; });
    auto [one, two, slept, event, part] = co_await when_all(
        first, second, step.sleep("nap", 1ms), step.wait_for_event<int>("wait", "go"), branch("b", 1, step));
    static_assert(std::is_same_v<decltype(slept), std::monostate>);
    co_return std::to_string(one) + two + std::to_string(event.payload) + part;
  });
  auto instance = engine->create("test");
  instance.send_event("go", 3);
  EXPECT_EQ(instance.result<std::string>(), "1two3b1 ");
}

TEST_F(CppSteps, WhenAllGoesOnWhenAllHaveEndedAndThrowsTheFirstFailureInItsOrder) {
  std::atomic<bool> slow_ended = false;
  auto engine = start([&](const Event&, Step& step) -> Workflow<std::string> {
    std::atomic<bool> failed = false;
    const StepOptions once{.retries = {.limit = 0}};
    auto slow = step.do_("slow", once, [&] {
      failed.wait(false);
      slow_ended = true;
      throw std::runtime_error("slow");
    });
    auto quick = step.do_("quick", once, [&] {
      failed = true;
      failed.notify_all();
      throw std::runtime_error("quick");
    });
    try {
      co_await when_all(slow, quick);
    } catch (const StepFailure& error) { co_return error.failure().message; }
    co_return "no failure";
  });
  EXPECT_EQ(engine->create("test").result<std::string>(), "slow");
  EXPECT_TRUE(slow_ended);
}

}  // namespace
}  // namespace workflows::testing
