#include "tests/conformance/store_contract.h"

namespace workflows::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> payloads(const std::vector<InboxEvent>& events) {
  std::vector<std::string> found;
  for (const auto& event : events) found.push_back(event.payload);
  return found;
}

TEST_P(StoreContract, S22_EventsAreKeptInOrderOfArrival) {
  const auto store = connect();
  const auto key = create(*store, "a");
  create(*store, "b");
  const auto other = connect();
  send(*store, event_for("a", "1"));
  send(*other, event_for("b", "x"));
  send(*other, event_for("a", "2"));
  send(*store, event_for("a", "3"));

  const auto inbox = must(store->load(key)).inbox;
  EXPECT_THAT(payloads(inbox), ElementsAre("1", "2", "3"));
  EXPECT_LT(inbox[0].id, inbox[1].id);
  EXPECT_LT(inbox[1].id, inbox[2].id);
  EXPECT_EQ(inbox[0].type, "paid");
  EXPECT_EQ(inbox[0].at, at(10));
  EXPECT_FALSE(inbox[0].taken);
}

TEST_P(StoreContract, S24_EventForAnUnknownInstanceIsRefused) {
  const auto store = connect();
  EXPECT_EQ(send(*store, event_for("nobody")).refused, ErrorCode::instance_not_found);
  create(*store, "a");
  EXPECT_EQ(send(*store, event_for("nobody")).refused, ErrorCode::instance_not_found);
}

TEST_P(StoreContract, S24_EventForAFinishedInstanceIsRefused) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, ending(EntryKind::instance_completed)))));
  EXPECT_EQ(send(*store, event_for("a")).refused, ErrorCode::instance_finished);
  EXPECT_THAT(must(store->load(key)).inbox, IsEmpty());
}

TEST_P(StoreContract, S24_EventIdDeduplicatesWithinItsInstance) {
  const auto store = connect();
  const auto key = create(*store, "a");
  create(*store, "b");
  EXPECT_FALSE(send(*store, event_for("a", "1", "payment-7")).duplicate);
  const auto again = send(*store, event_for("a", std::string(10'000, '2'), "payment-7"));
  EXPECT_TRUE(again.duplicate);
  EXPECT_FALSE(again.refused);
  EXPECT_FALSE(send(*store, event_for("b", "3", "payment-7")).duplicate);
  EXPECT_FALSE(send(*store, event_for("a", "4")).duplicate);
  EXPECT_FALSE(send(*store, event_for("a", "5")).duplicate);
  EXPECT_THAT(payloads(must(store->load(key)).inbox), ElementsAre("1", "4", "5"));
}

TEST_P(StoreContract, S23_EventIsTakenWithTheEntryThatTookIt) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  send(*store, event_for("a", "1"));
  send(*store, event_for("a", "2"));
  const auto inbox = must(store->load(key)).inbox;
  must(store->commit(batch(owner, append(key, taking(inbox.at(0).id)))));

  const auto loaded = must(connect()->load(key));
  EXPECT_THAT(loaded.history, ElementsAre(taking(inbox[0].id)));
  ASSERT_THAT(loaded.inbox, SizeIs(2));
  EXPECT_TRUE(loaded.inbox[0].taken);
  EXPECT_FALSE(loaded.inbox[1].taken);
}

TEST_P(StoreContract, S23_EventIsNeverTakenTwice) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  const auto other = create(*store, "b", owner);
  send(*store, event_for("a"));
  const auto event = must(store->load(key)).inbox.at(0).id;

  EXPECT_FALSE(store->commit(batch(owner, append(other, taking(event)))));
  EXPECT_FALSE(store->commit(batch(owner, append(key, taking(event + 1)))));
  EXPECT_FALSE(store->commit(batch(owner, append(key, taking(event)), append(key, taking(event)))));
  EXPECT_FALSE(must(store->load(key)).inbox.at(0).taken);
  must(store->commit(batch(owner, append(key, taking(event)))));
  EXPECT_FALSE(store->commit(batch(owner, append(key, taking(event)))));
  EXPECT_THAT(must(store->load(key)).history, SizeIs(1));
}

TEST_P(StoreContract, S25_OwnerSeesEventsOfItsInstancesAsTheyArrive) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto a = create(*store, "a", owner);
  const auto b = create(*store, "b", owner);
  create(*store, "nobodys");
  const auto client = connect();

  EXPECT_THAT(must(store->arrivals(owner.id, 0, 10)).events, IsEmpty());
  send(*client, event_for("a", "1"));
  send(*client, event_for("nobodys", "x"));
  send(*client, event_for("b", "2"));
  send(*client, event_for("a", "3"));

  const auto first = must(store->arrivals(owner.id, 0, 2));
  ASSERT_THAT(first.events, SizeIs(2));
  EXPECT_EQ(first.events[0].instance, a);
  EXPECT_EQ(first.events[0].event, must(store->load(a)).inbox.at(0));
  EXPECT_EQ(first.events[1].instance, b);
  EXPECT_EQ(first.last, first.events[1].event.id);

  const auto second = must(store->arrivals(owner.id, first.last, 2));
  ASSERT_THAT(second.events, SizeIs(1));
  EXPECT_EQ(second.events[0].event.payload, "3");

  send(*client, event_for("nobodys", "y"));
  const auto third = must(store->arrivals(owner.id, second.last, 2));
  EXPECT_THAT(third.events, IsEmpty());
  EXPECT_GT(third.last, second.last);
  EXPECT_EQ(must(store->arrivals(owner.id, third.last, 2)).last, third.last);
}

TEST_P(StoreContract, InstancesWithUntakenEventsAreListedOnce) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto hibernated = create(*store, "hibernated", owner);
  const auto running = create(*store, "running", owner);
  const auto served = create(*store, "served", owner);
  const auto finished = create(*store, "finished", owner);
  create(*store, "silent", owner);
  create(*store, "nobodys");
  for (const auto* id : {"running", "hibernated", "running", "served", "finished", "nobodys"})
    send(*store, event_for(id));
  const auto event = must(store->load(served)).inbox.at(0).id;
  must(store->commit(batch(owner, append(served, taking(event)), unload(hibernated),
                           append(finished, ending(EntryKind::instance_completed)))));

  EXPECT_THAT(must(store->with_untaken_events(owner.id)), ElementsAre(hibernated, running));
}

}  // namespace
}  // namespace workflows::storage
