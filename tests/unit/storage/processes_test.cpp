// Several connections and processes on one file: locks, turns, fork.

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/unit/storage/sqlite_file.h"

namespace workflows::storage::sqlite {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class Processes : public SqliteFile {
 protected:
  // Waits for nobody.
  std::unique_ptr<Store> impatient() const { return must(must(open_sqlite(options(), Millis(0)))->connect()); }
};

TEST_F(Processes, LocksBelongToTheOpenFile) {
  write_file(path(), "");
  LockFile one(path());
  {
    LockFile two(path());
    EXPECT_TRUE(two.try_lock(7));
    EXPECT_FALSE(one.try_lock(7));
    EXPECT_TRUE(one.held_by_another(7));
    EXPECT_FALSE(two.held_by_another(7));
    EXPECT_TRUE(one.try_lock(8));
  }
  EXPECT_FALSE(one.held_by_another(7));
  EXPECT_TRUE(one.try_lock(7));
  one.unlock(7);
  EXPECT_TRUE(LockFile(path()).try_lock(7));
}

TEST_F(Processes, WhoOnlyLooksAtLocksTakesNoneAndMakesNoFile) {
  write_file(path(), "");
  EXPECT_EQ(LockWatch(path()).held(7), false);
  EXPECT_FALSE(std::filesystem::exists(path().string() + "-owners"));
  LockFile locks(path());
  const LockWatch watch(path());
  EXPECT_EQ(watch.held(7), false);
  EXPECT_TRUE(locks.try_lock(7));
  EXPECT_EQ(watch.held(7), true);
  EXPECT_EQ(watch.held(8), false);
  locks.unlock(7);
  EXPECT_EQ(watch.held(7), false);
}

TEST_F(Processes, BusyIsNotAFailureOfTheStore) {
  const auto store = impatient();
  {
    LockFile locks(path());
    const WriteLock writing(locks, Millis(0));
    const auto error = error_of(store->commit(batch(std::nullopt, new_instance("a"))));
    EXPECT_EQ(error.code, ErrorCode::store_busy);
    EXPECT_THAT(error.message, HasSubstr("nothing was written"));
  }
  create(*store, "a");
}

TEST_F(Processes, ForeignProgramThatHoldsTheDatabaseMakesItBusy) {
  const auto store = impatient();
  RawConnection foreign(path());
  foreign.row("BEGIN IMMEDIATE");
  EXPECT_EQ(error_of(store->commit(batch(std::nullopt, new_instance("a")))).code, ErrorCode::store_busy);
  foreign.row("COMMIT");
  create(*store, "a");
}

TEST_F(Processes, WriterWaitsForItsTurn) {
  const auto store = connect();
  RawConnection foreign(path());
  foreign.row("BEGIN IMMEDIATE");
  std::jthread writer([&] { create(*store, "a"); });
  foreign.row("COMMIT");
  writer.join();
  EXPECT_THAT(must(store->list({})), SizeIs(1));
}

TEST_F(Processes, NobodyOvertakesWhoIsNextToWrite) {
  const auto store = impatient();
  LockFile waiting(path());
  ASSERT_TRUE(waiting.try_lock(std::int64_t{1} << 62));
  EXPECT_EQ(error_of(store->commit(batch(std::nullopt, new_instance("a")))).code, ErrorCode::store_busy);
  waiting.unlock(std::int64_t{1} << 62);
  create(*store, "a");
}

// One that commits without a pause, and one that asks now and then.
TEST_F(Processes, BusyWriterDoesNotStarveTheOthers) {
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> commits{0};
  std::jthread busy([&, store = connect(Durability::normal)] {
    while (!stop) {
      must(store->commit(batch(std::nullopt, new_instance("same"))));
      ++commits;
    }
  });
  const auto store = connect(Durability::normal);
  while (commits == 0) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) create(*store, std::to_string(i));
  stop = true;
  busy.join();
  EXPECT_THAT(must(store->list({.workflow = {}, .status = {}, .created_after = {}, .id_prefix = ""})), SizeIs(21));
}

// Checkpoints and commits of several writers interleave; nothing is lost (the WAL-reset race).
TEST_F(Processes, ManyWritersLoseNothing) {
  constexpr int kWriters = 3;
  constexpr int kCommits = 60;
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < kWriters; ++i) {
      writers.emplace_back([this, i] {
        const auto store = connect(Durability::normal);
        const auto owner = must(store->open_owner(kHour));
        const auto key = create(*store, std::to_string(i), owner);
        for (std::uint32_t step = 0; step < kCommits; ++step) {
          Batch written{.owner = owner, .items = {}};
          for (int entry = 0; entry < 40; ++entry)
            written.items.push_back(append(key, completed(step, std::string(4000, 'v'))));
          must(store->commit(written));
        }
      });
    }
  }
  const auto store = connect();
  for (const auto& info : must(store->list({})))
    EXPECT_THAT(must(store->load(info.key)).history, SizeIs(40 * kCommits));
  EXPECT_EQ(RawConnection(path()).row("PRAGMA integrity_check"), "ok");
}

TEST_F(Processes, S46_ForkedChildMustOpenItsOwn) {
  auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  const pid_t child = fork();
  if (child == 0) {
    const auto written = store->commit(batch(owner, append(key, completed(0))));
    const auto read = store->load(key);
    const bool refused =
        !written && written.error().code == ErrorCode::forked && !read && read.error().code == ErrorCode::forked;
    store.reset();
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);

  // Neither the child's attempt nor its clean-up took anything from the parent.
  EXPECT_EQ(must(connect()->replace_dead_owners()), 0u);
  must(store->commit(batch(owner, append(key, completed(0)))));
}

TEST_F(Processes, S42_KilledProcessIsReplacedAtOnce) {
  connect();
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto store = connect();
    const auto owner = must(store->open_owner(kHour));
    const auto key = create(*store, "a", owner);
    must(store->commit(batch(owner, append(key, completed(0)))));
    (void)!write(ready[1], "!", 1);
    pause();
    _exit(1);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto store = connect();
  EXPECT_EQ(must(store->replace_dead_owners()), 0u);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(must(store->replace_dead_owners()), 1u);
  const auto info = must(store->find("order", "a")).value();
  EXPECT_EQ(info.status, Status::queued);
  EXPECT_THAT(must(store->load(info.key)).history, SizeIs(1));
}

}  // namespace
}  // namespace workflows::storage::sqlite
