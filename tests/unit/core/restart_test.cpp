// What a restart from a step keeps of the old generation (S28).

#include "engine/core/restart.h"

#include <algorithm>

#include "tests/unit/core/code_player.h"

namespace workflows::core {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Names = std::vector<std::string>;

const Code kLine = {{step("a"), step("b"), step("c"), step("d")}};
const Code kBranches = {{step("a"), step("b")}, {step("x"), step("y")}};
// fetch -> left, right -> join
const Code kDiamond = {
    {step("fetch")}, {after("left", {"fetch"})}, {after("right", {"fetch"})}, {after("join", {"left", "right"})}};

KeptHistory kept(const std::vector<Entry>& history, const RestartPoint& from) {
  auto result = keep_for_restart(history, from);
  EXPECT_TRUE(result.has_value()) << result.error().message;
  return std::move(*result);
}

// Steps in the order in which they are numbered.
Names names_of(const KeptHistory& history) {
  std::map<Ticket, std::string> names;
  for (const Entry& entry : history.entries) {
    if (!entry.name.empty()) names[entry.step] = entry.name;
  }
  Names all;
  for (const auto& [ticket, name] : names) all.push_back(name);
  return all;
}

Names kept_of(const Code& code, const RestartPoint& from) { return names_of(kept(history_of(code), from)); }

TEST(Restart, S28_ItKeepsWhatWasRecordedBeforeTheStepAndDropsWhatFollowed) {
  EXPECT_THAT(kept_of(kLine, {"a"}), IsEmpty());
  EXPECT_THAT(kept_of(kLine, {"c"}), ElementsAre("a", "b"));
  EXPECT_THAT(kept_of(kLine, {"d"}), ElementsAre("a", "b", "c"));
}

TEST(Restart, S28_AParallelBranchThatDoesNotFollowTheStepIsKept) {
  EXPECT_THAT(kept_of(kBranches, {"b"}), ElementsAre("a", "x", "y"));
  EXPECT_THAT(kept_of(kBranches, {"y"}), ElementsAre("a", "x", "b"));
}

TEST(Restart, S28_WhatIsAskedForAnewAmongWhatWasKeptHoldsNothingBackOnReplay) {
  using namespace std::chrono_literals;
  const auto begin = [](Life& life) {
    life.sleep("nap", 1s);
    life.sleep("nap", 2h);
    life.wait("wait", "paid", 1h);
  };
  Life first;
  begin(first);
  first.advance(1s);
  first.timer("nap#1");
  first.commit();
  EXPECT_EQ(first.value("race", "0"), "0");
  first.crash();

  Life second(kept(first.journal(), {"nap", 2, StepKind::sleep}).entries);
  begin(second);
  EXPECT_EQ(second.value("race", "1"), "0");
  Life third = second.crash();
  begin(third);
  third.expect({"arm nap#2 +7200000", "arm wait#1 +3600000", "resolve nap#1 null"});
  EXPECT_EQ(third.value("race", "1"), "0");
  EXPECT_FALSE(third.instance().replaying());
}

TEST(Restart, S28_OfAGraphExactlyTheDependentsAreDropped) {
  EXPECT_THAT(kept_of(kDiamond, {"left"}), ElementsAre("fetch", "right"));
  EXPECT_THAT(kept_of(kDiamond, {"join"}), ElementsAre("fetch", "left", "right"));
  EXPECT_THAT(kept_of(kDiamond, {"fetch"}), IsEmpty());
}

TEST(Restart, S28_OccurrencesAndKindsAreToldApart) {
  const Code loop = {{step("a"), step("a"), nap("a"), step("a")}};
  EXPECT_EQ(kept_of(loop, {"a", 2}), (Names{"a"}));
  EXPECT_EQ(kept_of(loop, {"a", 1, StepKind::sleep}), (Names{"a", "a"}));
  EXPECT_EQ(kept_of(loop, {"a", 3}), (Names{"a", "a", "a"}));
}

TEST(Restart, S28_TheNewHistoryBeginsByTellingOfTheRestartAndIsNumberedAnew) {
  const KeptHistory history = kept(history_of(kBranches), {"b"});
  ASSERT_EQ(history.entries.front().kind, EntryKind::restarted);
  EXPECT_EQ(history.entries.front().value, R"({"from_step":"b","count":1,"kind":"do","kept":["a","x","y"]})");
  std::vector<Ticket> numbers;
  for (const Entry& entry : history.entries) {
    if (!entry.name.empty() && !std::ranges::count(numbers, entry.step)) numbers.push_back(entry.step);
  }
  EXPECT_THAT(numbers, testing::UnorderedElementsAre(0, 1, 2));
}

TEST(Restart, S28_AnUnknownStepIsAnErrorThatNamesWhatIsRecorded) {
  const auto result = keep_for_restart(history_of(kLine), {"up", 3});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::invalid_config);
  EXPECT_THAT(result.error().message, HasSubstr("no do 'up' #3"));
  EXPECT_THAT(result.error().message, HasSubstr("do 'a' #1, do 'b' #1"));
}

