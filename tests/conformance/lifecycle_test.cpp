// S26 to S30: what anybody may do to an instance, whoever owns it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conformance/store_contract.h"

namespace workflows::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kHour = Millis(3'600'000);

class StoreLifecycle : public StoreContract {
 protected:
  static Controlled control(Store& store, std::string id, Verb verb, TimePoint when = at(2000)) {
    const Control item{.workflow = "order", .id = std::move(id), .verb = verb, .at = when};
    return std::get<Controlled>(must(store.commit(batch(std::nullopt, item))).at(0));
  }
  static Status status(Store& store, InstanceKey key) { return must(store.find(key))->status; }
  static std::vector<std::pair<InstanceKey, Notice::Kind>> notices(Store& store, Owner owner) {
    std::vector<std::pair<InstanceKey, Notice::Kind>> found;
    for (const auto& notice : must(store.notices(owner.id))) found.emplace_back(notice.instance, notice.kind);
    return found;
  }
  static bool is_lost(const std::expected<std::vector<ItemResult>, Error>& results) {
    return std::holds_alternative<Lost>(must(results).at(0));
  }
  // An instance of this status: `owned` by the owner if it can be.
  static InstanceKey in_status(Store& store, const std::string& id, Status status, std::optional<Owner> owner) {
    const auto key = create(store, id, owner);
    switch (status) {
      case Status::waiting:
        must(store.commit(batch(owner, set_status(key, Status::waiting, at(60'000)))));
        break;
      case Status::waiting_for_pause:
        control(store, id, Verb::pause);
        break;
      case Status::paused:
        control(store, id, Verb::pause);
        if (owner) must(store.commit(batch(owner, append(key, ending(EntryKind::paused, "")))));
        break;
      case Status::rolling_back:
        must(store.commit(batch(owner, append(key, ending(EntryKind::rollback_started, "")))));
        break;
      case Status::complete:
        must(store.commit(batch(owner, append(key, ending(EntryKind::instance_completed)))));
        break;
      case Status::errored:
        must(store.commit(batch(owner, append(key, ending(EntryKind::instance_errored, R"({"type":"E"})")))));
        break;
      case Status::terminated:
        control(store, id, Verb::terminate);
        break;
      default:
        break;
    }
    return key;
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, StoreLifecycle, ::testing::Values("sqlite", "memory"),
                         [](const auto& backend) { return backend.param; });

struct Row {
  Status from;
  bool owned;
  std::optional<Status> pause;
  std::optional<Status> resume;
  std::optional<Status> terminate;
};

// The table of S26; absent: refused. Restart and delete have tests of their own.
TEST_P(StoreLifecycle, S26_EachCallDoesWhatTheTableSays) {
  using enum Status;
  const std::vector<Row> table = {
      {queued, false, paused, {}, terminated},
      {running, true, waiting_for_pause, {}, terminated},
      {waiting, true, waiting_for_pause, {}, terminated},
      {waiting_for_pause, true, waiting_for_pause, running, terminated},
      {paused, true, paused, queued, terminated},
      {rolling_back, true, {}, {}, {}},
      {complete, true, {}, {}, {}},
      {errored, true, {}, {}, {}},
      {terminated, true, {}, {}, {}},
  };
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto other = connect();
  for (const auto& row : table) {
    for (const auto& [verb, expected] : {std::pair(Verb::pause, row.pause), std::pair(Verb::resume, row.resume),
                                         std::pair(Verb::terminate, row.terminate)}) {
      const std::string id = std::string(to_string(row.from)) + "-" + std::to_string(static_cast<int>(verb));
      const ::testing::ScopedTrace trace(__FILE__, __LINE__, id);
      const auto key = in_status(*store, id, row.from, row.owned ? std::optional(owner) : std::nullopt);
      ASSERT_EQ(status(*store, key), row.from);
      const auto done = control(*other, id, verb);
      EXPECT_EQ(done.found, row.from);
      EXPECT_EQ(done.refused, expected ? std::nullopt : std::optional(ErrorCode::invalid_transition));
      EXPECT_EQ(status(*store, key), expected.value_or(row.from));
    }
  }
}

TEST_P(StoreLifecycle, S26_AnUnknownInstanceIsSaidToBeOne) {
  const auto store = connect();
  EXPECT_EQ(control(*store, "nobody", Verb::pause).refused, ErrorCode::instance_not_found);
}

TEST_P(StoreLifecycle, S28_AnOwnerWritesNothingForAnInstanceThatWasTerminated) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  const auto mine = create(*store, "b", owner);
  must(store->commit(batch(owner, append(key, completed(0)), append(mine, completed(0)))));
  control(*connect(), "a", Verb::terminate);
  EXPECT_THAT(notices(*store, owner), ElementsAre(std::pair(key, Notice::Kind::lost)));

  const auto results = must(store->commit(batch(owner, append(key, completed(1)), append(mine, completed(1)))));
  EXPECT_TRUE(std::holds_alternative<Lost>(results[0]));
  EXPECT_TRUE(std::holds_alternative<Done>(results[1]));
  must(store->commit(batch(owner, Heard{must(store->notices(owner.id)).back().id})));
  EXPECT_THAT(notices(*store, owner), IsEmpty());
  EXPECT_TRUE(is_lost(store->commit(batch(owner, append(key, completed(1))))));
  EXPECT_THAT(must(connect()->load(key)).history,
              ElementsAre(completed(0), Entry{.kind = EntryKind::instance_terminated, .at = at(2000)}));
  EXPECT_THAT(must(connect()->load(mine)).history, ElementsAre(completed(0), completed(1)));
}

TEST_P(StoreLifecycle, S27_APauseIsAskedOfTheOwnerAndGivenByIt) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  control(*connect(), "a", Verb::pause);
  EXPECT_THAT(notices(*store, owner), ElementsAre(std::pair(key, Notice::Kind::pause)));
  must(store->commit(batch(owner, set_status(key, Status::waiting))));  // it had not heard of it
  EXPECT_EQ(status(*store, key), Status::waiting_for_pause);
  must(store->commit(batch(owner, append(key, ending(EntryKind::paused, "")))));
  const auto info = *must(store->find(key));
  EXPECT_EQ(info.status, Status::paused);
  EXPECT_EQ(info.owner, 0);
  EXPECT_EQ(info.updated, at(2000));  // timers stand still from the call on
}

TEST_P(StoreLifecycle, S27_AResumeThatOvertakesThePauseIsNotLost) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  const auto other = connect();
  control(*other, "a", Verb::pause);
  control(*other, "a", Verb::resume);
  EXPECT_TRUE(is_lost(store->commit(batch(owner, append(key, ending(EntryKind::paused, ""))))));
  EXPECT_EQ(status(*store, key), Status::running);
  EXPECT_THAT(notices(*store, owner),
              ElementsAre(std::pair(key, Notice::Kind::pause), std::pair(key, Notice::Kind::resume)));
  must(store->commit(batch(owner, append(key, ending(EntryKind::resumed, "")))));  // the owner's note of it
  EXPECT_EQ(status(*store, key), Status::running);
}

TEST_P(StoreLifecycle, S27_AResumedInstanceTellsSinceWhenItStoodStill) {
  const auto store = connect();
  const auto key = create(*store, "a");
  control(*store, "a", Verb::pause, at(1000));
  control(*store, "a", Verb::resume, at(5000));
  const Entry resumed{.kind = EntryKind::resumed, .at = at(5000), .began = at(1000)};
  EXPECT_THAT(must(store->load(key)).history, ElementsAre(Entry{.kind = EntryKind::paused, .at = at(1000)}, resumed));
}

TEST_P(StoreLifecycle, S27_OneThatWasToBePausedIsPausedWhenItsOwnerDies) {
  auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  control(*connect(), "a", Verb::pause);
  store.reset();
  const auto other = connect();
  must(other->replace_dead_owners());
  EXPECT_EQ(status(*other, key), Status::paused);
}

TEST_P(StoreLifecycle, S28_ARollbackOfARunningInstanceIsTheOwnersToDo) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)))));
  EXPECT_EQ(control(*connect(), "a", Verb::roll_back).refused, std::nullopt);
  EXPECT_EQ(status(*store, key), Status::rolling_back);
  EXPECT_THAT(notices(*store, owner), ElementsAre(std::pair(key, Notice::Kind::roll_back)));
  must(store->commit(batch(owner, append(key, ending(EntryKind::rollback_started, "")))));
  must(store->commit(batch(owner, set_status(key, Status::waiting))));
  EXPECT_EQ(status(*store, key), Status::rolling_back);
  Entry end = ending(EntryKind::instance_terminated, "");
  end.detail = R"({"rollback":{"compensated":[]}})";
  must(store->commit(batch(owner, append(key, end))));
  EXPECT_EQ(must(store->status(key)).rollback, R"({"compensated":[]})");
}

