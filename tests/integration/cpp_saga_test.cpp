// Rollback in the C++ API (S31, S32).

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

using Texts = std::vector<std::string>;

// What was done, by whom; of several threads.
class Diary {
 public:
  void note(std::string what) {
    const std::scoped_lock lock(mutex_);
    notes_.push_back(std::move(what));
  }
  Texts notes() const {
    const std::scoped_lock lock(mutex_);
    return notes_;
  }

 private:
  mutable std::mutex mutex_;
  Texts notes_;
};

class CppSaga : public CppApiTest {
 protected:
  // Undoes a step that returns text, and notes it.
  auto undo() {
    return [this](const RollbackContext<std::string>& context) {
      diary_.note(context.name() + " " + context.output.value_or("nothing") + " " + context.error.type);
    };
  }
  static InstanceStatus end_of(const InstanceHandle& instance) {
    EXPECT_ANY_THROW(instance.result());
    return instance.status();
  }

  Diary diary_;
};

const RetryOptions kNoRetries{.limit = 0};

// ---------------------------------------------------------------- a run that fails

TEST_F(CppSaga, S31_WhenTheRunFailsItsStepsAreRolledBackInReverseOrderWithTheirOutputs) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    for (const std::string name : {"flight", "hotel", "car"}) {
      auto book = step.do_("book " + name, [name] { return name + " 1"; }, rollback(undo()));
      co_await book;
    }
    throw std::runtime_error("no money");
  });
  auto instance = engine->create("test");
  const InstanceStatus status = end_of(instance);
  EXPECT_EQ(status.status, Status::errored);
  EXPECT_EQ(status.failure->message, "no money");
  EXPECT_EQ(diary_.notes(), (Texts{"book car car 1 std::runtime_error", "book hotel hotel 1 std::runtime_error",
                                   "book flight flight 1 std::runtime_error"}));
  EXPECT_EQ(status.rollback, R"({"compensated":[{"name":"book car","count":1},{"name":"book hotel","count":1},)"
                             R"({"name":"book flight","count":1}],"failed":[],"not_run":[]})");
}

TEST_F(CppSaga, S31_AFailedStepIsRolledBackTooWithoutAnOutputAndOneThatNeverBeganIsNot) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto charge = step.do_(
        "charge", {.retries = kNoRetries}, []() -> std::string { throw std::runtime_error("timeout at the bank"); },
        rollback(undo()));
    auto ship = step.do_("ship", depends(charge), [](const std::string& paid) { return paid; }, rollback(undo()));
    co_await ship;
  });
  end_of(engine->create("test"));
  EXPECT_EQ(diary_.notes(), Texts{"charge nothing DependencyError"});
}

TEST_F(CppSaga, S31_ARunThatCompletesRollsNothingBack) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto charge = step.do_("charge", [] { return std::string("1"); }, rollback(undo()));
    co_await charge;
  });
  engine->create("test").result();
  EXPECT_TRUE(diary_.notes().empty());
}

TEST_F(CppSaga, S32_ACatchBlockOfTheCodeDoesNotSkipTheRollback) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto charge = step.do_("charge", [] { return std::string("1"); }, rollback(undo()));
    co_await charge;
    auto ship = step.do_("ship", {.retries = kNoRetries}, []() -> int { throw std::runtime_error("no parcel"); });
    try {
      co_await ship;
    } catch (const StepFailure&) {}
    throw std::logic_error("after all");
  });
  end_of(engine->create("test"));
  EXPECT_EQ(diary_.notes(), Texts{"charge 1 std::logic_error"});
}

TEST_F(CppSaga, S31_ARollbackFunctionMayTakeNothingAndHasAContextWithAKeyOfItsOwn) {
  std::map<std::string, std::string> keys;
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto plain = step.do_("plain", [] {}, rollback([this] { diary_.note("plain"); }));
    co_await plain;
    auto charge = step.do_(
        "charge", [&](StepContext& context) { keys["body"] = context.idempotency_key(); },
        rollback([this, &keys](const RollbackContext<void>& undo) {
          keys["rollback"] = undo.idempotency_key();
          diary_.note(std::string("charge ") + (undo.output ? "done" : "not done") + std::to_string(undo.attempt()));
        }));
    co_await charge;
    throw std::runtime_error("no");
  });
  end_of(engine->create("test"));
  EXPECT_EQ(diary_.notes(), (Texts{"charge done1", "plain"}));
  EXPECT_EQ(keys.size(), 2U);
  EXPECT_NE(keys["body"], keys["rollback"]);
}

