// Small programs, every order in which things can happen, a crash at every moment, then every order again (S7, S38).

#include <chrono>
#include <map>
#include <unordered_set>

#include "engine/core/report.h"
#include "engine/core/restart.h"
#include "tests/unit/core/instance_script.h"

namespace workflows::core {
namespace {

using namespace std::chrono_literals;

// Plays all lives that begin with nothing, notes every state in which the process can die there, and plays all lives
// that begin with one of these.
class Explorer {
 public:
  Explorer(Program program, std::vector<Order> orders) : program_(std::move(program)), orders_(std::move(orders)) {}

  void explore() {
    const testing::ScopedTrace trace(__FILE__, __LINE__, describe(program_));
    for (const Order& order : orders_) live(World{}, order, [this](const ScriptHost& host) { note_crash(host); });
    for (const auto& [key, world] : crashes_) {
      for (const Order& order : orders_) live(world, order, [](const ScriptHost&) {});
    }
  }

 private:
  // Along all paths; of paths that meet, only one goes on.
  template <class AfterMove>
  void live(const World& found, const Order& order, AfterMove after_move) {
    std::unordered_set<std::string> states;
    Paths paths;
    do {
      if (testing::Test::HasFailure()) return;
      World world = found;
      ScriptHost host(program_, world, order);
      std::string path;
      for (after_move(host); !host.done(); after_move(host)) {
        const auto moves = host.moves();
        if (moves.empty()) {
          ADD_FAILURE() << "stuck";
          break;
        }
        const bool again = paths.walked() && !states.insert(host.state()).second;
        if (again) break;
        const Move move = moves[paths.choose(moves.size())];
        path += " " + describe(move);
        host.play(move);
      }
      if (host.done()) check_replay(program_, world, order);
      if (testing::Test::HasFailure())
        ADD_FAILURE() << "along" << path << "\nafter a crash that left " << describe(found);
    } while (paths.next());
  }

  void note_crash(const ScriptHost& host) {
    World left = host.crash();
    std::string key = describe(left);
    crashes_.try_emplace(std::move(key), std::move(left));
  }