TEST_P(StoreLifecycle, S28_ACompletionThatIsOvertakenByARollbackIsNotTaken) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)))));
  control(*connect(), "a", Verb::roll_back);
  EXPECT_TRUE(is_lost(store->commit(batch(owner, append(key, ending(EntryKind::instance_completed, "1"))))));
  EXPECT_EQ(status(*store, key), Status::rolling_back);
  must(store->commit(batch(owner, append(key, ending(EntryKind::rollback_started, "")))));
  must(store->commit(batch(owner, append(key, ending(EntryKind::instance_terminated, "")))));
  EXPECT_EQ(must(store->load(key)).history.size(), 3U);
}

// Both take a place in memory.
TEST_P(StoreLifecycle, OnesThatRollBackAndQueuedOnesAreClaimedUpToOneLimit) {
  const auto store = connect();
  auto dead = connect();
  const auto before = must(dead->open_owner(kHour));
  create(*store, "queued");
  const auto key = create(*dead, "a", before);
  must(dead->commit(batch(before, append(key, completed(0)))));
  control(*store, "a", Verb::roll_back);
  dead.reset();
  const auto owner = must(store->open_owner(kHour));
  EXPECT_THAT(ids_of(claim(*store, owner, 1, 9)), ElementsAre("a"));
  EXPECT_THAT(ids_of(claim(*store, owner, 1, 9)), ElementsAre("queued"));
}

