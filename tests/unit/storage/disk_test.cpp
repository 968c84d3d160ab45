// What the store asks of the disk, counted; and what it does when the disk fails (S44).

#include <gmock/gmock.h>

#include "tests/support/counting_vfs.h"
#include "tests/unit/storage/sqlite_file.h"

namespace workflows::storage::sqlite {
namespace {

using testing::CountingVfs;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Disk : public SqliteFile {
 protected:
  // A batch of `entries` entries for one instance.
  static Batch entries(Owner owner, InstanceKey key, std::size_t count, std::size_t bytes = 10) {
    Batch written{.owner = owner, .items = {}};
    for (std::size_t i = 0; i < count; ++i) written.items.push_back(append(key, completed(0, std::string(bytes, 'v'))));
    return written;
  }

  CountingVfs disk_;
};

TEST_F(Disk, S5_CommitIsOneSyncHoweverMuchItHolds) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  const auto before = disk_.syncs();
  for (int i = 0; i < 10; ++i) must(store->commit(entries(owner, key, 1)));
  EXPECT_EQ(disk_.syncs() - before, 10u);
  must(store->commit(entries(owner, key, 1000)));
  EXPECT_EQ(disk_.syncs() - before, 11u);
}

TEST_F(Disk, S5_NormalDurabilityDoesNotSync) {
  const auto store = connect(Durability::normal);
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  const auto before = disk_.syncs();
  for (int i = 0; i < 10; ++i) must(store->commit(entries(owner, key, 1)));
  EXPECT_EQ(disk_.syncs(), before);
}

TEST_F(Disk, EntryAloneIsOneStatementTenShareOneAndABatchIsOneMore) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  const auto before = store->counters();
  must(store->commit(entries(owner, key, 1)));
  EXPECT_EQ(store->counters().statements - before.statements, 2u);
  must(store->commit(entries(owner, key, 100)));
  EXPECT_EQ(store->counters().statements - before.statements, 2u + 1u + 10u);
  EXPECT_EQ(store->counters().transactions - before.transactions, 2u);
}

TEST_F(Disk, TenNewInstancesShareAStatement) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  create(*store, "a", owner);
  CreateBatch item;
  for (int i = 0; i < 100; ++i) {
    item.creates.push_back(new_instance("n" + std::to_string(i)));
    item.creates.back().new_id = true;
  }
  const auto before = store->counters().statements;
  must(store->commit(batch(owner, item)));
  EXPECT_EQ(store->counters().statements - before, 1u + 10u);
}

// The instance, two entries, the inbox; others also look where its owner got to, and through what came since.
TEST_F(Disk, OwnerLoadsWithoutSearching) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(entries(owner, key, 2)));
  const auto statements = [key](Store& from) {
    must(from.find(key));  // its workflow's name is known from now on
    const auto before = from.counters().statements;
    must(from.load(key));
    return from.counters().statements - before;
  };
  EXPECT_EQ(statements(*store), 4u);
  EXPECT_EQ(statements(*connect()), 6u);
  must(store->commit(batch(owner, unload(key))));
  EXPECT_EQ(statements(*connect()), 4u);
}

TEST_F(Disk, ReadsWriteNothing) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(entries(owner, key, 10)));
  const auto syncs = disk_.syncs();
  const auto writes = disk_.writes();
  must(store->load(key));
  must(store->list({}));
  must(store->arrivals(owner.id, 0, 10));
  must(store->replace_dead_owners());
  EXPECT_EQ(disk_.syncs(), syncs);
  EXPECT_EQ(disk_.writes(), writes);
}

TEST_F(Disk, WalIsMovedIntoTheFileBeforeItGrowsLong) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  constexpr std::uintmax_t kFrame = 4096 + 24;
  constexpr std::uintmax_t kPagesOfABatch = 120;
  for (int i = 0; i < 100; ++i) {
    must(store->commit(entries(owner, key, 100, 4000)));
    ASSERT_LE(std::filesystem::file_size(path().string() + "-wal"), (kCheckpointPages + kPagesOfABatch) * kFrame);
  }
  EXPECT_THAT(must(store->load(key)).history, SizeIs(10'000));
}

TEST_F(Disk, S44_AfterAFailedSyncNothingIsWrittenUntilReopened) {
  auto store = connect();
  auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(entries(owner, key, 1)));

  disk_.fail_sync(1, SQLITE_IOERR_FSYNC);
  const auto first = error_of(store->commit(entries(owner, key, 1)));
  EXPECT_EQ(first.code, ErrorCode::store);
  EXPECT_THAT(first.message, HasSubstr("I/O error"));
  EXPECT_THAT(first.message, HasSubstr("Everything that was acknowledged is safe; reopen the database"));
  EXPECT_THAT(first.message, HasSubstr(path().string()));

  // The disk is well again; the store still refuses, and asks nothing of it.
  const auto writes = disk_.writes();
  EXPECT_EQ(error_of(store->commit(entries(owner, key, 1))), first);
  EXPECT_EQ(error_of(store->commit(batch(std::nullopt, new_instance("b")))), first);
  EXPECT_EQ(error_of(store->close_owner(owner)), first);
  EXPECT_EQ(error_of(store->open_owner(kHour)), first);
  EXPECT_EQ(disk_.writes(), writes);
  store.reset();

  store = connect();
  owner = must(store->open_owner(kHour));
  must(store->commit(batch(owner, Claim{.workflows = {"order"}, .queued = 1, .waiting = 0})));
  must(store->commit(entries(owner, key, 1)));
  EXPECT_GE(must(store->load(key)).history.size(), 2u);
}