TEST_F(CppSaga, S31_StepsOfNestedAndParallelWorkflowFunctionsAreRolledBackToo) {
  const auto branch = [this](Step& step, std::string name) -> Workflow<void> {
    const std::string local = name + " with a text that is long enough to be allocated";
    auto book = step.do_(name, [&] { return local; }, rollback([this, local] { diary_.note(local.substr(0, 1)); }));
    co_await book;
  };
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    std::vector<Workflow<void>> branches;
    for (const char* name : {"a", "b", "c"}) branches.push_back(branch(step, name));
    co_await when_all(std::move(branches));
    throw std::runtime_error("no");
  });
  end_of(engine->create("test"));
  EXPECT_EQ(diary_.notes(), (Texts{"c", "b", "a"}));
}

// ---------------------------------------------------------------- rollbacks that fail

TEST_F(CppSaga, S31_ARollbackIsTriedAgainAsItsOptionsSay) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto charge = step.do_(
        "charge", [] { return std::string("1"); },
        rollback(
            [this](const RollbackContext<std::string>& context) {
              diary_.note(std::to_string(context.attempt()));
              if (context.attempt() < 3) throw std::runtime_error("busy");
            },
            {.retries = {.limit = 2, .delay = 0s}}));
    co_await charge;
    throw std::runtime_error("no");
  });
  const InstanceStatus status = end_of(engine->create("test"));
  EXPECT_EQ(diary_.notes(), (Texts{"1", "2", "3"}));
  EXPECT_NE(status.rollback.find(R"("compensated":[{"name":"charge","count":1}])"), std::string::npos);
}

TEST_F(CppSaga, S31_TheDelayFunctionOfARollbackIsTheRollbacks) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    const auto delay = [this](std::uint32_t attempt, const Failure& failure) -> Duration {
      diary_.note("delay " + std::to_string(attempt) + " " + failure.message);
      return 0s;
    };
    auto charge = step.do_(
        "charge", [] {},
        rollback(
            [](const RollbackContext<void>& context) {
              if (context.attempt() == 1) throw std::runtime_error("busy");
            },
            {.retries = {.delay = delay}}));
    co_await charge;
    throw std::runtime_error("no");
  });
  end_of(engine->create("test"));
  EXPECT_EQ(diary_.notes(), Texts{"delay 1 busy"});
}

TEST_F(CppSaga, S32_ARollbackThatFailsForGoodHaltsTheChainOrLetsItGoOn) {
  const auto code = [&](OnFailure on_failure) {
    return [this, on_failure](const Event&, Step& step) -> Workflow<void> {
      auto first = step.do_("first", [] { return std::string("1"); }, rollback(undo()));
      co_await first;
      auto second = step.do_(
          "second", [] { return std::string("2"); },
          rollback([](const auto&) { throw NonRetryableError("it is gone"); }, {.on_failure = on_failure}));
      co_await second;
      throw std::runtime_error("no");
    };
  };
  auto engine = start({.database = file()}, [&](Engine& its) {
    its.add("halt", code(OnFailure::halt));
    its.add("go-on", code(OnFailure::continue_));
  });
  const std::string halted = end_of(engine->create("halt")).rollback;
  EXPECT_TRUE(diary_.notes().empty());
  EXPECT_NE(halted.find(R"("failed":[{"name":"second","count":1,"error":{"type":"NonRetryableError")"),
            std::string::npos)
      << halted;
  EXPECT_NE(halted.find(R"("not_run":[{"name":"first","count":1}])"), std::string::npos) << halted;
  const std::string went_on = end_of(engine->create("go-on")).rollback;
  EXPECT_EQ(diary_.notes().size(), 1U);
  EXPECT_NE(went_on.find(R"("compensated":[{"name":"first","count":1}])"), std::string::npos) << went_on;
}

// ---------------------------------------------------------------- termination