TEST_P(StoreLifecycle, S28_OneThatNobodyOwnsIsClaimedToRollBackUnlessItHasDoneNothing) {
  const auto store = connect();
  const auto fresh = create(*store, "fresh");
  control(*store, "fresh", Verb::roll_back);
  EXPECT_EQ(status(*store, fresh), Status::terminated);

  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)), Release{key})));
  control(*store, "a", Verb::roll_back);
  EXPECT_EQ(status(*store, key), Status::rolling_back);
  const auto claimed = claim(*store, owner, 9, 9);
  EXPECT_THAT(ids_of(claimed), ElementsAre("a"));
  EXPECT_EQ(claimed[0].status, Status::rolling_back);
}

TEST_P(StoreLifecycle, S28_ARestartBeginsAGenerationAndKeepsTheOldOneToLookAt) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  send(*store, event_for("a", "1"));
  must(store->commit(batch(owner, append(key, completed(0, std::string(9000, 'x'))))));
  const auto done = std::get<Controlled>(
      must(connect()->commit(batch(std::nullopt, Restart{.workflow = "order", .id = "a", .at = at(3000), .keep = {}})))
          .at(0));
  EXPECT_NE(done.key, key);
  EXPECT_TRUE(is_lost(store->commit(batch(owner, append(key, completed(1))))));

  const auto fresh = must(store->load(done.key));
  EXPECT_EQ(fresh.info.generation, 2u);
  EXPECT_EQ(fresh.info.status, Status::queued);
  EXPECT_EQ(fresh.info.created, at(0));
  EXPECT_EQ(fresh.params, "{}");
  EXPECT_THAT(fresh.history, IsEmpty());
  EXPECT_THAT(fresh.inbox, IsEmpty());
  EXPECT_EQ(must(store->find("order", "a"))->key, done.key);
  EXPECT_EQ(must(store->newest_generation(key)), done.key);
  EXPECT_THAT(must(store->generations("order", "a")), SizeIs(2));
  EXPECT_EQ(must(store->load(key)).history.back().kind, EntryKind::instance_terminated);
  EXPECT_EQ(must(store->status(key)).status, Status::terminated);
}

