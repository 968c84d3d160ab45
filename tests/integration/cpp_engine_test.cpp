// The engine of the C++ API: instances, their results, opening and closing (S1 to S6, S24, S46).

#include <fstream>
#include <future>
#include <string>

#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

class CppEngine : public CppApiTest {
 protected:
  static Workflow<int> one(const Event&, Step& step) {
    auto make = step.do_("make", [] { return 1; });
    co_return co_await make;
  }
  static Workflow<void> wait(const Event&, Step& step) { co_await step.wait_for_event<int>("go", "go"); }
};

// ---------------------------------------------------------------- workflows and instances

TEST_F(CppEngine, S1_AWorkflowsNameIsChecked) {
  Engine engine({.database = file()});
  EXPECT_THROW(engine.add("no spaces please", one), InvalidNameError);
  EXPECT_THROW(engine.add("", one), InvalidNameError);
  engine.add("fine", one);
  EXPECT_THROW(engine.add("fine", one), InvalidConfigError);
  engine.start();
  EXPECT_THROW(engine.add("late", one), InvalidConfigError);
}

TEST_F(CppEngine, S1_FunctionsLambdasWithCapturesAndFunctorsAreWorkflows) {
  struct Functor {
    std::string text = "functor with a text that is long enough to be allocated";
    Workflow<std::string> operator()(const Event&, Step& step) const {
      auto say = step.do_("say", [this] { return text; });
      co_return co_await say;
    }
  };
  const std::string captured = "lambda with a text that is long enough to be allocated";
  auto engine = start({.database = file()}, [&](Engine& its) {
    its.add("function", one);
    its.add("lambda", [captured](const Event&, Step& step) -> Workflow<std::string> {
      auto say = step.do_("say", [&] { return captured; });
      co_return co_await say;
    });
    its.add("functor", Functor(), {.version = "2"});
  });
  EXPECT_EQ(engine->create("function").result<int>(), 1);
  EXPECT_EQ(engine->create("lambda").result<std::string>(), captured);
  auto functor = engine->create("functor");
  EXPECT_EQ(functor.result<std::string>(), Functor().text);
  EXPECT_EQ(engine->list({.workflow = "functor"}).at(0).version, "2");
}

TEST_F(CppEngine, S2_AnIdIsUniqueAndReturnedOnDemand) {
  auto engine = start(one);
  EXPECT_EQ(engine->create("test", 5, {.id = "a"}).id(), "a");
  EXPECT_THROW(engine->create("test", 5, {.id = "a"}), InstanceExistsError);
  auto again = engine->create("test", 5, {.id = "a", .on_conflict = OnConflict::return_existing});
  EXPECT_EQ(again.result<int>(), 1);
  EXPECT_THROW(engine->create("test", 6, {.id = "a", .on_conflict = OnConflict::return_existing}), InstanceExistsError);
  EXPECT_THROW(engine->create("test", 5, {.id = "not/fine"}), InvalidNameError);
  EXPECT_EQ(engine->create("test").id().size(), 36U);
}

TEST_F(CppEngine, S3_TheEventSaysWhatTheInstanceWasCreatedWith) {
  using Params = std::map<std::string, int>;
  auto engine = start_at(clock_, [](const Event& event, Step&) -> Workflow<bool> {
    co_return event.workflow_name == "test" && event.instance_id == "one" &&
        event.timestamp == kStart&& event.payload<Params>() == Params{{"a", 1}};
  });
  EXPECT_TRUE(engine->create("test", Params{{"a", 1}}, {.id = "one"}).result<bool>());
}

TEST_F(CppEngine, S3_ParamsAreAnEmptyObjectWhenThereAreNone) {
  auto engine = start([](const Event& event, Step&) -> Workflow<std::string> { co_return event.params; });
  EXPECT_EQ(engine->create("test").result<std::string>(), "{}");
  EXPECT_EQ(engine->create("test", {}, {.id = "a"}).result<std::string>(), "{}");
}

