// Code that no longer does what its history says (S39), guarded changes and versions (S40), replay alone (S41).

#include <boost/json.hpp>

#include "tests/unit/core/code_player.h"

namespace workflows::core {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// ---------------------------------------------------------------- the table

struct Change {
  std::string what;
  Code before;
  Code now;
  std::optional<std::size_t> kept{};  // entries of the history; absent: all but the end
  std::string verdict;                // "complete", or what the history has and the code does not ask for
};

void PrintTo(const Change& change, std::ostream* out) { *out << change.what; }

const Code kThree = {{step("a"), step("b"), step("c")}};

std::string verdict_of(const CodePlayer& player) {
  if (player.end != "paused") return player.end;
  const auto report = boost::json::parse(player.told).as_object();
  const auto& missing = report.at("recorded").as_object();
  return std::string(missing.at("kind").as_string()) + " " + std::string(missing.at("name").as_string()) + "#" +
         std::to_string(missing.at("count").to_number<int>());
}

class DivergenceTable : public testing::TestWithParam<Change> {};

TEST_P(DivergenceTable, S39_ACodeChangeHasThisVerdict) {
  const Change& change = GetParam();
  CodePlayer player(change.now, history_of(change.before, change.kept));
  player.play();
  EXPECT_EQ(verdict_of(player), change.verdict) << player.told;
}

INSTANTIATE_TEST_SUITE_P(
    Changes, DivergenceTable,
    testing::Values(
        Change{.what = "nothing", .before = kThree, .now = kThree, .verdict = "complete"},
        Change{.what = "a step at the end, where the history has ended",
               .before = kThree,
               .now = {{step("a"), step("b"), step("c"), step("d")}},
               .verdict = "complete"},
        Change{.what = "another step where the history has ended",
               .before = kThree,
               .now = {{step("a"), step("b"), step("x")}},
               .kept = 2,
               .verdict = "complete"},
        Change{.what = "the first step renamed",
               .before = kThree,
               .now = {{step("x"), step("b"), step("c")}},
               .verdict = "do a#1"},
        Change{.what = "a step renamed",
               .before = kThree,
               .now = {{step("a"), step("x"), step("c")}},
               .verdict = "do b#1"},
        Change{.what = "the last step renamed",
               .before = kThree,
               .now = {{step("a"), step("b"), step("x")}},
               .verdict = "do c#1"},
        Change{.what = "an open sleep renamed",
               .before = {{step("a"), nap("nap")}},
               .now = {{step("a"), nap("rest")}},
               .kept = 2,
               .verdict = "sleep nap#1"},
        Change{.what = "an open wait renamed",
               .before = {{event("a")}},
               .now = {{event("b")}},
               .verdict = "wait_for_event a#1"},
        Change{.what = "a step removed", .before = kThree, .now = {{step("a"), step("c")}}, .verdict = "do b#1"},
        Change{.what = "the last step removed", .before = kThree, .now = {{step("a"), step("b")}}, .verdict = "do c#1"},
        Change{.what = "every step removed", .before = kThree, .now = {{}}, .verdict = "do a#1"},
        Change{.what = "a step inserted",
               .before = kThree,
               .now = {{step("a"), step("x"), step("b"), step("c")}},
               .verdict = "do b#1"},
        Change{.what = "a step inserted before all",
               .before = kThree,
               .now = {{step("x"), step("a"), step("b"), step("c")}},
               .verdict = "do a#1"},
        Change{.what = "two steps reordered",
               .before = kThree,
               .now = {{step("b"), step("a"), step("c")}},
               .verdict = "do a#1"},
        Change{.what = "a step that became a sleep",
               .before = kThree,
               .now = {{step("a"), nap("b"), step("c")}},
               .verdict = "do b#1"},
        Change{.what = "a sleep that became a wait",
               .before = {{nap("a"), step("b")}},
               .now = {{event("a"), step("b")}},
               .verdict = "sleep a#1"},
        Change{.what = "a loop that is longer, and its history has ended in it",
               .before = {repeat(3, step("a"))},
               .now = {repeat(5, step("a"))},
               .verdict = "complete"},
        Change{.what = "a loop that is longer, and its history went on after it",
               .before = {{step("a"), step("a"), step("b")}},
               .now = {{step("a"), step("a"), step("a"), step("b")}},
               .verdict = "do b#1"},
        Change{.what = "a loop that is shorter",
               .before = {repeat(3, step("a"))},
               .now = {repeat(2, step("a"))},
               .verdict = "do a#3"},
        Change{.what = "a branch more",
               .before = {{step("a"), step("b")}},
               .now = {{step("a"), step("b")}, {step("x")}},
               .verdict = "complete"},
        Change{.what = "a branch less",
               .before = {{step("a"), step("b")}, {step("x")}},
               .now = {{step("a"), step("b")}},
               .verdict = "do x#1"},
        Change{.what = "branches in another order",
               .before = {{step("a"), step("b")}, {step("x"), step("y")}},
               .now = {{step("x"), step("y")}, {step("a"), step("b")}},
               .verdict = "complete"},
        Change{.what = "an edge of the graph that leads to another step",
               .before = {{step("a")}, {step("b")}, {after("c", {"a"})}},
               .now = {{step("a")}, {step("b")}, {after("c", {"b"})}},
               .verdict = "complete"},
        Change{.what = "an edge of the graph more, to a step that comes later",
               .before = {{step("a"), step("b")}, {after("c", {"a"})}},
               .now = {{step("a"), step("b")}, {after("c", {"b"})}},
               .verdict = "do c#1"},
        Change{.what = "a value from outside that is not asked for any more",
               .before = {{recorded("now"), step("a")}},
               .now = {{step("a")}},
               .verdict = "value now#1"},
        Change{.what = "a value from outside that is new",
               .before = {{step("a"), step("b")}},
               .now = {{recorded("now"), step("a"), step("b")}},
               .verdict = "complete"},
        Change{.what = "a guarded step, in an instance that had passed the place",
               .before = kThree,
               .now = {{step("a"), guard("new", {step("x")}, {}), step("b"), step("c")}},
               .verdict = "complete"},
        Change{.what = "a guarded step, in an instance that had not come there",
               .before = kThree,
               .now = {{step("a"), step("b"), guard("new", {step("x")}, {}), step("c")}},
               .kept = 2,
               .verdict = "complete"},
        Change{.what = "a step that is guarded away, in an instance that had done it",
               .before = kThree,
               .now = {{step("a"), guard("new", {}, {step("b")}), step("c")}},
               .verdict = "complete"}));

// ---------------------------------------------------------------- guards (S40)

TEST(Patched, S40_AnInstanceThatHasPassedThePlaceGoesTheOldWayAndANewOneTheNewWay) {
  const Code code = {{step("a"), guard("new", {step("x")}, {step("b")}), step("c")}};
  CodePlayer old(code, history_of({{step("a"), step("b")}}));
  EXPECT_EQ(old.play(), "complete");
  EXPECT_EQ(old.bodies, (std::vector<std::string>{"c#1"}));
  CodePlayer fresh(code);
  EXPECT_EQ(fresh.play(), "complete");
  EXPECT_EQ(fresh.bodies, (std::vector<std::string>{"a#1", "x#1", "c#1"}));
}

TEST(Patched, S40_WhatItWasItStaysOverEveryLife) {
  const Code code = {{step("a"), guard("new", {step("x"), step("y")}, {step("b")}), step("c")}};
  for (const auto& start : {history_of({{step("a")}}), history_of({{step("a"), step("b")}})}) {
    CodePlayer undisturbed(code, start);
    ASSERT_EQ(undisturbed.play(), "complete");
    for (std::size_t cut = start.size(); cut < undisturbed.journal.size(); ++cut) {
      std::vector<Entry> history(undisturbed.journal.begin(),
                                 undisturbed.journal.begin() + static_cast<std::ptrdiff_t>(cut));
      CodePlayer next(code, std::move(history));
      EXPECT_EQ(next.play(), "complete") << cut << " " << next.told;
    }
  }
}

// ---------------------------------------------------------------- what follows from it

TEST(Divergence, S39_TheReportSaysWhatTheHistoryHasWhatTheCodeAsksAndThreeWaysOut) {
  CodePlayer player({{step("a"), step("x"), step("c")}}, history_of(kThree));
  player.play();
  const auto report = boost::json::parse(player.told).as_object();
  EXPECT_EQ(report.at("reason"), "diverged");
  EXPECT_EQ(report.at("position"), 1);
  EXPECT_EQ(report.at("asked").as_array().at(0).as_object().at("name"), "x");
  EXPECT_EQ(std::string(report.at("message").as_string()),
            "the code no longer does what the history of this instance says\n"
            "  after 1 outcomes\n"
            "  the history has  do 'b' #1, which has ended, asked for at b.cpp:1\n"
            "  the code asks    do 'x' #1 at x.cpp:1\n"
            "The step was renamed, removed or moved, or another one was put before it. Three ways out:\n"
            "  1. put the code back, so that it asks for do 'b' #1 here, and resume the instance\n"
            "  2. guard the change: `if step.patched(\"...\"):` new way, else the old one; then resume it\n"
            "  3. restart it from a step before the change, or from the beginning");
}

TEST(Divergence, S39_NoBodyRunsAndNothingButThePauseIsRecorded) {
  const auto history = history_of(kThree);
  CodePlayer player({{step("a"), step("x"), step("c")}, {step("y")}}, history);
  EXPECT_EQ(player.play(), "paused");
  EXPECT_THAT(player.bodies, IsEmpty());
  ASSERT_EQ(player.journal.size(), history.size() + 1);
  EXPECT_EQ(player.journal.back().kind, EntryKind::paused);
}

TEST(Divergence, S39_CodeThatWasPutBackGoesOn) {
  CodePlayer diverged({{step("a"), step("x"), step("c")}}, history_of(kThree));
  ASSERT_EQ(diverged.play(), "paused");
  auto history = diverged.journal;
  history.push_back({.kind = EntryKind::resumed, .at = kStart, .began = kStart});
  CodePlayer repaired(kThree, std::move(history));
  EXPECT_EQ(repaired.play(), "complete");
}

TEST(Divergence, S39_ThePolicyFailEndsTheInstanceWithADivergenceError) {
  CodePlayer player({{step("a"), step("x"), step("c")}}, history_of(kThree), {.determinism = Determinism::fail});
  EXPECT_EQ(player.play(), "errored");
  const Failure failure = Failure::from_json(player.told);
  EXPECT_EQ(failure.type, "DivergenceError");
  EXPECT_THAT(failure.message, HasSubstr("the history has  do 'b' #1"));
}

TEST(Divergence, S39_ThePolicyIgnoreGoesOnWithWhatTheCodeDoesNow) {
  CodePlayer player({{step("a"), step("x"), step("c")}}, history_of(kThree), {.determinism = Determinism::ignore});
  EXPECT_EQ(player.play(), "complete");
  EXPECT_EQ(player.bodies, (std::vector<std::string>{"x#1"}));
}

// ---------------------------------------------------------------- versions (S40)

TEST(Versions, S40_AVersionOfTheCodeThatIsNewToTheInstanceIsRecordedOnce) {
  Identity identity = kIdentity;
  identity.version = "1";
  identity.code_version = "2";
  const auto versions_of = [&](std::vector<Entry> history) {
    Instance instance(identity, {}, history, {});
    std::vector<Effect> effects;
    instance.take_effects(effects);
    std::vector<Entry> noted;
    for (const Effect& effect : effects) noted.push_back(std::get<Append>(effect).entry);
    return noted;
  };
  const auto first = versions_of({});
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].kind, EntryKind::version);
  EXPECT_EQ(first[0].value, "2");
  EXPECT_THAT(versions_of(first), IsEmpty());
  identity.code_version = "1";  // back again
  EXPECT_EQ(versions_of(first).size(), 1U);
}