TEST_P(StoreLifecycle, S28_WhatIsKeptIsDecidedWithinTheTransaction) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  send(*store, event_for("a", std::string(9000, '1')));
  send(*store, event_for("a", "2"));
  const auto inbox = must(store->load(key)).inbox;
  must(store->commit(batch(owner, append(key, taking(inbox[0].id)), append(key, completed(1)))));
  const Restart item{.workflow = "order", .id = "a", .at = at(3000), .keep = [](const Loaded& old) {
                       return Kept{.entries = {old.history.front()}, .taken = {old.inbox.front().id}};
                     }};
  const auto next = std::get<Controlled>(must(store->commit(batch(std::nullopt, item))).at(0)).key;
  const auto fresh = must(store->load(next));
  ASSERT_THAT(fresh.inbox, SizeIs(2));
  EXPECT_TRUE(fresh.inbox[0].taken);
  EXPECT_EQ(fresh.inbox[0].payload, std::string(9000, '1'));
  EXPECT_FALSE(fresh.inbox[1].taken);
  ASSERT_THAT(fresh.history, SizeIs(1));
  EXPECT_EQ(fresh.history[0].event, fresh.inbox[0].id);

  const Restart refused{.workflow = "order", .id = "a", .at = at(3000), .keep = [](const Loaded&) {
                          return std::unexpected(Error{ErrorCode::invalid_config, "no such step"});
                        }};
  EXPECT_EQ(error_of(store->commit(batch(std::nullopt, refused))).message, "no such step");
  EXPECT_EQ(must(store->find("order", "a"))->key, next);
  EXPECT_EQ(must(store->find("order", "a"))->status, Status::queued);
}

TEST_P(StoreLifecycle, S26_WhatRollsBackIsNeitherRestartedNorDeleted) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  in_status(*store, "a", Status::rolling_back, owner);
  EXPECT_EQ(control(*store, "a", Verb::remove).refused, ErrorCode::invalid_transition);
  const auto restarted = std::get<Controlled>(
      must(store->commit(batch(std::nullopt, Restart{.workflow = "order", .id = "a", .at = at(1), .keep = {}}))).at(0));
  EXPECT_EQ(restarted.refused, ErrorCode::invalid_transition);
}

TEST_P(StoreLifecycle, S26_ADeletedInstanceIsOutOfSightAtOnceAndItsRowsGoInSmallPortions) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  const auto kept = create(*store, "kept", owner);
  for (std::uint32_t i = 0; i < 50; ++i) {
    must(store->commit(
        batch(owner, append(key, completed(i, std::string(i % 2 == 0 ? 5000 : 5, 'x'))), append(kept, completed(i)))));
  }
  send(*store, event_for("a", std::string(5000, 'y')));
  must(store->commit(batch(std::nullopt, Restart{.workflow = "order", .id = "a", .at = at(3000), .keep = {}})));
  EXPECT_EQ(control(*connect(), "a", Verb::remove).refused, std::nullopt);
  EXPECT_FALSE(must(store->find("order", "a")));
  EXPECT_FALSE(must(store->find(key)));
  EXPECT_FALSE(store->load(key));
  EXPECT_THAT(ids_of(must(store->list({}))), ElementsAre("kept"));
  EXPECT_EQ(send(*store, event_for("a")).refused, ErrorCode::instance_not_found);

  std::uint32_t portions = 0;
  while (must(store->collect_garbage(at(9000), 20)).more) ASSERT_LT(++portions, 20u);
  EXPECT_EQ(must(store->collect_garbage(at(9000), 20)).rows, 0u);
  const auto again = create(*store, "a", owner);
  EXPECT_GT(again, kept);
  must(store->commit(batch(owner, append(again, completed(0)), append(kept, completed(50)))));
  EXPECT_THAT(must(connect()->load(kept)).history, SizeIs(51));
  EXPECT_THAT(must(connect()->load(again)).history, ElementsAre(completed(0)));
}

TEST_P(StoreLifecycle, S30_WhatHasExpiredIsRemovedByHowItEnded) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto with = [&](const std::string& id, const Retention& retention) {
    auto item = new_instance(id);
    item.owned = true;
    item.retention = retention;
    return std::get<Created>(must(store->commit(batch(owner, item))).at(0)).key;
  };
  const auto end = [&](InstanceKey key, EntryKind kind) {
    must(store->commit(batch(owner, append(key, ending(kind, kind == EntryKind::instance_errored ? "{}" : "1")))));
  };
  end(with("done", {.success = Millis(100), .failure = {}}), EntryKind::instance_completed);
  end(with("failed", {.success = Millis(100), .failure = Millis(500)}), EntryKind::instance_errored);
  end(with("kept", Retention{}), EntryKind::instance_completed);
  with("running", {.success = Millis(1), .failure = Millis(1)});

  EXPECT_EQ(must(store->find("order", "done"))->expires, at(1100));
  must(store->collect_garbage(at(1099), 100));
  EXPECT_THAT(ids_of(must(store->list({}))), ElementsAre("done", "failed", "kept", "running"));
  must(store->collect_garbage(at(1100), 100));
  EXPECT_THAT(ids_of(must(store->list({}))), ElementsAre("failed", "kept", "running"));
  must(store->collect_garbage(at(1500), 100));
  EXPECT_THAT(ids_of(must(store->list({}))), ElementsAre("kept", "running"));
}

