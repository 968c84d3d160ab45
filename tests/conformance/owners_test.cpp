#include "tests/conformance/store_contract.h"

namespace workflows::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A lease that is over the moment it is given.
constexpr Millis kExpired{-1};

TEST_P(StoreContract, ClaimTakesTheOldestFirstAndNotMoreThanAsked) {
  const auto store = connect();
  for (const auto* id : {"c", "b", "a", "d"}) create(*store, id);
  const auto owner = must(store->open_owner(kHour));

  const auto first = claim(*store, owner, 2, 9);
  EXPECT_THAT(ids_of(first), ElementsAre("c", "b"));
  EXPECT_EQ(first[0].status, Status::running);
  EXPECT_EQ(must(store->find(first[0].key))->status, Status::running);
  EXPECT_EQ(must(store->load(first[0].key)).info.owner, owner.id);
  EXPECT_THAT(ids_of(claim(*store, owner, 9, 0)), ElementsAre("a", "d"));
  EXPECT_THAT(claim(*store, owner, 9, 9), IsEmpty());
}

TEST_P(StoreContract, S6_OnlyInstancesOfRegisteredWorkflowsAreClaimed) {
  const auto store = connect();
  must(store->commit(batch(std::nullopt, new_instance("1", "order"), new_instance("2", "invoice"),
                           new_instance("3", "refund"), new_instance("4", "order"))));
  const auto owner = must(store->open_owner(kHour));
  const auto item = Claim{.workflows = {"refund", "order", "never-seen", "order"}, .queued = 2, .waiting = 0};
  const auto claimed = std::get<Claimed>(must(store->commit(batch(owner, item))).at(0)).instances;
  EXPECT_THAT(ids_of(claimed), ElementsAre("1", "3"));
  EXPECT_EQ(must(store->find("invoice", "2"))->status, Status::queued);
}

TEST_P(StoreContract, OnlyTheInstancesOfAnIdAreClaimedIfOneIsNamed) {
  const auto store = connect();
  must(store->commit(batch(std::nullopt, new_instance("other", "order"), new_instance("mine", "order"),
                           new_instance("mine", "invoice"), new_instance("mine", "refund"))));
  const auto owner = must(store->open_owner(kHour));
  const auto item = Claim{.workflows = {"order", "invoice"}, .id = "mine", .queued = 9, .waiting = 9};
  const auto claimed = std::get<Claimed>(must(store->commit(batch(owner, item))).at(0)).instances;
  EXPECT_THAT(ids_of(claimed), ElementsAre("mine", "mine"));
  EXPECT_EQ(must(store->find("order", "other"))->status, Status::queued);
  EXPECT_EQ(must(store->find("refund", "mine"))->status, Status::queued);
}

TEST_P(StoreContract, S42_TwoOwnersNeverClaimTheSameInstance) {
  const auto one = connect();
  const auto two = connect();
  for (const auto* id : {"a", "b", "c"}) create(*one, id);
  const auto first = must(one->open_owner(kHour));
  const auto second = must(two->open_owner(kHour));
  EXPECT_THAT(ids_of(claim(*one, first, 2, 0)), ElementsAre("a", "b"));
  EXPECT_THAT(ids_of(claim(*two, second, 2, 0)), ElementsAre("c"));
}

TEST_P(StoreContract, S42_InstancesOfADeadOwnerAreFreeAtOnce) {
  auto dead = connect();
  const auto owner = must(dead->open_owner(kHour));
  const auto running = create(*dead, "running", owner);
  const auto waiting = create(*dead, "waiting", owner);
  const auto finished = create(*dead, "finished", owner);
  must(dead->commit(batch(owner, append(running, completed(0)), append(waiting, completed(0)),
                          set_status(waiting, Status::waiting, at(7)),
                          append(finished, ending(EntryKind::instance_completed)))));
  must(dead->commit(batch(owner, append(running, completed(1)))));
  dead.reset();

  const auto store = connect();
  const auto successor = must(store->open_owner(kHour));
  EXPECT_EQ(must(store->find(running))->status, Status::queued);
  EXPECT_EQ(must(store->find(waiting))->status, Status::waiting);
  EXPECT_EQ(must(store->find(waiting))->wake, at(7));
  EXPECT_EQ(must(store->find(finished))->status, Status::complete);

  EXPECT_THAT(ids_of(claim(*store, successor, 9, 9)), ElementsAre("running", "waiting"));
  EXPECT_THAT(must(store->load(running)).history, ElementsAre(completed(0), completed(1)));
  EXPECT_EQ(must(store->load(running)).info.owner, successor.id);
  must(store->commit(batch(successor, append(running, completed(2)), append(waiting, completed(1)))));
  EXPECT_THAT(must(connect()->load(running)).history, ElementsAre(completed(0), completed(1), completed(2)));
  EXPECT_THAT(must(connect()->load(waiting)).history, ElementsAre(completed(0), completed(1)));
}

TEST_P(StoreContract, S42_LiveOwnerIsNotReplaced) {
  const auto live = connect();
  const auto owner = must(live->open_owner(kHour));
  const auto key = create(*live, "a", owner);
  const auto store = connect();
  must(store->open_owner(kHour));
  EXPECT_EQ(must(store->replace_dead_owners()), 0u);
  must(live->commit(batch(owner, append(key, completed(0)))));
}

