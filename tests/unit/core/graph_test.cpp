#include "engine/core/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace workflows::core {
namespace {

using Node = Graph::Node;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Declares steps by name and plays the host: runs what is ready, remembers what ran.
class GraphTest : public testing::Test {
 protected:
  Node step(const std::string& name, std::vector<Node> depends = {}) {
    const Node node = graph_.declare(name);
    EXPECT_TRUE(graph_.connect(node, std::move(depends)).has_value());
    return node;
  }

  Node call(Node node, std::uint32_t width, bool fresh = false) {
    const auto answer = graph_.call(node, width, fresh);
    EXPECT_TRUE(answer.has_value()) << answer.error().message;
    return answer.value_or(node);
  }

  // What starts now: "name", or "name!dependency" when it starts only to fail.
  std::vector<std::string> ready() {
    std::vector<std::string> names;
    for (const auto& start : graph_.take_ready()) {
      const std::string failed = start.has_failed_dependency ? "!" + graph_.name(start.failed_dependency) : "";
      names.push_back(graph_.name(start.node) + failed);
    }
    return names;
  }

  // Runs to the end, one step at a time; names of the steps in `failing` fail.
  std::vector<std::string> run_all(const std::set<std::string>& failing = {}) {
    std::vector<std::string> log;
    std::vector<Graph::Start> running = graph_.take_ready();
    while (!running.empty()) {
      const Graph::Start start = running.front();
      running.erase(running.begin());
      const std::string& name = graph_.name(start.node);
      log.push_back(start.has_failed_dependency ? name + "!" + graph_.name(start.failed_dependency) : name);
      graph_.finished(start.node, !start.has_failed_dependency && !failing.contains(name));
      std::ranges::copy(graph_.take_ready(), std::back_inserter(running));
    }
    return log;
  }