TEST_F(CppEngine, S46_AParameterOfAnotherTypeFailsTheInstanceWithAMessageThatNamesIt) {
  auto engine = start([](const Event& event, Step&) -> Workflow<int> { co_return event.payload<int>(); });
  const Failure failure = failure_of_run(engine->create("test", "text"));
  EXPECT_EQ(failure.type, "SerializationError");
  EXPECT_NE(failure.message.find("int"), std::string::npos) << failure.message;
  EXPECT_NE(failure.message.find("\"text\""), std::string::npos) << failure.message;
}

TEST_F(CppEngine, S4_AResultReadAsAnotherTypeIsASerializationError) {
  auto engine = start(one);
  auto instance = engine->create("test");
  EXPECT_EQ(instance.result<double>(), 1.0);
  EXPECT_THROW(instance.result<std::string>(), SerializationError);
}

TEST_F(CppEngine, GetExistsAndList) {
  auto engine = start(wait);
  auto instance = engine->create("test", {}, {.id = "one"});
  EXPECT_TRUE(engine->exists("test", "one"));
  EXPECT_FALSE(engine->exists("test", "two"));
  EXPECT_THROW(engine->get("test", "two"), InstanceNotFoundError);
  EXPECT_EQ(engine->get("test", "one").workflow(), "test");
  wait_until(instance, Status::waiting);
  EXPECT_EQ(engine->list({.status = Status::waiting}).size(), 1U);
  EXPECT_TRUE(engine->list({.status = Status::complete}).empty());
}

TEST_F(CppEngine, ResultWithATimeoutGivesUpWaitingAndNothingElse) {
  auto engine = start(wait);
  auto instance = engine->create("test");
  EXPECT_THROW(instance.result<void>(1ms), WaitTimeoutError);
  instance.send_event("go", 1);
  instance.result();
}

TEST_F(CppEngine, SeveralThreadsMayWaitForOneInstance) {
  auto engine = start([](const Event&, Step& step) -> Workflow<int> {
    co_return (co_await step.wait_for_event<int>("go", "go")).payload;
  });
  auto instance = engine->create("test");
  auto first = std::async(std::launch::async, [&] { return instance.result<int>(); });
  auto second = std::async(std::launch::async, [&] { return instance.result<int>(); });
  instance.send_event("go", 7);
  EXPECT_EQ(first.get() + second.get(), 14);
}

// ---------------------------------------------------------------- opening and closing

TEST_F(CppEngine, S6_AnInstanceWhoseWorkflowIsNotRegisteredWaits) {
  auto engine = start(wait);
  engine->create("test", {}, {.id = "one"}).send_event("go", 1);
  engine->close();
  engine = start({.database = file()}, [](Engine& its) { its.add("other", one); });
  EXPECT_EQ(engine->create("other").result<int>(), 1);
  EXPECT_FALSE(is_finished(engine->get("test", "one").status().status) &&
               engine->get("test", "one").status().status == Status::errored);
}

TEST_F(CppEngine, S5_S6_UnfinishedInstancesOfAllKindsGoOnInANewEngine) {
  constexpr int kInstances = 200;
  const auto code = [](const Event& event, Step& step) -> Workflow<int> {
    auto before = step.do_("before", [&] { return event.payload<int>() * 2; });
    const int doubled = co_await before;
    const auto go = co_await step.wait_for_event<int>("go", "go");
    auto after = step.do_("after", [&] { return doubled + go.payload; });
    co_return co_await after;
  };
  auto engine = start(code);
  for (int i = 0; i < kInstances; ++i) engine->create("test", i, {.id = std::to_string(i)});
  engine->close();
  engine = start(code);
  for (int i = 0; i < kInstances; ++i) engine->get("test", std::to_string(i)).send_event("go", 1);
  for (int i = 0; i < kInstances; ++i) EXPECT_EQ(engine->get("test", std::to_string(i)).result<int>(), 2 * i + 1);
}

