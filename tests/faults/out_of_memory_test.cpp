// SQLite's memory runs out at any allocation. The store says so, and loses nothing (S44).

#include <gtest/gtest.h>

#include "tests/faults/damage.h"
#include "tests/support/fault_memory.h"

namespace workflows::testing {
namespace {

class OutOfMemory : public Damage, public ::testing::WithParamInterface<bool> {
 protected:
  // Whether it ran out.
  bool run_out(const StoreWorker::Plan& plan, std::uint64_t nth) {
    start_over();
    StoreWorker worker(path(), plan);
    FaultMemory::fail(nth, GetParam());
    const auto error = worker.work();
    const bool failed = FaultMemory::has_failed();
    FaultMemory::fail(0);
    EXPECT_TRUE(!error || failed) << "allocation " << nth << ": " << error->message;
    refused_ += error ? 1 : 0;
    EXPECT_EQ(worker.broken_promise(), "") << "allocation " << nth;
    EXPECT_EQ(worker.look_again(), "") << "allocation " << nth;
    return failed;
  }

  int refused_ = 0;
};

TEST_P(OutOfMemory, S44_WhicheverAllocationFailsNothingAcknowledgedIsLost) {
  const StoreWorker::Plan plan{.seed = 21, .turns = 20};
  changes_of(plan);
  expect_everything_done();
  const std::uint64_t stride = is_long() ? 1 : 61;
  for (std::uint64_t nth = 1; run_out(plan, nth) && !HasFailure(); nth += stride) {}
  EXPECT_GT(refused_, 10);
}

INSTANTIATE_TEST_SUITE_P(For, OutOfMemory, ::testing::Bool(),
                         [](const auto& lasting) { return lasting.param ? "Good" : "AMoment"; });

}  // namespace
}  // namespace workflows::testing