  Graph graph_;
};

TEST_F(GraphTest, NothingRunsBeforeItIsCalled) {
  step("b", {step("a")});
  EXPECT_THAT(ready(), IsEmpty());
}

TEST_F(GraphTest, S34_AStepRunsOnceAllThatItDependsOnHasCompleted) {
  const Node a = step("a");
  const Node b = step("b");
  const Node c = step("c", {a, b});
  EXPECT_EQ(call(c, 0), c);
  EXPECT_THAT(ready(), ElementsAre("a", "b"));
  graph_.finished(b, true);
  EXPECT_THAT(ready(), IsEmpty());
  graph_.finished(a, true);
  EXPECT_THAT(ready(), ElementsAre("c"));
  graph_.finished(c, true);
  EXPECT_THAT(ready(), IsEmpty());
}

// Defect 1 of the original: the top of a diamond ran twice.
TEST_F(GraphTest, S34_ADiamondRunsItsTopOnce) {
  const Node base = step("base");
  const Node top = step("top", {base});
  const Node join = step("join", {step("left", {top}), step("right", {top})});
  call(join, 0);
  EXPECT_THAT(run_all(), ElementsAre("base", "top", "left", "right", "join"));
}

// Defect 2: gathering the same step twice broke.
TEST_F(GraphTest, S36_TwoDirectCallsAreTwoRunsOverOneRunOfTheDependencies) {
  const Node base = step("base");
  const Node s = step("s", {base});
  EXPECT_EQ(call(s, 0), s);
  const Node second = call(s, 0);
  EXPECT_NE(second, s);
  EXPECT_EQ(graph_.name(second), "s");
  EXPECT_EQ(graph_.depends(second), std::vector{base});
  EXPECT_THAT(run_all(), ElementsAre("base", "s", "s"));
}

// Defect 3: redeclaring a name in a loop kept the first result.
TEST_F(GraphTest, S36_DependentsBindToStepsNotToNames) {
  std::vector<std::string> log;
  for (int i = 0; i < 3; ++i) {
    const Node load = step("load");
    call(step("use", {load}), 1);
    std::ranges::copy(run_all(), std::back_inserter(log));
  }
  EXPECT_THAT(log, ElementsAre("load", "use", "load", "use", "load", "use"));
}

// Defect 4: a failed dependency ran again for each dependent.
TEST_F(GraphTest, S35_AFailedDependencyFailsEachDependentOnceAndRunsOnce) {
  const Node a = step("a");
  const Node left = step("left", {a});
  const Node right = step("right", {a});
  call(left, 1);
  call(right, 1);
  EXPECT_THAT(run_all({"a"}), ElementsAre("a", "left!a", "right!a"));
}

TEST_F(GraphTest, S35_AFailureTravelsDownToTheCallThroughEveryDependent) {
  const Node a = step("a");
  const Node c = step("c", {step("b", {a})});
  call(c, 0);
  EXPECT_THAT(run_all({"a"}), ElementsAre("a", "b!a", "c!b"));
}

TEST_F(GraphTest, S35_WhatOnlyADoomedCallNeedsIsNotStarted) {
  const Node bad = step("bad");
  const Node join = step("join", {bad, step("later"), step("last", {step("before last")})});
  call(join, 1);
  EXPECT_THAT(run_all({"bad"}), ElementsAre("bad", "join!bad"));
}

TEST_F(GraphTest, S35_WhatAnotherCallNeedsRunsAllTheSame) {
  const Node bad = step("bad");
  const Node good = step("good", {step("shared")});
  call(step("join", {bad, good}), 1);
  EXPECT_THAT(ready(), ElementsAre("bad"));
  graph_.finished(bad, false);
  call(good, 1);
  EXPECT_THAT(run_all(), ElementsAre("join!bad", "shared", "good"));
}

TEST_F(GraphTest, S35_RunningStepsEndInTheirOwnTimeAfterAFailureBesideThem) {
  const Node bad = step("bad");
  const Node slow = step("slow");
  const Node join = step("join", {bad, slow});
  call(join, 0);
  EXPECT_THAT(ready(), ElementsAre("bad", "slow"));
  graph_.finished(bad, false);
  EXPECT_THAT(ready(), ElementsAre("join!bad"));
  graph_.finished(join, false);
  graph_.finished(slow, true);
  EXPECT_THAT(ready(), IsEmpty());
}

TEST_F(GraphTest, S35_AStepCalledAfterItsDependencyFailedFailsAtOnce) {
  const Node a = step("a");
  call(a, 1);
  run_all({"a"});
  call(step("b", {step("other"), a}), 1);
  EXPECT_THAT(run_all(), ElementsAre("b!a"));
}

TEST_F(GraphTest, S35_TheFirstFailedDependencyInTheirOrderIsNamed) {
  const Node x = step("x");
  const Node y = step("y");
  call(x, 0);
  call(y, 0);
  run_all({"x", "y"});
  call(step("join", {y, x}), 0);
  EXPECT_THAT(run_all(), ElementsAre("join!y"));
}

TEST_F(GraphTest, S36_AFurtherCallOfAFailedStepIsARunOfItsOwn) {
  const Node a = step("a");
  call(a, 1);
  EXPECT_THAT(run_all({"a"}), ElementsAre("a"));
  const Node again = call(a, 1);
  EXPECT_NE(again, a);
  EXPECT_THAT(run_all(), ElementsAre("a"));
}

TEST_F(GraphTest, TheFirstDirectCallJoinsTheRunThatDependentsStarted) {
  const Node a = step("a");
  call(step("b", {a}), 1);
  EXPECT_THAT(run_all(), ElementsAre("a", "b"));
  EXPECT_EQ(call(a, 1), a);
  EXPECT_THAT(ready(), IsEmpty());
  EXPECT_NE(call(a, 1), a);
  EXPECT_THAT(run_all(), ElementsAre("a"));
}

TEST_F(GraphTest, ACallWithArgumentsNeverJoinsAndLeavesTheSharedRunToOthers) {
  const Node a = step("a");
  const Node own = call(a, 1, true);
  EXPECT_NE(own, a);
  EXPECT_EQ(call(a, 1), a);
  EXPECT_THAT(run_all(), ElementsAre("a", "a"));
}

TEST_F(GraphTest, S34_WidthOneRunsDepthFirstInOrderOfTheDependencies) {
  const Node x = step("x", {step("x1"), step("x2")});
  const Node y = step("y", {step("y1")});
  call(step("z", {x, y}), 1);
  EXPECT_THAT(ready(), ElementsAre("x1"));
  EXPECT_THAT(ready(), IsEmpty());
  graph_.finished(graph_.depends(x)[0], true);
  EXPECT_THAT(run_all(), ElementsAre("x2", "x", "y1", "y", "z"));
}

TEST_F(GraphTest, S34_WidthBoundsTheWholeSubgraphOfACall) {
  std::vector<Node> leaves;
  for (int i = 0; i < 5; ++i) leaves.push_back(step("leaf" + std::to_string(i), {step("base" + std::to_string(i))}));
  call(step("join", leaves), 2);
  EXPECT_THAT(ready(), ElementsAre("base0", "base1"));
  graph_.finished(graph_.depends(leaves[1])[0], true);
  EXPECT_THAT(ready(), ElementsAre("leaf1"));
  graph_.finished(leaves[1], true);
  EXPECT_THAT(ready(), ElementsAre("base2"));
}

TEST_F(GraphTest, ANarrowCallDoesNotHoldUpAnotherOne) {
  const Node first = step("first");
  const Node wanted = step("wanted");
  call(step("narrow", {first, wanted}), 1);
  EXPECT_THAT(ready(), ElementsAre("first"));
  call(wanted, 1);
  EXPECT_THAT(ready(), ElementsAre("wanted"));
}

TEST_F(GraphTest, WhatAnotherCallRunsTakesNoHandOfThisOne) {
  const Node a = step("a");
  const Node b = step("b");
  const Node c = step("c", {a, b});
  call(a, 1);
  EXPECT_THAT(ready(), ElementsAre("a"));
  call(c, 1);
  EXPECT_THAT(ready(), ElementsAre("b"));
  graph_.finished(a, true);
  EXPECT_THAT(ready(), IsEmpty());
  graph_.finished(b, true);
  EXPECT_THAT(ready(), ElementsAre("c"));
}

TEST_F(GraphTest, AnUnboundedCallDoesNotWaitForANarrowOne) {
  const std::vector<Node> leaves = {step("leaf 1"), step("leaf 2"), step("leaf 3")};
  call(step("narrow", leaves), 1);
  EXPECT_THAT(ready(), ElementsAre("leaf 1"));
  call(step("wide", leaves), 0);
  EXPECT_THAT(ready(), ElementsAre("leaf 2", "leaf 3"));
}

TEST_F(GraphTest, S35_WhatADoomedCallHadTakenOnIsRunForOthers) {
  const Node slow = step("slow");
  const Node bad = step("bad");
  const Node shared = step("shared", {slow});
  const Node other = step("other", {shared});
  call(step("join", {shared, bad}), 2);
  EXPECT_THAT(ready(), ElementsAre("slow", "bad"));
  call(other, 1);
  graph_.finished(bad, false);
  EXPECT_THAT(ready(), ElementsAre("join!bad"));
  graph_.finished(slow, true);
  EXPECT_THAT(ready(), ElementsAre("shared"));
  graph_.finished(shared, true);
  EXPECT_THAT(ready(), ElementsAre("other"));
}

TEST_F(GraphTest, S35_WhatWasLetGoRunsWhenItIsCalledAfterAll) {
  const Node bad = step("bad");
  const Node later = step("later", {step("base")});
  call(step("join", {bad, later}), 1);
  EXPECT_THAT(run_all({"bad"}), ElementsAre("bad", "join!bad"));
  EXPECT_EQ(call(later, 1), later);
  EXPECT_THAT(run_all(), ElementsAre("base", "later"));
}

TEST_F(GraphTest, ADependencyNamedTwiceRunsOnce) {
  const Node a = step("a");
  call(step("b", {a, a}), 0);
  EXPECT_THAT(run_all(), ElementsAre("a", "b"));
}

TEST_F(GraphTest, S35_ACycleIsRefusedWithItsPathAndChangesNothing) {
  const Node a = graph_.declare("a");
  const Node b = step("b", {a});
  const Node c = step("c", {b});
  ASSERT_TRUE(graph_.connect(a, {c}));
  const Node d = step("d", {step("fine"), c});
  const auto refused = graph_.call(d, 0, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::dependency);
  EXPECT_THAT(refused.error().message, HasSubstr("c -> b -> a -> c"));
  EXPECT_THAT(ready(), IsEmpty());
  ASSERT_TRUE(graph_.connect(a, {}));
  EXPECT_EQ(call(d, 1), d);
  EXPECT_THAT(run_all(), ElementsAre("fine", "a", "b", "c", "d"));
}

TEST_F(GraphTest, S35_AStepThatDependsOnItselfIsACycle) {
  const Node a = graph_.declare("a");
  ASSERT_TRUE(graph_.connect(a, {a}));
  EXPECT_THAT(graph_.call(a, 1, true).error().message, HasSubstr("a -> a"));
  EXPECT_EQ(step("next"), a + 1) << "a refused call leaves no node behind";
}

TEST_F(GraphTest, S35_AnUnknownDependencyIsRefused) {
  const Node a = step("a");
  const auto refused = graph_.connect(a, {99});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::dependency);
  EXPECT_THAT(refused.error().message, HasSubstr("\"a\""));
  EXPECT_THAT(graph_.depends(a), IsEmpty());
  EXPECT_EQ(graph_.connect(99, {}).error().code, ErrorCode::dependency);
  EXPECT_EQ(graph_.call(99, 1, false).error().code, ErrorCode::dependency);
}

