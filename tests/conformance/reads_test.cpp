#include "tests/conformance/store_contract.h"

namespace workflows::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(StoreContract, UnknownInstanceIsNotFound) {
  const auto store = connect();
  EXPECT_EQ(must(store->find("order", "a")), std::nullopt);
  EXPECT_EQ(must(store->find(7)), std::nullopt);
  EXPECT_EQ(error_of(store->load(7)).code, ErrorCode::instance_not_found);
  EXPECT_EQ(error_of(store->status(7)).code, ErrorCode::instance_not_found);
  EXPECT_THAT(must(store->list({})), IsEmpty());
}

TEST_P(StoreContract, InstanceIsFoundByNameAndByKey) {
  const auto store = connect();
  const auto key = create(*store, "a");
  const auto other = connect();
  EXPECT_EQ(must(other->find("order", "a"))->key, key);
  EXPECT_EQ(must(other->find(key))->id, "a");
  EXPECT_EQ(must(other->find(key)), must(other->find("order", "a")));
}

TEST_P(StoreContract, ListIsInOrderOfKeyAndComesInPages) {
  const auto store = connect();
  for (const auto* id : {"e", "d", "c", "b", "a"}) create(*store, id);
  ListQuery query;
  query.limit = 2;
  const auto first = must(store->list(query));
  EXPECT_THAT(ids_of(first), ElementsAre("e", "d"));
  query.after = first.back().key;
  const auto second = must(store->list(query));
  EXPECT_THAT(ids_of(second), ElementsAre("c", "b"));
  query.after = second.back().key;
  EXPECT_THAT(ids_of(must(store->list(query))), ElementsAre("a"));
}

TEST_P(StoreContract, ListFilters) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  auto late = new_instance("order-3");
  late.created = at(50);
  must(store->commit(batch(std::nullopt, new_instance("order-1"), new_instance("order-2"), late,
                           new_instance("order-1", "invoice"), new_instance("zebra"))));
  const auto running = create(*store, "order-4", owner);
  const auto done = create(*store, "done", owner);
  must(store->commit(batch(owner, append(done, ending(EntryKind::instance_completed)))));

  const auto listed = [&](const ListQuery& query) { return ids_of(must(store->list(query))); };
  ListQuery query;
  query.workflow = "invoice";
  EXPECT_THAT(listed(query), ElementsAre("order-1"));
  query.workflow = "never-seen";
  EXPECT_THAT(listed(query), IsEmpty());

  query = {};
  query.status = Status::running;
  EXPECT_THAT(listed(query), ElementsAre("order-4"));
  query.status = Status::complete;
  EXPECT_THAT(listed(query), ElementsAre("done"));

  query = {};
  query.created_after = at(0);
  EXPECT_THAT(listed(query), ElementsAre("order-3"));

  query = {};
  query.id_prefix = "order-";
  EXPECT_THAT(listed(query), ElementsAre("order-1", "order-2", "order-3", "order-1", "order-4"));
  query.id_prefix = "order-%";
  EXPECT_THAT(listed(query), IsEmpty());

  query = {};
  query.workflow = "order";
  query.status = Status::queued;
  query.created_after = at(-1);
  query.id_prefix = "order-";
  query.limit = 2;
  EXPECT_THAT(listed(query), ElementsAre("order-1", "order-2"));
  query.after = running;
  EXPECT_THAT(listed(query), IsEmpty());
}

TEST_P(StoreContract, S25_OthersCommitsAreNoticedOnce) {
  const auto store = connect();
  const auto other = connect();
  EXPECT_FALSE(must(store->changed()));
  create(*store, "mine");
  EXPECT_FALSE(must(store->changed()));
  create(*other, "theirs");
  EXPECT_TRUE(must(store->changed()));
  EXPECT_FALSE(must(store->changed()));
  send(*other, event_for("mine"));
  create(*store, "mine-too");
  EXPECT_TRUE(must(store->changed()));
  EXPECT_TRUE(must(other->changed()));
}

TEST_P(StoreContract, TransactionsAreCounted) {
  const auto store = connect();
  const auto before = store->counters();
  create(*store, "a");
  create(*store, "b");
  EXPECT_EQ(store->counters().transactions - before.transactions, 2u);
  EXPECT_GT(store->counters().statements, before.statements);
  const auto reading = store->counters();
  must(store->find("order", "a"));
  EXPECT_EQ(store->counters().transactions, reading.transactions);
}

TEST_P(StoreContract, ReadsSeeWhatOthersCommitted) {
  const auto store = connect();
  const auto other = connect();
  EXPECT_EQ(must(other->find("order", "a")), std::nullopt);
  const auto key = create(*store, "a");
  EXPECT_EQ(must(other->find("order", "a"))->key, key);
}

}  // namespace
}  // namespace workflows::storage
