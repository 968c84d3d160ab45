// Pause, resume, terminate, restart, remove, batches and retention in the C++ API (S26 to S30), of one engine and of
// several processes' worth of connections.

#include <future>
#include <string>
#include <vector>

#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

using Texts = std::vector<std::string>;

class CppLifecycle : public CppApiTest {
 protected:
  static Workflow<int> wait(const Event&, Step& step) {
    co_return (co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt})).payload;
  }
  static Workflow<int> nap(const Event&, Step& step) {
    co_await step.sleep("nap", 1h);
    co_return 1;
  }
  static Texts names_of(const std::vector<StepInfo>& steps) {
    Texts names;
    for (const StepInfo& step : steps) names.push_back(step.name);
    return names;
  }
};

// ---------------------------------------------------------------- pause and resume

TEST_F(CppLifecycle, S27_APausedSleepGetsTheTimeThatWasLeft) {
  auto engine = start_at(clock_, nap);
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  advance(*engine, 40min);
  instance.pause();
  wait_until(instance, Status::paused);
  advance(*engine, 1000h);
  settle(*engine);
  EXPECT_EQ(instance.status().status, Status::paused);
  instance.resume();
  wait_until(instance, Status::waiting);
  EXPECT_EQ(engine->list().at(0).wake, kStart + 1000h + 1h);
  advance(*engine, 20min);
  EXPECT_EQ(instance.result<int>(), 1);
}

TEST_F(CppLifecycle, S27_APauseLetsTheBodyFinishAndNothingRunsTwice) {
  Door door;
  std::atomic<bool> inside = false;
  std::atomic<int> first_runs = 0, second_runs = 0;
  auto engine = start([&](const Event&, Step& step) -> Workflow<int> {
    auto first = step.do_("first", [&] {
      ++first_runs;
      inside = true;
      door.pass();
      return 20;
    });
    const int half = co_await first;
    auto second = step.do_("second", [&] { return ++second_runs; });
    co_return half + co_await second;
  });
  auto instance = engine->create("test");
  while (!inside) std::this_thread::yield();
  instance.pause();
  EXPECT_EQ(instance.status().status, Status::waiting_for_pause);
  door.open();
  wait_until(instance, Status::paused);
  instance.resume();
  EXPECT_EQ(instance.result<int>(), 21);
  EXPECT_EQ(first_runs, 1);
  EXPECT_EQ(second_runs, 1);
}

TEST_F(CppLifecycle, S27_EventsSentToAPausedInstanceAreKept) {
  auto engine = start(wait);
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  instance.pause();
  wait_until(instance, Status::paused);
  instance.send_event("go", 7);
  instance.resume();
  EXPECT_EQ(instance.result<int>(), 7);
}