TEST(Restart, S23_S28_TheEventOfAWaitThatIsDroppedIsGivenBackAndThatOfOneThatIsKeptIsNot) {
  const std::vector<InboxEvent> inbox = {{.id = 7, .type = "t", .payload = "1", .at = kStart},
                                         {.id = 8, .type = "t", .payload = "2", .at = kStart}};
  CodePlayer player({{event("first"), step("a"), event("second")}}, {}, {}, inbox);
  ASSERT_EQ(player.play(), "complete");
  EXPECT_THAT(kept(player.journal, {"a"}).events, ElementsAre(7));
  EXPECT_THAT(kept(player.journal, {"first", 1, StepKind::wait_for_event}).events, IsEmpty());
}

TEST(Restart, S28_TheEndAndWhatBelongsToTheOldGenerationAsAWholeAreNotKept) {
  CodePlayer player(kLine);
  player.play();
  auto history = player.journal;
  history.insert(history.begin() + 1, Entry{.kind = EntryKind::paused});
  history.insert(history.begin() + 2, Entry{.kind = EntryKind::resumed, .began = kStart});
  history.insert(history.begin() + 3, Entry{.kind = EntryKind::version, .value = "2"});
  std::vector<EntryKind> kinds;
  for (const Entry& entry : kept(history, {"d"}).entries) {
    if (entry.kind >= EntryKind::rollback_started) kinds.push_back(entry.kind);
  }
  EXPECT_THAT(kinds, ElementsAre(EntryKind::restarted, EntryKind::resumed, EntryKind::version));
}

TEST(Restart, S28_AStepThatWasRolledBackIsNeverReused) {
  Life life;
  for (const std::string name : {"a", "b", "c"}) {
    if (name == "b") {
      life.do_undoable(name);
    } else {
      life.do_(name);
    }
    life.body(name + "#1.1", Value{"1"});
    life.commit();
  }
  life.finish(failure("Broke"));
  life.commit();
  life.undone("b#1.1");
  life.commit();
  const auto history = life.journal();
  life.crash();
  EXPECT_THAT(names_of(kept(history, {"c"})), ElementsAre("a"));
}

// Whatever is restarted: the kept history replays, and exactly the bodies run that it does not have.
TEST(Restart, S28_TheKeptHistoryReplaysWithoutDivergence) {
  const std::vector<Code> codes = {kLine,
                                   kBranches,
                                   kDiamond,
                                   {{step("a"), step("a")}, {step("a"), step("a")}, {nap("a"), step("a")}},
                                   {{step("a"), recorded("now"), step("b")}, {nap("n"), step("c"), recorded("now")}},
                                   {{step("f"), step("g")},
                                    {after("l", {"f"}), step("m")},
                                    {after("r", {"f"})},
                                    {after("j", {"l", "r"}), step("k")}}};
  for (const Code& code : codes) {
    CodePlayer undisturbed(code);
    ASSERT_EQ(undisturbed.play(), "complete");
    for (const Entry& from : undisturbed.journal) {
      if (from.name.empty()) continue;
      const std::string what =
          std::string(to_string(from.step_kind)) + " " + from.name + "#" + std::to_string(from.occurrence);
      const KeptHistory history = kept(undisturbed.journal, {from.name, from.occurrence, from.step_kind});
      Names had;
      for (const Entry& entry : history.entries) {
        if (entry.kind == EntryKind::step_completed && entry.step_kind == StepKind::do_) had.push_back(entry.name);
      }
      CodePlayer again(code, history.entries);
      EXPECT_EQ(again.play(), "complete") << what << " " << again.told;
      EXPECT_EQ(again.bodies.size() + had.size(), undisturbed.bodies.size()) << what;
      if (from.step_kind != StepKind::do_) continue;
      EXPECT_THAT(again.bodies, Contains(HasSubstr(from.name + "#"))) << what;
    }
  }
}

}  // namespace
}  // namespace workflows::core
