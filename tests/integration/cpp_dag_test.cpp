// Declared steps that depend on each other (S33 to S37). A circle cannot be formed in C++: a step names steps that
// exist.

#include <algorithm>
#include <atomic>
#include <barrier>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

// A temporary of a co_await expression is destroyed twice by some compilers, so declared steps are awaited as lvalues.
template <class T>
concept AwaitedAsLvalue = requires(T& declared) { declared.operator co_await(); };
template <class T>
concept AwaitedAsTemporary = requires { std::declval<T>().operator co_await(); };
template <class T>
concept JoinedAsLvalue = requires(T& declared) { when_all(declared); };
template <class T>
concept JoinedAsTemporary = requires { when_all(std::declval<T>()); };

static_assert(AwaitedAsLvalue<DeclaredStep<int>>);
static_assert(AwaitedAsLvalue<const DeclaredStep<int>>);
static_assert(!AwaitedAsTemporary<DeclaredStep<int>>);
static_assert(!AwaitedAsTemporary<const DeclaredStep<int>>);
static_assert(!AwaitedAsTemporary<DeclaredStep<void>>);
static_assert(JoinedAsLvalue<DeclaredStep<int>>);
static_assert(!JoinedAsTemporary<DeclaredStep<int>>);
static_assert(std::is_trivially_destructible_v<WaitOptions>);
static_assert(std::is_trivially_destructible_v<Duration>);

class CppDag : public CppApiTest {
 protected:
  void ran(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    order_.push_back(name);
  }
  auto body(const std::string& name) {
    return [this, name] {
      ran(name);
      return name;
    };
  }

  std::mutex mutex_;
  std::vector<std::string> order_;
};

TEST_F(CppDag, S33_ABodyGetsTheResultsOfItsDependenciesInTheirOrder) {
  auto engine = start([](const Event&, Step& step) -> Workflow<std::string> {
    auto number = step.do_("number", [] { return 7; });
    auto text = step.do_("text", [] { return "seven"; });
    auto nothing = step.do_("nothing", [] {});
    std::vector<DeclaredStep<int>> squares;
    for (int i = 1; i <= 3; ++i) squares.push_back(step.do_("square", [i] { return i * i; }));
    auto join = step.do_("join", depends(text, nothing, squares, number),
                         [](const std::string& word, const std::vector<int>& all, int seven, StepContext& context) {
                           return word + std::to_string(all.at(0) + all.at(1) + all.at(2) + seven) + context.name();
                         });
    co_return co_await join;
  });
  EXPECT_EQ(engine->create("test").result<std::string>(), "seven21join");
}

TEST_F(CppDag, S33_ABodyMayTakeTheContextFirstOrNoResultsAtAll) {
  auto engine = start([](const Event&, Step& step) -> Workflow<std::string> {
    auto number = step.do_("number", [] { return 7; });
    auto first = step.do_("first", depends(number),
                          [](StepContext& context, int seven) { return context.name() + std::to_string(seven); });
    auto only = step.do_("only", depends(first), [](StepContext& context) { return context.name(); });
    auto none = step.do_("none", depends(only, number), [] { return "none"; });
    co_return co_await first + co_await only + co_await none;
  });
  EXPECT_EQ(engine->create("test").result<std::string>(), "first7onlynone");
}

TEST_F(CppDag, S34_ADiamondRunsItsTopOnceAndBeforeWhatDependsOnIt) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<std::string> {
    auto top = step.do_("top", body("top"));
    auto left = step.do_("left", depends(top), body("left"));
    auto right = step.do_("right", depends(top), body("right"));
    auto bottom = step.do_("bottom", depends(left, right), body("bottom"));
    co_return co_await bottom;
  });
  EXPECT_EQ(engine->create("test").result<std::string>(), "bottom");
  ASSERT_EQ(order_.size(), 4U);
  EXPECT_EQ(order_.front(), "top");
  EXPECT_EQ(order_.back(), "bottom");
}

TEST_F(CppDag, S34_DeclaringRunsNothing) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto unused = step.do_("unused", body("unused"));
    auto also_unused = step.do_("also unused", depends(unused), body("also unused"));
    co_await step.sleep("nap", 0ms);
  });
  auto instance = engine->create("test");
  instance.result();
  EXPECT_TRUE(order_.empty());
  EXPECT_EQ(instance.steps().size(), 1U);
}

TEST_F(CppDag, S34_IndependentDependenciesRunAtTheSameTime) {
  std::barrier both(2);  // passed only when two bodies are inside
  auto engine = start([&](const Event&, Step& step) -> Workflow<int> {
    auto meet = [&] {
      both.arrive_and_wait();
      return 1;
    };
    auto one = step.do_("one", meet);
    auto other = step.do_("other", meet);
    auto sum = step.do_("sum", depends(one, other), [](int a, int b) { return a + b; });
    co_return co_await sum;
  });
  EXPECT_EQ(engine->create("test").result<int>(), 2);
}