TEST_F(CppLifecycle, S27_AHibernatedInstanceIsPausedAndResumedWithoutItsCode) {
  std::atomic<int> runs = 0;
  auto engine = start({.database = file(), .hibernate_after = 1s, .clock = clock_}, [&](Engine& its) {
    its.add("test", [&](const Event&, Step& step) -> Workflow<int> {
      ++runs;
      co_await step.sleep("nap", 1h);
      co_return 1;
    });
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  advance(*engine, 1s);
  while (engine->counters().hibernated_instances == 0) std::this_thread::yield();
  instance.pause();
  wait_until(instance, Status::paused);
  while (engine->counters().hibernated_instances != 0) std::this_thread::yield();
  EXPECT_EQ(runs, 1);
  advance(*engine, 24h);
  settle(*engine);
  EXPECT_EQ(instance.status().status, Status::paused);
  instance.resume();
  wait_until(instance, Status::waiting);
  advance(*engine, 1h);
  EXPECT_EQ(instance.result<int>(), 1);
}

TEST_F(CppLifecycle, S26_TwoResumesAtOnceHaveOneWinner) {
  auto engine = start(wait);
  auto instance = engine->create("test", {}, {.id = "one"});
  wait_until(instance, Status::waiting);
  instance.pause();
  wait_until(instance, Status::paused);
  Client client({.database = file()});
  const auto won = [](auto resume) {
    try {
      resume();
      return 1;
    } catch (const InvalidTransitionError&) { return 0; }
  };
  auto mine = std::async(std::launch::async, [&] { return won([&] { instance.resume(); }); });
  auto others = std::async(std::launch::async, [&] { return won([&] { client.resume("test", "one"); }); });
  EXPECT_EQ(mine.get() + others.get(), 1);
  instance.send_event("go", 7);
  EXPECT_EQ(instance.result<int>(), 7);
}

TEST_F(CppLifecycle, S26_PausesAndResumesInQuickSuccessionLoseNothing) {
  std::atomic<int> bodies = 0;
  auto engine = start([&](const Event&, Step& step) -> Workflow<int> {
    int sum = 0;
    for (int i = 0; i < 200; ++i) {
      auto add = step.do_("add", [&] { return ++bodies; });
      sum = co_await add;
    }
    co_return sum;
  });
  auto instance = engine->create("test");
  try {
    for (int i = 0; i < 100; ++i) {
      instance.pause();
      instance.resume();
    }
  } catch (const InvalidTransitionError&) {}  // it has completed meanwhile
  EXPECT_EQ(instance.result<int>(), 200);
  EXPECT_EQ(bodies, 200);
}

TEST_F(CppLifecycle, S26_ACallThatDoesNotFitTheStatusTellsWhatWasFound) {
  auto engine = start([](const Event&, Step&) -> Workflow<void> { co_return; });
  auto instance = engine->create("test");
  instance.result();
  EXPECT_THROW(instance.pause(), InvalidTransitionError);
  EXPECT_THROW(instance.resume(), InvalidTransitionError);
  EXPECT_THROW(instance.terminate({.rollback = true}), InvalidTransitionError);
  try {
    instance.terminate();
    FAIL();
  } catch (const InvalidTransitionError& error) {
    EXPECT_NE(std::string(error.what()).find("complete"), std::string::npos) << error.what();
  }
}

TEST_F(CppLifecycle, WorkflowCodeMayNotMakeLifecycleCalls) {
  Engine engine({.database = file()});
  engine.add("test", [&](const Event& event, Step&) -> Workflow<bool> {
    try {
      engine.get("test", event.instance_id).pause();
    } catch (const WrongLoopError&) { co_return true; }
    co_return false;
  });
  engine.start();
  EXPECT_TRUE(engine.create("test").result<bool>());
}

// ---------------------------------------------------------------- terminate

TEST_F(CppLifecycle, S28_AnOperatorsTerminationStopsTheBodyOfARunningEngine) {
  std::atomic<bool> inside = false, stopped = false;
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto body = step.do_("body", [&](StepContext& context) {
      inside = true;
      while (!context.cancelled()) std::this_thread::yield();
      stopped = true;
    });
    co_await body;
    ADD_FAILURE() << "the code goes on after its termination";
  });
  auto instance = engine->create("test", {}, {.id = "one"});
  while (!inside) std::this_thread::yield();
  Client operators({.database = file()});
  operators.terminate("test", "one");
  EXPECT_THROW(instance.result(), WorkflowTerminatedError);
  while (!stopped) std::this_thread::yield();
  EXPECT_EQ(instance.status().status, Status::terminated);
  while (engine->counters().loaded_instances != 0) std::this_thread::yield();
}

TEST_F(CppLifecycle, S28_ATerminatedHibernatedInstanceDoesNotComeBack) {
  auto engine =
      start({.database = file(), .hibernate_after = 1s, .clock = clock_}, [&](Engine& its) { its.add("test", nap); });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  advance(*engine, 1s);
  while (engine->counters().hibernated_instances == 0) std::this_thread::yield();
  instance.terminate();
  while (engine->counters().hibernated_instances != 0) std::this_thread::yield();
  const auto loads = engine->counters().loads;
  advance(*engine, 1h);
  settle(*engine);
  EXPECT_EQ(engine->counters().loads, loads);
  EXPECT_EQ(instance.status().status, Status::terminated);
}