TEST_F(CppSaga, S28_S31_ATerminationWithRollbackCompensatesAndTellsSo) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto charge = step.do_("charge", [] { return std::string("1"); }, rollback(undo()));
    co_await charge;
    co_await step.wait_for_event<int>("never", "never", {.timeout = std::nullopt});
  });
  auto instance = engine->create("test");
  wait_until(instance, Status::waiting);
  instance.terminate({.rollback = true});
  EXPECT_THROW(instance.result(), WorkflowTerminatedError);
  EXPECT_EQ(diary_.notes(), Texts{"charge 1 WorkflowTerminatedError"});
  EXPECT_NE(instance.status().rollback.find(R"("compensated":[{"name":"charge")"), std::string::npos);
}

TEST_F(CppSaga, S31_ARollbackBeginsOnlyWhenNoBodyIsAtWorkAnyMore) {
  Door door;
  std::atomic<bool> inside = false;
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto charge = step.do_(
        "charge",
        [&] {
          inside = true;
          door.pass();  // deaf to every request to stop
          diary_.note("charged");
        },
        rollback([this] { diary_.note("refunded"); }));
    co_await charge;
  });
  auto instance = engine->create("test");
  while (!inside) std::this_thread::yield();
  instance.terminate({.rollback = true});
  wait_until(instance, Status::rolling_back);
  settle(*engine);
  EXPECT_TRUE(diary_.notes().empty());
  door.open();
  EXPECT_THROW(instance.result(), WorkflowTerminatedError);
  EXPECT_EQ(diary_.notes(), (Texts{"charged", "refunded"}));
}

// ---------------------------------------------------------------- other engines

TEST_F(CppSaga, S31_ARollbackThatAnEngineLeftGoesOnInTheNextAndRepeatsNothing) {
  std::atomic<bool> stuck = false;
  const auto code = [&](bool hangs) {
    return [&, hangs](const Event&, Step& step) -> Workflow<void> {
      for (const std::string name : {"a", "b", "c"}) {
        auto book = step.do_(
            name, [name] { return name; }, rollback([this, hangs, &stuck](const RollbackContext<std::string>& undo) {
              if (hangs && undo.name() == "b") {
                stuck = true;
                while (!undo.cancelled()) std::this_thread::yield();
                throw std::runtime_error("interrupted");
              }
              diary_.note(undo.name() + " " + *undo.output + " " + undo.error.message);
            }));
        co_await book;
      }
      throw std::runtime_error("no");
    };
  };
  auto engine = start(code(true));
  engine->create("test", {}, {.id = "one"});
  while (!stuck) std::this_thread::yield();
  engine->close();
  engine = start(code(false));
  const InstanceStatus status = end_of(engine->get("test", "one"));
  EXPECT_EQ(diary_.notes(), (Texts{"c c no", "b b no", "a a no"}));
  EXPECT_EQ(status.status, Status::errored);
}

TEST_F(CppSaga, S28_OneThatIsTerminatedWhileNoEngineRunsIsRolledBackByTheNext) {
  const auto code = [&](const Event&, Step& step) -> Workflow<void> {
    auto charge = step.do_("charge", [] { return std::string("1"); }, rollback(undo()));
    co_await charge;
    co_await step.sleep("nap", 10h);
  };
  auto engine = start(code);
  wait_until(engine->create("test", {}, {.id = "one"}), Status::waiting);
  engine->close();
  Client client({.database = file()});
  client.terminate("test", "one", true);
  EXPECT_EQ(client.status(client.get("test", "one").key).status, Status::rolling_back);
  EXPECT_THROW(client.terminate("test", "one"), InvalidTransitionError);
  engine = start(code);
  EXPECT_THROW(engine->get("test", "one").result(), WorkflowTerminatedError);
  EXPECT_EQ(diary_.notes(), Texts{"charge 1 WorkflowTerminatedError"});
}

TEST_F(CppSaga, S31_AStepWhoseCodeHasLostItsRollbackFunctionIsReportedAsFailed) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto charge = step.do_("charge", [] { return std::string("1"); }, rollback(undo()));
    co_await charge;
    co_await step.sleep("nap", 10h);
  });
  wait_until(engine->create("test", {}, {.id = "one"}), Status::waiting);
  engine->close();
  engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto charge = step.do_("charge", [] { return std::string("1"); });
    co_await charge;
    co_await step.sleep("nap", 10h);
  });
  auto instance = engine->get("test", "one");
  instance.terminate({.rollback = true});
  EXPECT_THROW(instance.result(), WorkflowTerminatedError);
  EXPECT_NE(instance.status().rollback.find("no rollback function"), std::string::npos);
}

}  // namespace
}  // namespace workflows::testing
