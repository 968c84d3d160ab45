// The power goes at any moment; of what was not synced by then, anything may be left (S5).

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/faults/damage.h"

namespace workflows::testing {
namespace {

using Unsynced = FaultVfs::Unsynced;

struct Loss {
  const char* name;
  Unsynced fate;
};

class PowerLoss : public Damage, public ::testing::WithParamInterface<Loss> {
 protected:
  // Cuts the power during the `nth` change that this plan makes, and again while the database is used for the second
  // time. Each time everything acknowledged is there, and the work goes on.
  void lose_power(StoreWorker::Plan plan, std::uint64_t nth) {
    SCOPED_TRACE(::testing::Message() << "seed " << plan.seed << ", change " << nth);
    start_over();
    StoreWorker worker(path(), plan);
    for (const std::uint64_t cut_at : {nth, nth / 2 + 1, std::uint64_t{0}}) {
      if (cut_at != 0) disk_.cut_power_at(cut_at);
      const auto error = worker.work();
      if (disk_.power_is_off() && plan.durability == Durability::normal) worker.may_have_gone_back();
      ASSERT_TRUE(!error || disk_.power_is_off()) << error->message;
      disk_.restore_power(GetParam().fate, plan.seed * 1000 + nth);
      ASSERT_EQ(worker.look_again(), "");
      ASSERT_EQ(worker.broken_promise(), "");
    }
  }

  void lose_power_at_moments(StoreWorker::Plan plan, std::uint64_t seeds, std::size_t of_each_kind,
                             std::size_t most = kMost) {
    for (const auto end = plan.seed + seeds; plan.seed != end; ++plan.seed) {
      for (const auto nth : moments(changes_of(plan), of_each_kind, most)) {
        lose_power(plan, nth);
        if (HasFatalFailure()) return;
      }
    }
  }
};

TEST_P(PowerLoss, S5_FullDurabilityLosesNothingThatWasAcknowledged) {
  lose_power_at_moments({.durability = Durability::full}, 3, 2);
  expect_seen({"cut write wal", "cut sync wal", "cut write database", "cut sync database", "cut remove wal",
               "cut write journal", "cut remove journal"});
  expect_everything_done();
}

TEST_P(PowerLoss, S5_NormalDurabilityMayLoseTheLastCommitsAndNothingElse) {
  lose_power_at_moments({.durability = Durability::normal}, 3, 2);
  expect_seen({"cut write wal", "cut write database", "cut sync database"});
}

TEST_P(PowerLoss, S5_FullDurabilityLosesNothingWhileTheWalIsMovedIntoTheFileAndBegunAnew) {
  constexpr std::size_t kMostOfHeavy = 50;  // each takes a second
  lose_power_at_moments({.seed = 4, .turns = 12, .heavy = true}, 1, 1, kMostOfHeavy);
  expect_seen({"cut write wal", "cut rewrite wal", "cut write database", "cut sync database"});
}

INSTANTIATE_TEST_SUITE_P(OfWhatWasNotSynced, PowerLoss,
                         ::testing::Values(Loss{"AllIsKept", Unsynced::kept}, Loss{"AllIsDropped", Unsynced::dropped},
                                           Loss{"SomeIsTorn", Unsynced::torn}),
                         [](const auto& loss) { return loss.param.name; });

}  // namespace
}  // namespace workflows::testing