// ---------------------------------------------------------------- restart

TEST_F(CppLifecycle, S28_ARestartBeginsAFreshGenerationAndTheHandleSpeaksOfIt) {
  std::atomic<int> runs = 0;
  auto engine = start([&](const Event& event, Step& step) -> Workflow<int> {
    auto count = step.do_("count", [&] { return ++runs; });
    const int result = co_await count;
    co_return result * 100 + event.payload<int>();
  });
  auto instance = engine->create("test", 5, {.id = "one"});
  EXPECT_EQ(instance.result<int>(), 105);
  EXPECT_TRUE(instance.restart().empty());
  EXPECT_EQ(instance.result<int>(), 205);
  EXPECT_EQ(engine->get("test", "one").result<int>(), 205);
  const auto generations = engine->client().generations("test", "one");
  ASSERT_EQ(generations.size(), 2U);
  EXPECT_EQ(generations.at(0).created, generations.at(1).created);
  EXPECT_EQ(engine->client().status(generations.at(1).key).output, "105");  // kept for inspection
}

TEST_F(CppLifecycle, S28_WhoWaitsForTheResultOfARestartedInstanceGetsThatOfTheNewGeneration) {
  std::atomic<int> runs = 0;
  auto engine = start([&](const Event&, Step& step) -> Workflow<int> {
    auto count = step.do_("count", [&] { return ++runs; });
    const int run = co_await count;
    if (run == 1) co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt});
    co_return run;
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  auto result = std::async(std::launch::async, [&] { return instance.result<int>(); });
  EXPECT_THROW(instance.result<int>(1ms), WaitTimeoutError);  // by now somebody waits
  instance.restart();
  EXPECT_EQ(result.get(), 2);
}

TEST_F(CppLifecycle, S28_ARestartFromAStepKeepsWhatDoesNotFollowItAndSaysSo) {
  std::vector<std::atomic<int>> runs(4);
  auto engine = start([&](const Event&, Step& step) -> Workflow<int> {
    auto fetch = step.do_("fetch", [&] { return ++runs[0]; });
    auto left = step.do_("left", depends(fetch), [&](int) { return ++runs[1]; });
    auto right = step.do_("right", depends(fetch), [&](int) { return ++runs[2]; });
    auto join = step.do_("join", depends(left, right), [&](int, int) { return ++runs[3]; });
    co_return co_await join;
  });
  auto instance = engine->create("test");
  EXPECT_EQ(instance.result<int>(), 1);
  EXPECT_EQ(names_of(instance.restart({.from_step = "right"})), (Texts{"fetch", "left"}));
  EXPECT_EQ(instance.result<int>(), 2);
  EXPECT_EQ(runs[0] * 1000 + runs[1] * 100 + runs[2] * 10 + runs[3], 1122);
  EXPECT_THROW(instance.restart({.from_step = "up"}), InvalidConfigError);
  EXPECT_EQ(instance.status().status, Status::complete);
}

// ---------------------------------------------------------------- remove, batches, retention

TEST_F(CppLifecycle, S26_ARemovedInstanceIsGoneAndItsIdFree) {
  auto engine = start(wait);
  auto instance = engine->create("test", {}, {.id = "one"});
  wait_until(instance, Status::waiting);
  instance.remove();
  EXPECT_FALSE(engine->exists("test", "one"));
  EXPECT_THROW(instance.status(), InstanceNotFoundError);
  EXPECT_THROW(instance.steps(), InstanceNotFoundError);
  EXPECT_THROW(instance.pause(), InstanceNotFoundError);
  EXPECT_THROW(instance.result(), InstanceNotFoundError);
  auto again = engine->create("test", {}, {.id = "one"});
  again.send_event("go", 1);
  EXPECT_EQ(again.result<int>(), 1);
}