// ---------------------------------------------------------------- replay alone (S41)

std::string replay_of(const Code& code, std::vector<Entry> history) {
  const std::size_t before = history.size();
  CodePlayer player(code, std::move(history), {.replay_only = true});
  EXPECT_EQ(player.play(), "paused");
  EXPECT_EQ(player.journal.size(), before) << "a replay writes nothing";
  EXPECT_THAT(player.bodies, IsEmpty()) << "a replay runs no body";
  return std::string(boost::json::parse(player.told).as_object().at("reason").as_string());
}

std::vector<Entry> ended(const Code& code) {
  CodePlayer player(code);
  player.play();
  return player.journal;
}

TEST(Replay, S41_TellsWhetherCodeDoesWhatAHistorySays) {
  EXPECT_EQ(replay_of(kThree, ended(kThree)), "match");
  EXPECT_EQ(replay_of(kThree, history_of(kThree)), "incomplete");
  EXPECT_EQ(replay_of(kThree, history_of(kThree, 2)), "incomplete");
  EXPECT_EQ(replay_of(kThree, {}), "incomplete");
  EXPECT_EQ(replay_of({{step("a"), step("x"), step("c")}}, ended(kThree)), "diverged");
  EXPECT_EQ(replay_of({{step("a"), step("b")}}, ended(kThree)), "diverged");
  EXPECT_EQ(replay_of({{step("a"), step("b"), step("c"), step("d")}}, ended(kThree)), "diverged");
}

