// The runtime under the smallest host: real SQLite files, real threads, counted facts.

#include <gtest/gtest.h>
#include <malloc.h>
#include <poll.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "storage/store.h"
#include "tests/support/script_host.h"
#include "tests/support/temp_dir.h"

namespace workflows {
namespace {

using namespace std::chrono_literals;
using testing::do_op;
using testing::Program;
using testing::ScriptHost;
using testing::sleep_op;
using testing::TempDir;
using testing::wait_op;

const TimePoint kStart{1'700'000'000'000ms};

Program ten_steps() {
  Program program;
  for (int i = 0; i < 10; ++i) program.push_back(do_op("step " + std::to_string(i), std::to_string(i)));
  return program;
}

class HostTest : public ::testing::Test {
 protected:
  HostOptions options() { return {.database = file_, .clock = clock_}; }

  std::unique_ptr<ScriptHost> open(std::map<std::string, Program> programs) {
    return std::make_unique<ScriptHost>(options(), std::move(programs));
  }

  // Until it has become an owner, and has claimed what nobody runs: two transactions.
  static void let_begin(ScriptHost& engine) {
    engine.run_until([&] { return engine.host().counters().transactions == 2; });
  }

  // What happens to an engine whose process stood still for longer than its lease.
  void let_leases_run_out() { change_file("UPDATE owners SET lease_until = 0"); }

  void change_file(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file_.c_str(), &db), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(db, ("PRAGMA wal_autocheckpoint=0;" + sql).c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
  }