TEST_F(CppEngine, AfterCloseEveryCallIsRefusedAndCloseMayBeRepeated) {
  auto engine = start(wait);
  auto instance = engine->create("test");
  engine->close();
  engine->close();
  EXPECT_THROW(engine->create("test"), EngineClosedError);
  EXPECT_THROW(engine->get("test", instance.id()), EngineClosedError);
  EXPECT_THROW(engine->list(), EngineClosedError);
  EXPECT_THROW(engine->counters(), EngineClosedError);
  EXPECT_THROW(engine->clock_moved(), EngineClosedError);
  EXPECT_THROW(instance.send_event("go", 1), EngineClosedError);
  EXPECT_THROW(instance.result(), EngineClosedError);
  EXPECT_THROW(instance.status(), EngineClosedError);
  engine.reset();
  EXPECT_THROW(instance.steps(), EngineClosedError);
}

TEST_F(CppEngine, ACallThatWaitsIsAnsweredWhenTheEngineCloses) {
  auto engine = start(wait);
  auto instance = engine->create("test");
  auto waiting = std::async(std::launch::async, [&] { instance.result(); });
  EXPECT_THROW(instance.result<void>(1ms), WaitTimeoutError);
  engine->close();
  EXPECT_THROW(waiting.get(), EngineClosedError);
}

TEST_F(CppEngine, CallsBeforeStartAreRefused) {
  Engine engine({.database = file()});
  engine.add("test", one);
  EXPECT_THROW(engine.create("test"), EngineClosedError);
}

TEST_F(CppEngine, WorkflowCodeMayNotWaitForItsOwnEngineButBodiesMay) {
  Engine engine({.database = file()});
  engine.add("child", one);
  engine.add("parent", [&](const Event&, Step& step) -> Workflow<int> {
    try {
      engine.create("child");
    } catch (const WrongLoopError&) {}
    auto child = step.do_("child", [&](StepContext& context) {
      return engine.create("child", {}, {.id = context.idempotency_key()}).result<int>();
    });
    co_return co_await child;
  });
  engine.start();
  EXPECT_EQ(engine.create("parent").result<int>(), 1);
  EXPECT_EQ(engine.list({.workflow = "child"}).size(), 1U);
}

TEST_F(CppEngine, ABodyMayNotCloseItsOwnEngine) {
  Engine engine({.database = file()});
  engine.add("test", [&](const Event&, Step& step) -> Workflow<bool> {
    auto close = step.do_("close", [&] {
      try {
        engine.close();
      } catch (const WrongLoopError&) { return true; }
      return false;
    });
    co_return co_await close;
  });
  engine.start();
  EXPECT_TRUE(engine.create("test").result<bool>());
}

TEST_F(CppEngine, S45_AFileThatIsNoDatabaseIsRefusedAndNotChanged) {
  std::ofstream(file()) << "these are not the bytes you are looking for";
  Engine engine({.database = file()});
  engine.add("test", one);
  EXPECT_THROW(engine.start(), StoreError);
  std::ifstream now(file());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(now), {}), "these are not the bytes you are looking for");
}

// ---------------------------------------------------------------- hibernation

TEST_F(CppEngine, AWaitingInstanceLeavesMemoryAndComesBack) {
  std::atomic<int> alive = 0, runs = 0;
  struct Local {
    std::atomic<int>& alive;
    explicit Local(std::atomic<int>& count) : alive(count) { ++alive; }
    ~Local() { --alive; }
  };
  const auto code = [&](const Event&, Step& step) -> Workflow<int> {
    ++runs;
    const Local local(alive);
    auto first = step.do_("first", [] { return 1; });
    const int value = co_await first;
    co_await step.sleep("nap", 24h);
    co_return value;
  };
  auto engine =
      start({.database = file(), .hibernate_after = 1s, .clock = clock_}, [&](Engine& its) { its.add("test", code); });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  EXPECT_EQ(alive, 1);
  advance(*engine, 1s);
  while (engine->counters().hibernated_instances == 0) std::this_thread::yield();
  EXPECT_EQ(alive, 0);
  advance(*engine, 24h);
  EXPECT_EQ(instance.result<int>(), 1);
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace workflows::testing