TEST(Replay, S41_WhatWasRolledBackIsNotRolledBackAgain) {
  const std::string why = failure("E").to_json();
  const std::vector<Entry> history = {
      {.kind = EntryKind::step_completed, .step_kind = StepKind::do_, .occurrence = 1, .name = "a", .value = "1"},
      {.kind = EntryKind::rollback_started, .value = why},
      {.kind = EntryKind::instance_errored, .value = why}};
  Instance instance(kIdentity, {.replay_only = true}, history, {});
  EXPECT_TRUE(instance.do_({.name = "a", .config = {}, .depends = {}, .rollback = RollbackConfig{}}, kStart));
  instance.finish(failure("E"), kStart);
  std::vector<Effect> effects;
  instance.take_effects(effects);
  ASSERT_EQ(effects.size(), 1U) << "nothing but the end of the replay";
  EXPECT_THAT(std::get<Finished>(effects.back()).value, testing::HasSubstr("match"));
}

TEST(Replay, S41_AnOpenSleepOrWaitIsNotWaitedFor) {
  const Code code = {{step("a"), nap("nap"), event("go"), step("b")}};
  for (std::size_t kept = 0; kept <= history_of(code).size(); ++kept) {
    EXPECT_EQ(replay_of(code, history_of(code, kept)), "incomplete") << kept;
  }
}