TEST_F(CppDag, S34_MaxConcurrencyBoundsWhatRunsAtTheSameTime) {
  std::atomic<int> inside = 0, most = 0;
  auto engine = start([&](const Event&, Step& step) -> Workflow<std::size_t> {
    std::vector<DeclaredStep<int>> parts;
    for (int i = 0; i < 20; ++i) {
      parts.push_back(step.do_("part", [&] {
        most = std::max(most.load(), ++inside);
        std::this_thread::yield();
        return --inside;
      }));
    }
    auto all = step.do_("all", depends(parts), {.max_concurrency = 1},
                        [](const std::vector<int>& results) { return results.size(); });
    co_return co_await all;
  });
  EXPECT_EQ(engine->create("test").result<std::size_t>(), 20U);
  EXPECT_EQ(most, 1);
}

TEST_F(CppDag, S34_AStepThatWasAwaitedBeforeIsNotRunAgainForItsDependents) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<std::string> {
    auto early = step.do_("early", body("early"));
    const std::string result = co_await early;
    auto late = step.do_("late", depends(early), [&](const std::string& from) { return from + result; });
    co_return co_await late;
  });
  EXPECT_EQ(engine->create("test").result<std::string>(), "earlyearly");
  EXPECT_EQ(order_, std::vector<std::string>{"early"});
}

TEST_F(CppDag, S34_AStepThatStillRunsIsSharedWithThoseThatComeToDependOnIt) {
  Door door;
  auto engine = start([&](const Event&, Step& step) -> Workflow<std::string> {
    auto shared = step.do_("shared", [&] {
      ran("shared");
      door.pass();
      return "shared";
    });
    struct Late {
      static Workflow<std::string> run(const DeclaredStep<std::string>& shared, Door& door, Step& step) {
        auto dependent = step.do_("dependent", depends(shared), [](const std::string& from) { return from + "!"; });
        door.open();
        co_return co_await dependent;
      }
    };
    auto [direct, late] = co_await when_all(shared, Late::run(shared, door, step));
    co_return direct + late;
  });
  EXPECT_EQ(engine->create("test").result<std::string>(), "sharedshared!");
  EXPECT_EQ(order_, std::vector<std::string>{"shared"});
}

TEST_F(CppDag, S35_AFailedDependencyFailsItsDependentsWithoutRunningThem) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<std::string> {
    auto bad = step.do_("bad", {.retries = {.limit = 0}}, [&]() -> int {
      ran("bad");
      throw std::runtime_error("broken");
    });
    auto middle = step.do_("middle", depends(bad), [&](int number) {
      ran("middle");
      return number;
    });
    auto last = step.do_("last", depends(middle), [&](int number) {
      ran("last");
      return number;
    });
    try {
      co_await last;
    } catch (const DependencyError& error) {
      const Failure& cause = *failure_of(error)->cause;
      co_return std::string(error.what()) + "|" + cause.type + "|" + cause.message;
    }
    co_return "no failure";
  });
  auto instance = engine->create("test");
  const auto message = instance.result<std::string>();
  EXPECT_NE(message.find("'last'"), std::string::npos) << message;
  EXPECT_NE(message.find("'middle'"), std::string::npos) << message;
  EXPECT_NE(message.find("|std::runtime_error|broken"), std::string::npos) << message;
  EXPECT_EQ(order_, std::vector<std::string>{"bad"});
  EXPECT_EQ(instance.steps().size(), 3U);
}

TEST_F(CppDag, S35_TheFailureComesWhenNothingThatTheCallStartedRunsAnyMore) {
  std::atomic<bool> bad_ended = false, slow_ended = false;
  auto engine = start([&](const Event&, Step& step) -> Workflow<bool> {
    try {
      std::string local = "alive";
      auto slow = step.do_("slow", [&] {
        bad_ended.wait(false);
        local += "!";
        slow_ended = true;
        return local;
      });
      auto bad = step.do_("bad", {.retries = {.limit = 0}}, [&]() -> int {
        bad_ended = true;
        bad_ended.notify_all();
        throw std::runtime_error("broken");
      });
      auto after_slow = step.do_("after slow", depends(slow), [](const std::string& from) { return from; });
      auto both = step.do_("both", depends(bad, after_slow), [](int, const std::string&) {});
      co_await both;
    } catch (const DependencyError&) { co_return slow_ended.load(); }
    co_return false;
  });
  EXPECT_TRUE(engine->create("test").result<bool>());
}