TEST_P(StoreLifecycle, S30_WhoClaimsAnInstanceThatWasCreatedWithoutRetentionSaysWhatItsWorkflowSays) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  auto own = new_instance("own");
  own.retention = Retention{.success = Millis(500)};
  auto for_ever = new_instance("for-ever");
  for_ever.retention = Retention{};
  must(store->commit(batch(std::nullopt, new_instance("unknown"), own, for_ever)));
  const Claim claim{.workflows = {"order"}, .retentions = {{"order", {.success = Millis(100)}}}, .queued = 9};
  const auto claimed = must(store->commit(batch(owner, claim)));
  for (const InstanceInfo& info : std::get<Claimed>(claimed.at(0)).instances)
    must(store->commit(batch(owner, append(info.key, ending(EntryKind::instance_completed, "1")))));

  EXPECT_EQ(must(store->find("order", "unknown"))->expires, at(1100));
  EXPECT_EQ(must(store->find("order", "own"))->expires, at(1500));
  EXPECT_EQ(must(store->find("order", "for-ever"))->expires, std::nullopt);
}

TEST_P(StoreLifecycle, S29_ABatchOfTenThousandIsOneTransaction) {
  const auto store = connect();
  create(*store, "7");
  const auto before = store->counters().transactions;
  CreateBatch item;
  for (int i = 0; i < 10'000; ++i) item.creates.push_back(new_instance(std::to_string(i)));
  const auto results = must(store->commit(batch(std::nullopt, item)));
  const auto& created = std::get<CreatedBatch>(results.at(0)).created;
  ASSERT_THAT(created, SizeIs(10'000));
  EXPECT_TRUE(created[7].existed);
  EXPECT_FALSE(created[8].existed);
  EXPECT_EQ(store->counters().transactions, before + 1);
}

TEST_P(StoreLifecycle, S29_EachOfManyNewInstancesGetsItsOwnRow) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  CreateBatch item;
  for (int i = 0; i < 34; ++i) {
    Create one = new_instance("n" + std::to_string(i), i % 2 == 0 ? "order" : "invoice");
    one.params = i == 3 ? '"' + std::string(10'000, 'p') + '"' : std::to_string(i);
    one.new_id = i != 25;
    one.owned = i % 3 == 0;
    one.retention = Retention{.success = Duration(Millis(i)), .failure = std::nullopt};
    item.creates.push_back(std::move(one));
  }
  const auto results = must(store->commit(batch(owner, item)));
  const auto& created = std::get<CreatedBatch>(results.at(0)).created;
  ASSERT_THAT(created, SizeIs(34));
  for (std::size_t i = 0; i < created.size(); ++i) {
    const auto loaded = must(store->load(created[i].key));
    EXPECT_EQ(loaded.info.id, item.creates[i].id);
    EXPECT_EQ(loaded.info.workflow, item.creates[i].workflow);
    EXPECT_EQ(loaded.params, item.creates[i].params);
    EXPECT_EQ(loaded.info.owner, i % 3 == 0 ? owner.id : 0);
    EXPECT_EQ(loaded.info.status, i % 3 == 0 ? Status::running : Status::queued);
    EXPECT_EQ(created[i].owned, i % 3 == 0);
  }
  must(store->commit(batch(owner, append(created[33].key, ending(EntryKind::instance_completed)))));
  EXPECT_EQ(must(store->find("invoice", "n33"))->expires, at(1033));
}

TEST_P(StoreLifecycle, EntriesAreReadFromACursorOn) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)), append(key, completed(1)))));
  const auto reader = connect();
  const auto all = must(reader->entries(key, 0));
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_THAT(must(reader->entries(key, all[0].cursor)), ElementsAre(all[1]));
  must(store->commit(batch(owner, append(key, completed(2)))));
  const auto later = must(reader->entries(key, all[1].cursor));
  ASSERT_THAT(later, SizeIs(1));
  EXPECT_EQ(later[0].entry, completed(2));
}

}  // namespace
}  // namespace workflows::storage