  TempDir dir_;
  std::string file_ = dir_.path() / "test.db";
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(kStart);
};

// Begun before the first engine, SQLite keeps its statistics of memory.
const int kStatisticsKept = sqlite3_initialize();

// In use, of all threads, without SQLite's page cache, which is bounded. A sanitizer's allocator does not tell.
std::int64_t allocated_bytes() {
  EXPECT_EQ(kStatisticsKept, SQLITE_OK);
  const auto info = ::mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd) - sqlite3_memory_used();
}

std::ptrdiff_t threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

TEST_F(HostTest, S4_AnInstanceRunsItsStepsInOrderAndItsOutputIsKept) {
  auto engine = open({{"ten", ten_steps()}});
  const InstanceRef instance = engine->create("ten", "a");
  EXPECT_EQ(engine->result(instance.key).output, "[0,1,2,3,4,5,6,7,8,9 ]");
  EXPECT_EQ(engine->host().client().status(instance.key).status, Status::complete);
}

TEST_F(HostTest, ATenStepInstanceAloneCostsOneTransactionAStepAndTwo) {
  auto engine = open({{"ten", ten_steps()}});
  let_begin(*engine);
  const auto before = engine->host().counters();
  engine->result(engine->create("ten", "a").key);
  engine->host().close();
  // One more gives the ownership back on closing.
  EXPECT_LE(engine->host().counters().transactions - before.transactions, 10 + 2 + 1);
}

TEST_F(HostTest, AThousandInstancesShareTheirTransactions) {
  auto engine = open({{"ten", ten_steps()}});
  let_begin(*engine);
  const auto before = engine->host().counters();
  for (int i = 0; i < 1'000; ++i) engine->host().create({.workflow = "ten", .id = "i" + std::to_string(i)});
  engine->run_until([&] { return engine->ended.size() == 1'000; });
  engine->host().close();
  const auto after = engine->host().counters();
  EXPECT_LE(after.transactions - before.transactions, 200);
  EXPECT_LE(after.statements - before.statements, 2 * 11 * 1'000);
  EXPECT_LE(after.wakeups - before.wakeups, after.transactions - before.transactions + 1);
}

TEST_F(HostTest, S6_S7_ANewEngineResumesWithoutBeingToldAndRunsNoCompletedStepAgain) {
  Program program = ten_steps();
  program.push_back(wait_op("wait", "go"));
  {
    auto engine = open({{"w", program}});
    engine->create("w", "a");
    engine->run_until([&] { return engine->bodies.size() == 10; });
  }
  auto engine = open({{"w", program}});
  engine->run_until([&] { return engine->host().client().list({.status = Status::waiting}).size() == 1; });
  engine->host().send_event({.workflow = "w", .id = "a", .type = "go"});
  engine->run_until([&] { return !engine->ended.empty(); });
  EXPECT_TRUE(engine->bodies.empty());
  EXPECT_EQ(engine->ended.begin()->second.output, "[0,1,2,3,4,5,6,7,8,9,null ]");
}

TEST_F(HostTest, S38_ReplayedStepsCostNoTransactionAndNoReadOfTheirOwn) {
  Program program = ten_steps();
  program.push_back(do_op("open"));
  {
    auto engine = open({{"w", program}});
    engine->create("w", "a");
    engine->run_until([&] { return engine->bodies.contains("step 9"); });
    engine->hold_bodies = true;
    engine->run_until([&] { return engine->bodies.contains("open"); });
  }
  auto engine = open({{"w", program}});
  engine->hold_bodies = true;
  engine->run_until([&] { return engine->bodies.contains("open"); });
  EXPECT_EQ(engine->bodies.size(), 1);
  EXPECT_EQ(engine->host().counters().loads, 1);
  EXPECT_LE(engine->host().counters().transactions, 2);  // becoming an owner, claiming
}

TEST_F(HostTest, S6_AnInstanceOfAnUnregisteredWorkflowWaitsVisibly) {
  auto engine = open({{"known", {}}});
  const InstanceRef instance = engine->create("unknown", "a");
  EXPECT_EQ(engine->host().client().status(instance.key).status, Status::queued);
  engine->host().close();

  auto other = open({{"unknown", {do_op("x")}}});
  EXPECT_EQ(other->result(instance.key).status, Status::complete);
}

TEST_F(HostTest, S18_S20_ASleeperWakesWhenTheClockSaysAndNotBefore) {
  auto engine = open({{"s", {sleep_op("nap", 1h), do_op("after")}}});
  const InstanceRef instance = engine->create("s", "a");
  engine->run_until([&] { return engine->host().client().status(instance.key).status == Status::waiting; });
  clock_->advance(1h - 1ms);
  engine->turn();
  EXPECT_FALSE(engine->bodies.contains("after"));
  clock_->advance(1ms);
  EXPECT_EQ(engine->result(instance.key).status, Status::complete);
}

TEST_F(HostTest, S20_ASleeperThatWasDueWhileNoEngineRanFiresAtOpen) {
  const Program program{sleep_op("nap", 1h), do_op("after")};
  {
    auto engine = open({{"s", program}});
    const InstanceRef instance = engine->create("s", "a");
    engine->run_until([&] { return engine->host().client().status(instance.key).status == Status::waiting; });
  }
  clock_->advance(2h);
  auto engine = open({{"s", program}});
  engine->run_until([&] { return engine->ended.size() == 1; });
  EXPECT_EQ(engine->bodies["after"], 1);
}

TEST_F(HostTest, AnInstanceThatOnlyWaitsLeavesMemoryAndComesBackByReplay) {
  auto engine = open({{"w", {do_op("before", "7"), wait_op("wait", "go"), do_op("after", "8")}}});
  const InstanceRef instance = engine->create("w", "a");
  engine->run_until([&] { return engine->host().client().status(instance.key).status == Status::waiting; });
  clock_->advance(10s);
  engine->run_until([&] { return engine->host().counters().loaded_instances == 0; });
  EXPECT_EQ(engine->host().counters().hibernated_instances, 1);

  engine->host().send_event({.workflow = "w", .id = "a", .type = "go", .payload = "\"x\""});
  EXPECT_EQ(engine->result(instance.key).output, "[7,\"x\",8 ]");
  EXPECT_EQ(engine->bodies["before"], 1);
  EXPECT_EQ(engine->starts[instance.key], 2);
}

TEST_F(HostTest, S22_AnEventSentBeforeTheWaitIsTheSameAsOneSentAfterIt) {
  auto engine = open({{"w", {sleep_op("nap", 1h), wait_op("wait", "go")}}});
  const InstanceRef instance = engine->create("w", "a");
  engine->host().send_event({.workflow = "w", .id = "a", .type = "go", .payload = "1"});
  engine->turn();
  clock_->advance(1h);
  EXPECT_EQ(engine->result(instance.key).output, "[null,1 ]");
}

TEST_F(HostTest, S24_EventsForFinishedAndUnknownInstancesAreErrors) {
  auto engine = open({{"w", {}}});
  engine->result(engine->create("w", "a").key);
  const auto finished = engine->reply(engine->host().send_event({.workflow = "w", .id = "a", .type = "go"}));
  EXPECT_EQ(std::get<Error>(finished).code, ErrorCode::instance_finished);
  const auto unknown = engine->reply(engine->host().send_event({.workflow = "w", .id = "b", .type = "go"}));
  EXPECT_EQ(std::get<Error>(unknown).code, ErrorCode::instance_not_found);
}

TEST_F(HostTest, S2_CreatingAnIdTwiceIsAnErrorOrReturnsTheFirst) {
  auto engine = open({{"w", {wait_op("wait", "go")}}});
  const InstanceRef first = engine->create("w", "a");
  const auto again = [&](OnConflict on_conflict, std::string params) {
    return engine->reply(
        engine->host().create({.workflow = "w", .params = std::move(params), .id = "a", .on_conflict = on_conflict}));
  };
  EXPECT_EQ(std::get<Error>(again(OnConflict::error, "{}")).code, ErrorCode::instance_exists);
  EXPECT_EQ(std::get<InstanceRef>(again(OnConflict::return_existing, "{}")).key, first.key);
  EXPECT_EQ(std::get<Error>(again(OnConflict::return_existing, "[]")).code, ErrorCode::instance_exists);
}

TEST_F(HostTest, S25_WhatAClientOfAnotherConnectionDoesReachesTheRunningEngine) {
  auto engine = open({{"w", {wait_op("wait", "go")}}});
  engine->turn();
  Client client({.database = file_});
  const InstanceRef instance = client.create({.workflow = "w", .id = "a"});
  engine->run_until([&] { return client.status(instance.key).status == Status::waiting; });
  client.send_event({.workflow = "w", .id = "a", .type = "go", .payload = "5"});
  engine->run_until([&] { return engine->ended.size() == 1; });
  EXPECT_EQ(client.result(instance.key, 0ms)->output, "[5 ]");
}

TEST_F(HostTest, S42_EachInstanceIsRunByOneOfSeveralEngines) {
  auto one = open({{"w", ten_steps()}});
  auto two = open({{"w", ten_steps()}});
  Client client({.database = file_});
  for (int i = 0; i < 50; ++i) client.create({.workflow = "w", .id = "i" + std::to_string(i)});
  const auto finished = [&] { return client.list({.status = Status::complete}).size() == 50; };
  for (int i = 0; i < 1'000 && !finished(); ++i) {
    one->turn();
    two->turn();
    std::this_thread::yield();
  }
  one->run_until([&] { return two->turn(), finished(); });
  EXPECT_EQ(one->bodies["step 0"] + two->bodies["step 0"], 50);
  EXPECT_EQ(one->bodies["step 9"] + two->bodies["step 9"], 50);
}

TEST_F(HostTest, S42_AnEngineWhoseOwnershipWasTakenStopsAndWritesNothingMore) {
  auto engine = open({{"w", {do_op("x")}}});
  engine->hold_bodies = true;
  const InstanceRef instance = engine->create("w", "a");
  let_leases_run_out();
  auto next = open({{"w", {do_op("x")}}});
  engine->host().create({.workflow = "w", .id = "b"});
  engine->run_until([&] { return engine->stopped.has_value(); });
  EXPECT_EQ(engine->stopped->code, ErrorCode::store);
  EXPECT_THROW(engine->host().create({.workflow = "w", .id = "c"}), StoreError);

  EXPECT_EQ(next->result(instance.key).status, Status::complete);
  EXPECT_EQ(next->host().client().list({}).size(), 1);
}

TEST_F(HostTest, ADamagedHistoryStopsTheEngineAndNamesTheInstance) {
  auto engine = open({{"w", {wait_op("payment", "paid"), sleep_op("nap", 1h)}}});
  engine->create("w", "a");
  engine->reply(engine->host().send_event({.workflow = "w", .id = "a", .type = "paid", .payload = "1"}));
  // The event was taken: what is waited for now is the end of the nap.
  engine->run_until([&] { return engine->host().client().list({}).front().wake == clock_->now() + Millis(1h); });
  engine.reset();
  change_file("DELETE FROM inbox");
  clock_->advance(2h);

  engine = open({{"w", {wait_op("payment", "paid"), sleep_op("nap", 1h)}}});
  engine->run_until([&] { return engine->stopped.has_value(); });
  EXPECT_EQ(engine->stopped->code, ErrorCode::store_corrupt);
  EXPECT_NE(engine->stopped->message.find("instance 'a' of workflow 'w'"), std::string::npos);
  EXPECT_THROW(engine->create("w", "b"), StoreCorruptError);
}

TEST_F(HostTest, MaxConcurrentInstancesBoundsHowManyAreInMemory) {
  auto limited = options();
  limited.max_concurrent_instances = 2;
  ScriptHost engine(limited, {{"w", {do_op("x")}}});
  engine.hold_bodies = true;
  for (int i = 0; i < 5; ++i) engine.create("w", "i" + std::to_string(i));
  engine.turn();
  EXPECT_EQ(engine.host().counters().loaded_instances, 2);
  EXPECT_EQ(engine.host().client().list({.status = Status::queued}).size(), 3);
}

TEST_F(HostTest, AnInstanceThatIsBeingClaimedHasItsPlaceKept) {
  Client client({.database = file_});
  for (const char* id : {"a", "b"}) client.create({.workflow = "w", .id = id});
  auto limited = options();
  limited.max_concurrent_instances = 2;
  ScriptHost engine(limited, {{"w", {do_op("x")}}});
  engine.hold_bodies = true;
  engine.host().create({.workflow = "w", .id = "c"});
  engine.run_until([&] { return engine.host().counters().loads == 2; });
  engine.turn();
  EXPECT_EQ(engine.host().counters().loaded_instances, 2);
}

TEST_F(HostTest, QueuedInstancesRunWhenThereIsRoom) {
  auto limited = options();
  limited.max_concurrent_instances = 2;
  ScriptHost engine(limited, {{"w", ten_steps()}});
  for (int i = 0; i < 20; ++i) engine.host().create({.workflow = "w", .id = "i" + std::to_string(i)});
  engine.run_until([&] { return engine.ended.size() == 20; });
  EXPECT_EQ(engine.bodies["step 5"], 20);
}

TEST_F(HostTest, AHundredThousandSleepersNeedNoThreadsAndAtMostTwoHundredBytesEach) {
  constexpr int kSleepers = 100'000;
  auto engine = open({{"s", {sleep_op("nap", 24h)}}});
  engine->turn();
  const auto threads_before = threads();
  const auto memory_before = allocated_bytes();
  for (int i = 0; i < kSleepers; ++i) {
    engine->host().create({.workflow = "s", .id = "i" + std::to_string(i)});
    if (i % 1'000 != 999) continue;
    engine->run_until([&] { return std::ssize(engine->starts) == i + 1; });
    clock_->advance(10s);
    engine->run_until(
        [&] { return engine->host().counters().hibernated_instances == static_cast<std::uint64_t>(i) + 1; });
  }
  EXPECT_EQ(engine->host().counters().loaded_instances, 0);
  EXPECT_EQ(threads(), threads_before);
  engine->forget_what_happened();
  EXPECT_LE((allocated_bytes() - memory_before) / kSleepers, 200);
}

// To load it three, to mark its row as written to two, for its end one; entries share theirs.
TEST_F(HostTest, ASleeperThatIsDueTakesSevenStatementsAtMost) {
  constexpr int kSleepers = 1'000;
  auto engine = open({{"s", {sleep_op("nap", 24h), do_op("after")}}, {"empty", {}}});
  for (int i = 0; i < kSleepers; ++i) engine->host().create({.workflow = "s", .id = "i" + std::to_string(i)});
  engine->run_until([&] { return engine->starts.size() == kSleepers; });
  clock_->advance(10s);
  engine->run_until([&] { return engine->host().counters().hibernated_instances == kSleepers; });
  engine->result(engine->create("empty", "behind-them").key);
  const auto before = engine->host().counters();
  clock_->advance(24h);
  engine->run_until([&] { return engine->ended.size() == kSleepers + 1; });
  EXPECT_LE(engine->host().counters().statements - before.statements, 7 * kSleepers);
}

TEST_F(HostTest, SleepersThatAreDueTogetherQueueForTheirPlacesInMemory) {
  constexpr auto kNap = 24h * 365;  // not over before all have begun theirs, however often the clock moves till then
  HostOptions two_at_a_time = options();
  two_at_a_time.max_concurrent_instances = 2;
  ScriptHost engine(two_at_a_time, {{"s", {sleep_op("nap", kNap), do_op("first"), do_op("second")}}});
  for (int i = 0; i < 20; ++i) engine.host().create({.workflow = "s", .id = "i" + std::to_string(i)});
  engine.run_until([&] {
    clock_->advance(1s);
    engine.host().clock_moved();
    return engine.host().counters().hibernated_instances == 20;
  });
  clock_->advance(kNap);
  std::uint64_t most = 0;
  engine.run_until([&] {
    most = std::max<std::uint64_t>(most, engine.host().counters().loaded_instances);
    return engine.ended.size() == 20;
  });
  EXPECT_EQ(most, 2);
}

// A turn takes 128 outcomes. What is left of a batch may give nothing to do: nobody waits for these.
TEST_F(HostTest, WhatArrivesWhileALargeBatchIsHandledIsNotSleptOver) {
  constexpr std::size_t kTurn = 128;
  constexpr std::size_t kAll = kTurn + 12;
  HostOptions one_workflow = options();
  one_workflow.workflows.push_back({"w", "1"});
  Host host(one_workflow);
  const auto is_ready = [&](int patience_ms) {
    pollfd fd{host.fd(), POLLIN, 0};
    return ::poll(&fd, 1, patience_ms) == 1;
  };
  std::vector<std::pair<InstanceKey, Asked>> bodies;
  bool replied = false;
  const auto take_all = [&] {
    for (auto actions = host.poll(); !actions.empty(); actions = host.poll()) {
      for (const Action& action : actions) {
        const auto* start = std::get_if<StartInstance>(&action);
        if (start != nullptr) bodies.emplace_back(start->instance, host.do_(start->instance, {.name = "body"}));
        replied |= std::holds_alternative<CallReply>(action);
      }
    }
  };
  for (std::size_t i = 0; i < kAll; ++i) host.create({.workflow = "w", .id = "i" + std::to_string(i)});
  while (is_ready(100)) take_all();
  ASSERT_EQ(bodies.size(), kAll);
  for (const auto& [instance, body] : bodies) host.body_finished(instance, body.ticket, body.attempt, Value{"1"});
  for (std::size_t i = kTurn; i < kAll; ++i) host.abandon(bodies[i].first, bodies[i].second.ticket);
  ASSERT_TRUE(host.poll().empty());
  ASSERT_TRUE(is_ready(10'000));
  ASSERT_EQ(host.poll().size(), kTurn);
  replied = false;
  const auto before = host.counters().wakeups;
  std::thread([&] { host.create({.workflow = "elsewhere"}); }).join();
  for (int i = 0; i < 1'000 && host.counters().wakeups == before; ++i) std::this_thread::sleep_for(1ms);
  while (!replied && is_ready(1'000)) take_all();
  EXPECT_TRUE(replied);
}

TEST_F(HostTest, S4_TheStatusOfAnInstanceThatHasJustEndedIsLeftAlone) {
  auto engine = open({{"s", {sleep_op("nap", 1h)}}});
  for (int i = 0; i < 100; ++i) engine->host().create({.workflow = "s", .id = "i" + std::to_string(i)});
  engine->run_until([&] { return engine->host().client().list({.status = Status::waiting}).size() == 100; });
  clock_->advance(1h);
  engine->run_until([&] {
    // So long after it awoke, an instance is noted as running. Here its end is on the way to disk by then.
    if (engine->finished > 0) clock_->advance(20ms);
    engine->host().clock_moved();
    return engine->ended.size() == 100 || engine->stopped;
  });
  EXPECT_FALSE(engine->stopped) << engine->stopped->message;
  EXPECT_EQ(engine->host().client().list({.status = Status::complete}).size(), 100);
}

TEST_F(HostTest, AClosedEngineRefusesEveryVerb) {
  auto engine = open({{"w", {}}});
  engine->host().close();
  engine->host().close();
  EXPECT_THROW(engine->host().create({.workflow = "w"}), EngineClosedError);
  EXPECT_THROW(engine->host().send_event({.workflow = "w", .id = "a", .type = "go"}), EngineClosedError);
  EXPECT_THROW(engine->host().watch(1), EngineClosedError);
  EXPECT_THROW(engine->host().client().status(1), EngineClosedError);
}

TEST_F(HostTest, S46_BadInputIsATypedErrorAndChangesNothing) {
  auto engine = open({{"w", {}}});
  Host& host = engine->host();
  EXPECT_THROW(host.create({.workflow = "no spaces"}), InvalidNameError);
  EXPECT_THROW(host.create({.workflow = "w", .id = "a/b"}), InvalidNameError);
  EXPECT_THROW(host.create({.workflow = "w", .params = std::string(2 << 20, '1')}), PayloadTooLargeError);
  EXPECT_THROW(host.send_event({.workflow = "w", .id = "a", .type = ""}), InvalidNameError);
  EXPECT_EQ(host.client().list({}).size(), 0);
}

}  // namespace
}  // namespace workflows