TEST_F(GraphTest, DependenciesCannotChangeOnceACallNeedsThem) {
  const Node a = step("a");
  const Node b = step("b", {a});
  call(b, 1);
  const auto refused = graph_.connect(a, {step("c")});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::dependency);
  EXPECT_THAT(refused.error().message, HasSubstr("\"a\""));
}

TEST_F(GraphTest, FinishingWhatDoesNotRunIsABrokenInvariant) {
  const Node a = step("a");
  EXPECT_THROW(graph_.finished(a, true), std::logic_error);
  call(a, 1);
  run_all();
  EXPECT_THROW(graph_.finished(a, true), std::logic_error);
}

TEST_F(GraphTest, AChainOfTenThousandRunsInOrder) {
  Node last = step("0");
  for (int i = 1; i < 10'000; ++i) last = step(std::to_string(i), {last});
  call(last, 1);
  const auto log = run_all();
  ASSERT_EQ(log.size(), 10'000u);
  for (std::size_t i = 0; i < log.size(); ++i) ASSERT_EQ(log[i], std::to_string(i));
}

TEST_F(GraphTest, AChainOfTenThousandFailsToItsEnd) {
  Node last = step("0");
  for (int i = 1; i < 10'000; ++i) last = step(std::to_string(i), {last});
  call(last, 1);
  const auto log = run_all({"0"});
  ASSERT_EQ(log.size(), 10'000u);
  EXPECT_EQ(log.back(), "9999!9998");
}

TEST_F(GraphTest, ACircleOfTenThousandIsFound) {
  const Node first = graph_.declare("0");
  Node last = first;
  for (int i = 1; i < 10'000; ++i) last = step(std::to_string(i), {last});
  ASSERT_TRUE(graph_.connect(first, {last}));
  EXPECT_FALSE(graph_.call(last, 0, false));
}

TEST_F(GraphTest, TenThousandSidesStartAtOnceAndJoinOnce) {
  std::vector<Node> sides;
  const Node base = step("base");
  for (int i = 0; i < 10'000; ++i) sides.push_back(step("side", {base}));
  call(step("join", sides), 0);
  EXPECT_THAT(ready(), ElementsAre("base"));
  graph_.finished(base, true);
  EXPECT_EQ(ready().size(), 10'000u);
  for (const Node side : sides) graph_.finished(side, true);
  EXPECT_THAT(ready(), ElementsAre("join"));
}

// One call walks the chain for all: the others cost nothing.
TEST_F(GraphTest, EveryStepOfAChainOfTenThousandIsCalledFromTheLastOn) {
  std::vector<Node> chain = {step("0")};
  for (int i = 1; i < 10'000; ++i) chain.push_back(step(std::to_string(i), {chain.back()}));
  for (auto node = chain.rbegin(); node != chain.rend(); ++node) call(*node, 1);
  const auto log = run_all();
  ASSERT_EQ(log.size(), 10'000u);
  EXPECT_EQ(log.back(), "9999");
}

TEST_F(GraphTest, TenThousandDirectCallsOverOneDependency) {
  const Node base = step("base");
  for (int i = 0; i < 10'000; ++i) call(step("s", {base}), 1);
  const auto log = run_all();
  EXPECT_EQ(log.size(), 10'001u);
  EXPECT_EQ(log.front(), "base");
}

// ---- against the rules of S34-S36, worked out anew after every move

class Rules {
 public:
  enum class State : std::uint8_t { idle, running, doomed, completed, failed };

  void declare(std::vector<Node> depends) {
    depends_.push_back(std::move(depends));
    states_.push_back(State::idle);
    called_.push_back(false);
  }

  // The node that answers the call.
  Node call(Node node, std::uint32_t width, bool fresh) {
    Node root = node;
    if (fresh || called_[node]) {
      root = static_cast<Node>(depends_.size());
      declare(std::vector<Node>(depends_[node]));
    } else {
      called_[node] = true;
    }
    calls_.push_back({root, width});
    return root;
  }

  void set(Node node, State state) { states_[node] = state; }
  State state(Node node) const { return states_[node]; }

  bool startable(Node node) const {
    return states_[node] == State::idle &&
           std::ranges::all_of(depends_[node], [&](Node other) { return states_[other] == State::completed; });
  }

  // Idle nodes that an unanswered call needs, each after all that it depends on. Only unbounded calls count, if so
  // asked.
  enum class Which : std::uint8_t { all_calls, unbounded_calls };
  std::vector<Node> needed(Which which = Which::all_calls) const {
    std::vector<Node> nodes;
    for (const auto& [root, width] : calls_) {
      if (which == Which::all_calls || width == 0) collect(root, nodes);
    }
    return nodes;
  }

  // Needed nodes with a failed dependency.
  std::set<Node> doomed() const {
    std::set<Node> nodes;
    for (const Node node : needed()) {
      if (std::ranges::any_of(depends_[node], [&](Node other) { return states_[other] == State::failed; })) {
        nodes.insert(node);
      }
    }
    return nodes;
  }

 private:
  void collect(Node node, std::vector<Node>& nodes) const {
    if (states_[node] != State::idle || std::ranges::find(nodes, node) != nodes.end()) return;
    for (const Node dependency : depends_[node]) collect(dependency, nodes);
    nodes.push_back(node);
  }

  std::vector<std::vector<Node>> depends_;
  std::vector<State> states_;
  std::vector<bool> called_;
  std::vector<std::pair<Node, std::uint32_t>> calls_;
};

using State = Rules::State;

// A random graph, called and run at random; every move is held against the rules.
class RandomGraph {
 public:
  explicit RandomGraph(std::uint64_t seed) : random_(seed) {
    declared_ = 1 + pick(12);
    for (Node node = 0; node < declared_; ++node) {
      std::vector<Node> depends;
      for (Node other = 0; other < node; ++other) {
        if (pick(100) < 30) depends.push_back(other);
      }
      std::ranges::shuffle(depends, random_);
      graph_.declare(std::to_string(node));
      EXPECT_TRUE(graph_.connect(node, depends));
      rules_.declare(depends);
    }
  }

  void run_overlapping_calls() {
    for (int turn = 0; turn < 60; ++turn) {
      if (running_.empty() || pick(3) == 0) {
        call(pick(4));
      } else {
        finish();
      }
      take();
    }
    while (!running_.empty()) {
      finish();
      take();
    }
    ASSERT_TRUE(rules_.needed().empty()) << "a call was left without an answer";
  }

  // With one call at a time it is fixed which node starts when: the first, in the order of the dependencies, that can.
  void run_single_calls() {
    for (int turn = 0; turn < 6; ++turn) {
      const std::uint32_t width = pick(4);
      const std::uint32_t hands = width == 0 ? 1000 : width;
      call(width);
      take_in_order(hands);
      while (!running_.empty()) {
        finish();
        take_in_order(hands);
      }
    }
  }

 private:
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }

  void call(std::uint32_t width) {
    const Node node = pick(declared_);
    const bool fresh = pick(5) == 0;
    ASSERT_EQ(graph_.call(node, width, fresh).value(), rules_.call(node, width, fresh));
    hands_ += width == 0 ? 1000 : width;
  }

  void finish() {
    const auto at = running_.begin() + pick(static_cast<std::uint32_t>(running_.size()));
    const Node node = *at;
    running_.erase(at);
    const bool ok = rules_.state(node) == State::running && pick(100) < 85;
    graph_.finished(node, ok);
    rules_.set(node, ok ? State::completed : State::failed);
  }

  void take() {
    const std::set<Node> doomed = rules_.doomed();
    const std::vector<Node> needed = rules_.needed();
    std::set<Node> started_doomed;
    for (const auto& start : graph_.take_ready()) {
      ASSERT_EQ(rules_.state(start.node), State::idle) << "started twice";
      ASSERT_NE(std::ranges::find(needed, start.node), needed.end()) << "nobody needs it";
      ASSERT_TRUE(start.has_failed_dependency || rules_.startable(start.node)) << "too early";
      if (start.has_failed_dependency) {
        ASSERT_EQ(rules_.state(start.failed_dependency), State::failed);
        started_doomed.insert(start.node);
      }
      rules_.set(start.node, start.has_failed_dependency ? State::doomed : State::running);
      running_.push_back(start.node);
    }
    ASSERT_EQ(started_doomed, doomed);
    ASSERT_LE(count_running(), hands_);
    for (const Node node : rules_.needed(Rules::Which::unbounded_calls)) {
      ASSERT_FALSE(rules_.startable(node)) << "an unbounded call waits for nothing";
    }
  }

  void take_in_order(std::uint32_t hands) {
    const std::set<Node> doomed = rules_.doomed();
    for (const Node node : doomed) rules_.set(node, State::doomed);
    std::vector<Node> expected(doomed.begin(), doomed.end());
    for (const Node node : rules_.needed()) {
      if (count_running() + expected.size() - doomed.size() < hands && rules_.startable(node)) expected.push_back(node);
    }
    std::vector<Node> started;
    for (const auto& start : graph_.take_ready()) {
      started.push_back(start.node);
      if (!start.has_failed_dependency) rules_.set(start.node, State::running);
    }
    std::ranges::sort(started.begin(), started.begin() + static_cast<std::ptrdiff_t>(doomed.size()));
    ASSERT_EQ(started, expected);
    running_.insert(running_.end(), started.begin(), started.end());
  }

  std::size_t count_running() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(running_, [&](Node node) { return rules_.state(node) == State::running; }));
  }

  std::mt19937_64 random_;
  Graph graph_;
  Rules rules_;
  std::uint32_t declared_ = 0;
  std::size_t hands_ = 0;  // of all calls together
  std::vector<Node> running_;
};

TEST(RandomGraphTest, S34_S36_OverlappingCallsFollowTheRules) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    RandomGraph(seed).run_overlapping_calls();
    if (testing::Test::HasFatalFailure()) FAIL() << "seed " << seed;
  }
}

TEST(RandomGraphTest, S34_ACallStartsTheFirstThatCanWithinItsWidth) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    RandomGraph(seed).run_single_calls();
    if (testing::Test::HasFatalFailure()) FAIL() << "seed " << seed;
  }
}

}  // namespace
}  // namespace workflows::core
