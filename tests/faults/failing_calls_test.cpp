// Any one call of the disk fails, once or from then on. The store does what it was asked or says why not; after a
// failed write it writes no more (S44); and opened again it has everything that was acknowledged.

#include <gtest/gtest.h>

#include <set>

#include "tests/faults/damage.h"

namespace workflows::testing {
namespace {

struct Failing {
  const char* name;
  FaultVfs::Fault fault;
  std::vector<const char*> seen;
};

class FailingCalls : public Damage, public ::testing::WithParamInterface<Failing> {
 protected:
  // Those of these calls that an undisturbed run makes.
  std::vector<std::string> calls_of(const StoreWorker::Plan& plan) {
    start_over();
    auto never = GetParam().fault;
    never.nth = UINT64_MAX;
    disk_.fail(never);
    StoreWorker worker(path(), plan);
    const auto error = worker.work();
    EXPECT_FALSE(error) << error->message;
    count(worker);
    return disk_.calls();
  }

  void fail(const StoreWorker::Plan& plan, std::uint64_t nth) {
    SCOPED_TRACE(::testing::Message() << "seed " << plan.seed << ", call " << nth);
    start_over();
    auto fault = GetParam().fault;
    fault.nth = nth;
    disk_.fail(fault);
    StoreWorker worker(path(), plan);
    const auto error = worker.work();
    ASSERT_TRUE(!error || disk_.has_failed()) << error->message;
    if (error) expect_clear(*error, path());
    disk_.heal();
    ASSERT_EQ(worker.broken_promise(), "");
    ASSERT_EQ(worker.look_again(), "");
    const auto later = worker.work();
    ASSERT_FALSE(later) << later->message;
    ASSERT_EQ(worker.look_again(), "");
  }

  // Some of them: about so many, and each kind of call.
  void fail_at_moments(const StoreWorker::Plan& plan, std::size_t count) {
    const auto calls = calls_of(plan);
    const auto kinds = std::set<std::string>(calls.begin(), calls.end()).size();
    for (const auto nth : moments(calls, std::max<std::size_t>(count / kinds, 1))) {
      fail(plan, nth);
      if (HasFatalFailure()) return;
    }
  }
};

TEST_P(FailingCalls, S44_WhateverFailsNothingAcknowledgedIsLost) {
  for (const std::uint64_t seed : {7U, 21U})
    if (!HasFatalFailure()) fail_at_moments({.seed = seed, .turns = 20}, 13);
  for (const auto* event : GetParam().seen) expect_seen({event});
  expect_everything_done();
}

constexpr auto kWriting = FaultVfs::kWrite | FaultVfs::kTruncate;
constexpr auto kLocking = FaultVfs::kLock | FaultVfs::kLockShared;

INSTANTIATE_TEST_SUITE_P(
    Of, FailingCalls,
    ::testing::Values(
        Failing{"Open", {.calls = FaultVfs::kOpen}, {"failed open database", "failed open wal", "failed open journal"}},
        Failing{"OpenForGood", {.calls = FaultVfs::kOpen, .lasting = true}, {"failed open wal"}},
        Failing{"Read", {.calls = FaultVfs::kRead}, {"failed read database", "failed read wal"}},
        Failing{"ReadForGood", {.calls = FaultVfs::kRead, .lasting = true}, {"failed read database"}},
        // Of the database SQLite takes a short read for the end of the file: against that there is no promise.
        Failing{"ShortReadOfTheWal",
                {.calls = FaultVfs::kRead, .code = SQLITE_IOERR_SHORT_READ, .file = "wal"},
                {"failed read wal"}},
        Failing{"Write", {.calls = kWriting}, {"failed write database", "failed write wal"}},
        Failing{"WriteForGood", {.calls = kWriting, .lasting = true}, {"failed write database", "failed write wal"}},
        Failing{"FullDisk", {.calls = kWriting, .code = SQLITE_FULL, .lasting = true}, {"failed write wal"}},
        Failing{"DiskFullForAMoment", {.calls = kWriting, .code = SQLITE_FULL}, {"failed write wal"}},
        Failing{"Sync", {.calls = FaultVfs::kSync}, {"failed sync database", "failed sync wal"}},
        Failing{"SyncForGood", {.calls = FaultVfs::kSync, .lasting = true}, {"failed sync database"}},
        Failing{"Size", {.calls = FaultVfs::kSize}, {"failed size database", "failed size wal"}},
        Failing{"Remove", {.calls = FaultVfs::kRemove}, {"failed remove journal", "failed remove wal"}},
        Failing{"Access", {.calls = FaultVfs::kAccess}, {"failed access journal", "failed access wal"}},
        Failing{"Lock", {.calls = FaultVfs::kLock}, {"failed lock database"}},
        Failing{"SharedMemory",
                {.calls = FaultVfs::kMapShared | FaultVfs::kLockShared},
                {"failed shared lock database", "failed map database"}},
        Failing{
            "Busy", {.calls = kLocking, .code = SQLITE_BUSY}, {"failed lock database", "failed shared lock database"}},
        Failing{"BusyForGood", {.calls = kLocking, .code = SQLITE_BUSY, .lasting = true}, {"failed lock database"}},
        Failing{"Anything", {.calls = FaultVfs::kEverything}, {}},
        Failing{"AnythingForGood", {.calls = FaultVfs::kEverything, .lasting = true}, {}}),
    [](const auto& failing) { return failing.param.name; });

}  // namespace
}  // namespace workflows::testing