TEST(Replay, S41_ARollbackIsNotCarriedOutAgain) {
  const Entry step{.kind = EntryKind::step_completed,
                   .step_kind = StepKind::do_,
                   .occurrence = 1,
                   .name = "a",
                   .attempt = 1,
                   .detail = R"({"rollback":{"config":{},"on_failure":"halt"}})",
                   .value = "1"};
  const Entry undone{.kind = EntryKind::step_completed,
                     .step = 1,
                     .step_kind = StepKind::rollback,
                     .occurrence = 1,
                     .name = "a",
                     .attempt = 1,
                     .value = "null"};
  Failure broke;
  broke.type = "Broke";
  const std::vector<Entry> history = {step,
                                      {.kind = EntryKind::rollback_started, .value = broke.to_json()},
                                      undone,
                                      {.kind = EntryKind::instance_errored, .value = broke.to_json()}};
  for (const std::size_t kept : {4U, 3U, 2U}) {
    const auto end = history.begin() + static_cast<std::ptrdiff_t>(kept);
    Instance instance(kIdentity, {.replay_only = true}, {history.begin(), end}, {});
    ASSERT_TRUE(instance.do_({.name = "a", .rollback = RollbackConfig{}}, kStart));
    instance.finish(broke, kStart);
    std::vector<Effect> effects;
    instance.take_effects(effects);
    ASSERT_TRUE(!effects.empty() && std::holds_alternative<Finished>(effects.back())) << kept;
    EXPECT_THAT(std::get<Finished>(effects.back()).value, HasSubstr(kept == 4 ? "match" : "incomplete"));
    for (const Effect& effect : effects) EXPECT_FALSE(std::holds_alternative<RollBack>(effect)) << kept;
  }
}

}  // namespace
}  // namespace workflows::core