TEST_F(CppLifecycle, S29_ABatchIsOneTransactionAndEachInstanceHasItsOwnOutcome) {
  constexpr std::size_t kInstances = 10'000;
  auto engine = start({.database = file(), .max_concurrent_instances = 1}, [](Engine& its) { its.add("test", wait); });
  engine->create("test", 1, {.id = "taken"});
  settle(*engine);
  std::vector<NewInstance<int>> batch(kInstances);
  for (std::size_t i = 0; i < kInstances; ++i) batch[i] = {.id = "i" + std::to_string(i), .params = 1};
  batch[7].id = "taken";
  batch[8].id = "not/fine";
  const auto created = engine->create_batch("test", batch);
  ASSERT_EQ(created.size(), kInstances);
  EXPECT_EQ(std::get<Error>(created[7]).code, ErrorCode::instance_exists);
  EXPECT_EQ(std::get<Error>(created[8]).code, ErrorCode::invalid_name);
  EXPECT_EQ(std::get<InstanceHandle>(created[9]).id(), "i9");
  EXPECT_EQ(engine->list({.limit = 20'000}).size(), kInstances - 1);
  EXPECT_LE(engine->counters().transactions, 10);

  const auto removed = engine->remove_batch("test", {"i0", "nobody", "i1"});
  EXPECT_EQ(removed, (std::vector<std::optional<Error>>{std::nullopt, removed[1], std::nullopt}));
  EXPECT_EQ(removed[1]->code, ErrorCode::instance_not_found);
  EXPECT_FALSE(engine->exists("test", "i0"));
}

TEST_F(CppLifecycle, S29_WhatABatchCreatesBeginsWithoutBeingReadFromTheFile) {
  auto engine = start({.database = file()},
                      [](Engine& its) { its.add("test", [](const Event&, Step&) -> Workflow<void> { co_return; }); });
  settle(*engine);
  const auto before = engine->counters().loads;
  for (auto& one : engine->create_batch("test", std::vector<NewInstance<int>>(1'000)))
    std::get<InstanceHandle>(one).result();
  EXPECT_EQ(engine->counters().loads, before);
}

TEST_F(CppLifecycle, S30_AFinishedInstanceIsKeptAsLongAsItsWorkflowOrItselfSays) {
  auto engine = start({.database = file(), .clock = clock_}, [](Engine& its) {
    its.add("test", [](const Event&, Step&) -> Workflow<void> { co_return; }, {.retention = {.success = 1h}});
  });
  engine->create("test", {}, {.id = "short"}).result();
  engine->create("test", {}, {.id = "long", .retention = Retention{.success = 48h}}).result();
  engine->create("test", {}, {.id = "for-ever", .retention = Retention{}}).result();
  engine->client().create({.workflow = "test", .id = "by-client"});
  engine->get("test", "by-client").result();
  clock_->advance(2h);
  engine->client().collect_garbage(1'000);
  EXPECT_FALSE(engine->exists("test", "short"));
  EXPECT_FALSE(engine->exists("test", "by-client"));
  EXPECT_TRUE(engine->exists("test", "long"));
  clock_->advance(100h);
  engine->client().collect_garbage(1'000);
  EXPECT_FALSE(engine->exists("test", "long"));
  EXPECT_TRUE(engine->exists("test", "for-ever"));
}

// ---------------------------------------------------------------- two engines

TEST_F(CppLifecycle, S26_AnEngineFollowsWhatAnotherEngineIsTold) {
  std::atomic<bool> inside = false;
  Door door;
  const auto code = [&](const Event&, Step& step) -> Workflow<int> {
    auto body = step.do_("body", [&] {
      inside = true;
      door.pass();
    });
    co_await body;
    co_await step.sleep("nap", 1ms);
    co_return 1;
  };
  auto owner = start(code);
  owner->create("test", {}, {.id = "one"});
  while (!inside) std::this_thread::yield();
  auto other = start(code);
  auto instance = other->get("test", "one");
  instance.pause();
  door.open();
  wait_until(instance, Status::paused);
  instance.resume();
  EXPECT_EQ(instance.result<int>(), 1);
  instance.restart();
  EXPECT_EQ(owner->get("test", "one").result<int>(), 1);
}

}  // namespace
}  // namespace workflows::testing