TEST_F(Disk, S44_FullDiskIsSaidToBeFull) {
  auto store = connect();
  const auto key = create(*store, "a");
  disk_.fail_write(1, SQLITE_FULL, CountingVfs::Failure::lasting);
  const auto error = error_of(store->commit(batch(std::nullopt, new_instance("b"))));
  EXPECT_EQ(error.code, ErrorCode::store);
  EXPECT_THAT(error.message, HasSubstr("the disk is full"));
  disk_.heal();
  EXPECT_EQ(error_of(store->commit(batch(std::nullopt, new_instance("b")))), error);
  EXPECT_EQ(must(store->find("order", "a"))->key, key);

  store = connect();
  EXPECT_FALSE(must(store->find("order", "b")));
  create(*store, "b");
}

// Once into the log, once into the file; a page that no payload fills to its end counts as a whole.
TEST_F(Disk, BytesOfAPayloadAreWrittenTwice) {
  const auto written_for_a_byte = [&](std::size_t bytes, std::size_t payloads, std::size_t at_once) {
    const auto before = disk_.written_bytes();
    {
      const auto store = connect();
      const auto owner = must(store->open_owner(kHour));
      const auto key = create(*store, std::to_string(bytes), owner);
      for (std::size_t i = 0; i < payloads; i += at_once) must(store->commit(entries(owner, key, at_once, bytes)));
      must(store->close_owner(owner));
    }
    return static_cast<double>(disk_.written_bytes() - before) / static_cast<double>(payloads * bytes);
  };
  EXPECT_LE(written_for_a_byte(1U << 10U, 4'000, 400), 2.8);  // three to a page
  EXPECT_LE(written_for_a_byte(64U << 10U, 200, 20), 2.1);
  EXPECT_LE(written_for_a_byte(1U << 20U, 20, 2), 2.1);
}

TEST_F(Disk, S44_FailedCheckpointLosesNothing) {
  auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  // A batch of more pages than the WAL may hold: its commit is sync 1, the checkpoint's first is 2.
  disk_.fail_sync(2, SQLITE_IOERR_FSYNC);
  must(store->commit(entries(owner, key, 2100, 4000)));
  EXPECT_THAT(error_of(store->commit(entries(owner, key, 1))).message,
              HasSubstr("moving the WAL into the file failed"));
  store.reset();
  EXPECT_THAT(must(connect()->load(key)).history, SizeIs(2100));
}

// A run of eight commits of two entries, in which one call of the disk fails: the first, the second, ...
class FailingDisk : public Disk, public ::testing::WithParamInterface<int> {
 protected:
  void fail(std::uint64_t nth) {
    if (GetParam() == SQLITE_IOERR_FSYNC)
      disk_.fail_sync(nth, GetParam());
    else
      disk_.fail_write(nth, GetParam());
  }
  std::uint64_t calls() const { return GetParam() == SQLITE_IOERR_FSYNC ? disk_.syncs() : disk_.writes(); }
};

TEST_P(FailingDisk, S44_WhateverFailsAcknowledgedWorkIsThereAndBatchesAreWhole) {
  bool failed = true;
  for (std::uint64_t nth = 1; failed; ++nth) {
    for (const auto* side : {"", "-wal", "-shm", "-owners"}) std::filesystem::remove(path().string() + side);
    std::size_t acknowledged = 0;
    InstanceKey key = 0;
    {
      const auto store = connect();
      const auto owner = must(store->open_owner(kHour));
      key = create(*store, "a", owner);
      fail(nth);
      const auto last = calls() + nth;
      for (int i = 0; i < 8; ++i)
        if (store->commit(entries(owner, key, 2))) acknowledged += 2;
      failed = calls() >= last;
      disk_.heal();
    }
    const auto history = must(connect()->load(key)).history;
    ASSERT_GE(history.size(), acknowledged) << "call " << nth;
    ASSERT_LE(history.size(), acknowledged + 2) << "call " << nth;
    ASSERT_EQ(history.size() % 2, 0u) << "call " << nth;
    ASSERT_EQ(acknowledged == 16, !failed) << "call " << nth;
  }
}

TEST_P(FailingDisk, S44_FileWhoseMakingFailedCanBeOpenedLater) {
  bool failed = true;
  for (std::uint64_t nth = 1; failed; ++nth) {
    for (const auto* side : {"", "-wal", "-shm", "-owners", "-journal"})
      std::filesystem::remove(path().string() + side);
    fail(nth);
    const auto last = calls() + nth;
    if (const auto opened = open_sqlite(options())) {
      const auto store = must((*opened)->connect());
      (void)store->commit(batch(std::nullopt, new_instance("a")));
    }
    failed = calls() >= last;
    disk_.heal();
    const auto store = connect();
    (void)must(store->commit(batch(std::nullopt, new_instance("a"))));
    ASSERT_TRUE(must(store->find("order", "a"))) << "call " << nth;
  }
}

INSTANTIATE_TEST_SUITE_P(Codes, FailingDisk, ::testing::Values(SQLITE_IOERR_FSYNC, SQLITE_FULL));

}  // namespace
}  // namespace workflows::storage::sqlite