  Program program_;
  std::vector<Order> orders_;
  std::map<std::string, World> crashes_;
};

void explore(Program program, std::vector<Order> orders = {{}}) {
  Explorer(std::move(program), std::move(orders)).explore();
}

TEST(InstanceReplay, S7_ALineOfSteps) {
  explore({{{{one(do_("a")), one(do_("b", 1)), one(sleep("nap", 5s)), one(do_once("c"))}}}});
}

TEST(InstanceReplay, S7_BranchesThatAskForOneNameAgainAndAgain) {
  explore({{{{one(do_("work")), one(do_("work"))}}, {{one(do_("work")), one(do_("work"))}}}});
}

TEST(InstanceReplay, S7_FollowUpsOfOneNameWhicheverBranchBeginsFirst) {
  explore({{{{one(do_("a")), one(do_("next"))}}, {{one(do_("b")), one(do_("next"))}}}}, {{0, 1}, {1, 0}});
}

TEST(InstanceReplay, S7_ThreeBranches) {
  explore({{{{one(do_("work")), one(do_("work"))}}, {{one(do_("work"))}}, {{one(do_("work"))}}}});
}

TEST(InstanceReplay, S7_ABranchThatBeginsWhenAnotherIsUnderWay) {
  explore({{{{one(do_("work")), one(do_("work"))}},
            {{one(do_("work"))}},
            {{one(do_("work"))}, std::pair<std::size_t, std::size_t>{0, 0}}}});
}

TEST(InstanceReplay, S7_ABranchThatBeginsWhenAnotherHasEnded) {
  explore({{{{one(do_("a")), one(do_("work"))}},
            {{one(do_("b"))}},
            {{one(do_("work"))}, std::pair<std::size_t, std::size_t>{1, 0}},
            {{one(do_("c"))}}}});
}

TEST(InstanceReplay, S10_RetriesAndStepsThatRunOnce) {
  explore({{{{one(do_("work", 1)), one(do_once("work"))}}, {{one(do_once("work")), one(do_("work"))}}}});
}

TEST(InstanceReplay, S18_SleepsInBranches) {
  explore({{{{one(sleep("nap", 5s)), one(do_("work"))}}, {{one(do_("work")), one(sleep("nap", 2s))}}}});
}

TEST(InstanceReplay, S22_WaitsInBranches) {
  explore({{{{one(wait("event")), one(do_("work"))}}, {{one(wait("event", 5s)), one(do_("work"))}}}, 2});
}

TEST(InstanceReplay, S7_ARaceHasTheSameWinnerAgain) {
  explore({{{{race(do_("work"), sleep("limit", 1s)), one(do_("next"))}}, {{one(do_("work"))}}}});
}

TEST(InstanceReplay, S7_BothOfARaceMayBeStepsOfTheNameThatFollows) {
  explore({{{{race(do_("work"), do_("work")), one(do_("work"))}}, {{one(do_("work"))}}}});
}

TEST(InstanceReplay, S22_ARaceOfAWaitAndASleep) {
  explore({{{{race(wait("event"), sleep("limit", 1s)), one(wait("event", 2s))}}}, 2});
}

TEST(InstanceReplay, S7_AnAwaitThatIsCancelledFromOutsideIsCancelledAgain) {
  explore({{{{impatient(do_("work")), one(do_("work"))}}, {{one(do_("work"))}}}});
}

TEST(InstanceReplay, S7_StepsOfTheNameThatFollowsACancelledAwait) {
  explore({{{{impatient(do_("a")), one(do_("work"))}}, {{one(do_("b")), one(do_("work"))}}}});
}

TEST(InstanceReplay, S18_ASleepThatIsCancelledFromOutside) {
  explore({{{{impatient(sleep("nap", 5s)), one(do_("work"))}}, {{one(do_("work"))}}}});
}

// A history that no instance can have recorded is refused, and nothing worse.
TEST(InstanceReplay, S45_DamagedHistoriesAreRefused) {
  Entry entry;
  entry.kind = EntryKind::step_completed;
  entry.step_kind = StepKind::do_;
  entry.name = "step";
  entry.value = "1";
  const auto load = [&] { Life{std::vector<Entry>{entry}}; };
  entry.occurrence = 0;
  EXPECT_THROW(load(), StoreCorruptError);
  entry.occurrence = 4'000'000'000;
  EXPECT_THROW(load(), StoreCorruptError);
  entry.occurrence = 1;
  load();
  entry.kind = EntryKind::reclaimed;
  EXPECT_THROW(load(), StoreCorruptError);
  entry.kind = EntryKind::wait_taken;
  entry.event = 7;
  EXPECT_THROW(load(), StoreCorruptError);
}

TEST(InstanceReplay, S45_ANotedValueThatFailedIsRefused) {
  const Entry failed{.kind = EntryKind::step_failed,
                     .step_kind = StepKind::value,
                     .occurrence = 1,
                     .name = "now",
                     .value = failure("Broke").to_json()};
  EXPECT_THROW((Life{std::vector<Entry>{failed}}), StoreCorruptError);
}

TEST(InstanceReplay, S45_AStepThatEndedAndWasNeverAskedForIsRefused) {
  const Entry ended{.kind = EntryKind::step_completed, .value = "1"};
  EXPECT_THROW((Life{std::vector<Entry>{ended}}), StoreCorruptError);
}

TEST(InstanceReplay, S45_AStepThatEndedTwiceOrHasANumberThatNoneCanHaveIsRefused) {
  Entry entry{
      .kind = EntryKind::step_completed, .step_kind = StepKind::do_, .occurrence = 1, .name = "a", .value = "1"};
  EXPECT_THROW((Life{std::vector<Entry>{entry, entry}}), StoreCorruptError);
  Entry reclaimed = entry;
  reclaimed.kind = EntryKind::reclaimed;
  EXPECT_THROW((Life{std::vector<Entry>{entry, reclaimed}}), StoreCorruptError);
  entry.step = 4'000'000'000;
  EXPECT_THROW((Life{std::vector<Entry>{entry}}), StoreCorruptError);
}

TEST(InstanceReplay, S45_ADetailThatNoEngineRecordsIsRefused) {
  for (const auto* detail : {"{", "[]", R"({"config":7})", R"({"rollback":1})", R"({"rollback":{}})",
                             R"({"depends":"all"})", R"({"depends":[-1]})"}) {
    const Entry entry{.kind = EntryKind::step_completed,
                      .step_kind = StepKind::do_,
                      .occurrence = 1,
                      .name = "a",
                      .detail = detail,
                      .value = "1"};
    EXPECT_THROW(Life{std::vector<Entry>{entry}}, StoreCorruptError) << detail;
    EXPECT_THROW(static_cast<void>(keep_for_restart({entry}, {"a"})), StoreCorruptError) << detail;
    EXPECT_EQ(report_steps({entry}, {}).size(), 1U) << detail;
  }
}

}  // namespace
}  // namespace workflows::core