TEST_F(CppDag, S35_AStepOfAnotherInstanceIsNoDependency) {
  std::optional<DeclaredStep<int>> foreign;
  auto engine = start([&](const Event& event, Step& step) -> Workflow<std::string> {
    if (event.instance_id == "owner") {
      foreign = step.do_("foreign", [] { return 1; });
      co_await step.wait_for_event<int>("go", "go");
      co_return "";
    }
    try {
      auto dependent = step.do_("dependent", depends(*foreign), [](int number) { return number; });
      co_await dependent;
    } catch (const DependencyError& error) { co_return error.what(); }
    co_return "no failure";
  });
  auto owner = engine->create("test", {}, {.id = "owner"});
  wait_until(owner, Status::waiting);
  const auto message = engine->create("test").result<std::string>();
  EXPECT_NE(message.find("'foreign' of another instance"), std::string::npos) << message;
  owner.send_event("go", 1);
  owner.result();
}

TEST_F(CppDag, S36_AwaitingADeclaredStepTwiceIsTwoSteps) {
  auto engine = start([](const Event&, Step& step) -> Workflow<std::vector<std::uint32_t>> {
    auto base = step.do_("base", [] { return 1; });
    auto counted = step.do_("counted", depends(base), [](int, StepContext& context) { return context.count(); });
    auto plain = step.do_("plain", [](StepContext& context) { return context.count(); });
    std::vector<std::uint32_t> counts;
    for (int i = 0; i < 2; ++i) counts.push_back(co_await counted);
    for (int i = 0; i < 2; ++i) counts.push_back(co_await plain);
    co_return counts;
  });
  auto instance = engine->create("test");
  EXPECT_EQ(instance.result<std::vector<std::uint32_t>>(), (std::vector<std::uint32_t>{1, 2, 1, 2}));
  EXPECT_EQ(instance.steps().size(), 5U);
}

TEST_F(CppDag, S36_ANameThatIsDeclaredAgainIsANewStepAndDependentsKeepTheirs) {
  auto engine = start([](const Event&, Step& step) -> Workflow<std::vector<int>> {
    std::vector<DeclaredStep<int>> doubled;
    for (int i = 1; i <= 3; ++i) {
      auto load = step.do_("load", [i] { return i; });
      doubled.push_back(step.do_("double", depends(load), [](int number) { return number * 2; }));
    }
    co_return co_await when_all(doubled);
  });
  EXPECT_EQ(engine->create("test").result<std::vector<int>>(), (std::vector<int>{2, 4, 6}));
}

TEST_F(CppDag, S37_TheEdgesOfTheGraphThatRanAreRecorded) {
  auto engine = start([&](const Event&, Step& step) -> Workflow<void> {
    auto top = step.do_("top", body("top"));
    auto left = step.do_("left", depends(top), body("left"));
    auto bottom = step.do_("bottom", depends(left, top), body("bottom"));
    co_await bottom;
  });
  auto instance = engine->create("test");
  instance.result();
  std::map<std::string, std::uint32_t> numbers;
  std::map<std::string, std::vector<std::uint32_t>> depends_on;
  for (const StepInfo& info : instance.steps()) {
    numbers[info.name] = info.number;
    depends_on[info.name] = info.depends;
  }
  EXPECT_EQ(depends_on["top"], std::vector<std::uint32_t>{});
  EXPECT_EQ(depends_on["left"], std::vector<std::uint32_t>{numbers["top"]});
  EXPECT_EQ(depends_on["bottom"], (std::vector<std::uint32_t>{numbers["left"], numbers["top"]}));
}

TEST_F(CppDag, S7_AGraphThatWasInterruptedRunsOnlyWhatIsMissing) {
  std::atomic<bool> first_life = true;
  std::atomic<int> stuck = 0;
  const auto code = [&](const Event&, Step& step) -> Workflow<std::string> {
    auto done = step.do_("done", body("done"));
    auto interrupted = step.do_("interrupted", depends(done), [&](const std::string& from, StepContext& context) {
      if (first_life) {
        stuck = 1;
        stuck.notify_all();
        while (!context.cancelled()) std::this_thread::yield();
        throw std::runtime_error("cancelled");
      }
      ran("interrupted");
      return from + " interrupted";
    });
    auto last = step.do_("last", depends(interrupted, done), [&](const std::string& a, const std::string& b) {
      ran("last");
      return a + " " + b;
    });
    co_return co_await last;
  };
  auto engine = start(code);
  engine->create("test", {}, {.id = "one"});
  stuck.wait(0);
  engine->close();
  first_life = false;
  engine = start(code);
  EXPECT_EQ(engine->get("test", "one").result<std::string>(), "done interrupted done");
  EXPECT_EQ(order_, (std::vector<std::string>{"done", "interrupted", "last"}));
}

}  // namespace
}  // namespace workflows::testing