TEST_P(StoreContract, S42_OwnerWhoseLeaseIsOverIsFencedForEver) {
  const auto slow = connect();
  const auto owner = must(slow->open_owner(kExpired));
  const auto key = create(*slow, "a", owner);
  must(slow->commit(batch(owner, append(key, completed(0)))));

  const auto store = connect();
  EXPECT_EQ(must(store->replace_dead_owners()), 1u);
  EXPECT_EQ(must(store->replace_dead_owners()), 0u);

  for (int i = 0; i < 2; ++i) {
    const auto late = slow->commit(batch(owner, append(key, completed(1)), new_instance("b")));
    EXPECT_EQ(error_of(late).code, ErrorCode::store);
    EXPECT_THAT(error_of(late).message, HasSubstr("ownership was lost"));
  }
  EXPECT_FALSE(slow->commit(batch(owner, Renew{.lease = kHour})));
  EXPECT_FALSE(slow->commit(batch(owner, new_instance("b"))));
  EXPECT_FALSE(must(store->find("order", "b")));
  EXPECT_THAT(must(store->load(key)).history, ElementsAre(completed(0)));

  // Its connection itself is sound: it may create, and own anew.
  create(*slow, "b");
  const auto again = must(slow->open_owner(kHour));
  EXPECT_THAT(ids_of(claim(*slow, again, 9, 9)), ElementsAre("a", "b"));
  must(slow->commit(batch(again, append(key, completed(1)))));
  EXPECT_THAT(must(store->load(key)).history, ElementsAre(completed(0), completed(1)));
}

TEST_P(StoreContract, S42_RenewedLeaseKeepsTheOwnerAlive) {
  const auto live = connect();
  const auto owner = must(live->open_owner(kExpired));
  must(live->commit(batch(owner, Renew{.lease = kHour})));
  EXPECT_EQ(must(connect()->replace_dead_owners()), 0u);
  must(live->commit(batch(owner, Renew{.lease = kExpired})));
  EXPECT_EQ(must(connect()->replace_dead_owners()), 1u);
}

TEST_P(StoreContract, OwnerDoesNotReplaceItself) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kExpired));
  EXPECT_EQ(must(store->replace_dead_owners()), 0u);
  create(*store, "a", owner);
}

TEST_P(StoreContract, ClosedOwnerGivesEverythingBack) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)))));
  must(store->close_owner(owner));
  EXPECT_EQ(must(store->find(key))->status, Status::queued);
  EXPECT_EQ(must(store->load(key)).info.owner, 0);
  EXPECT_THAT(must(store->load(key)).history, ElementsAre(completed(0)));
  EXPECT_FALSE(store->commit(batch(owner, append(key, completed(1)))));
  must(store->close_owner(owner));

  const auto next = must(store->open_owner(kHour));
  EXPECT_THAT(ids_of(claim(*store, next, 9, 9)), ElementsAre("a"));
}

TEST_P(StoreContract, ClosingAFencedOwnerLeavesItsSuccessorAlone) {
  const auto slow = connect();
  const auto owner = must(slow->open_owner(kExpired));
  create(*slow, "a", owner);
  const auto store = connect();
  const auto successor = must(store->open_owner(kHour));
  const auto key = claim(*store, successor, 9, 9).at(0).key;
  must(slow->close_owner(owner));
  EXPECT_EQ(must(store->load(key)).info.owner, successor.id);
  must(store->commit(batch(successor, append(key, completed(0)))));
}

TEST_P(StoreContract, ReleasedInstanceIsQueuedForOthers) {
  const auto one = connect();
  const auto owner = must(one->open_owner(kHour));
  const auto key = create(*one, "a", owner);
  must(one->commit(batch(owner, append(key, completed(0)), Release{.instance = key})));
  EXPECT_EQ(must(one->find(key))->status, Status::queued);
  EXPECT_TRUE(std::holds_alternative<Lost>(must(one->commit(batch(owner, append(key, completed(1))))).front()));
  EXPECT_TRUE(std::holds_alternative<Lost>(must(one->commit(batch(owner, Release{.instance = key}))).front()));

  const auto two = connect();
  const auto other = must(two->open_owner(kHour));
  EXPECT_THAT(ids_of(claim(*two, other, 9, 9)), ElementsAre("a"));
  must(two->commit(batch(other, append(key, completed(1)))));
  EXPECT_THAT(must(one->load(key)).history, ElementsAre(completed(0), completed(1)));
}

TEST_P(StoreContract, OwnerBelongsToTheConnectionThatOpenedIt) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  EXPECT_EQ(error_of(store->open_owner(kHour)).code, ErrorCode::store);
  EXPECT_EQ(error_of(connect()->commit(batch(owner, append(key, completed(0))))).code, ErrorCode::store);
  must(store->commit(batch(owner, append(key, completed(0)))));
}

TEST_P(StoreContract, WhatNeedsAnOwnerIsRefusedWithoutOne) {
  const auto store = connect();
  const auto key = create(*store, "a");
  EXPECT_FALSE(store->commit(batch(std::nullopt, set_status(key, Status::waiting))));
  EXPECT_FALSE(store->commit(batch(std::nullopt, Claim{.workflows = {"order"}, .queued = 1, .waiting = 0})));
  EXPECT_FALSE(store->commit(batch(std::nullopt, Release{.instance = key})));
  EXPECT_FALSE(store->commit(batch(std::nullopt, Renew{.lease = kHour})));
}

}  // namespace
}  // namespace workflows::storage
