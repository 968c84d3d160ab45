#include "tests/conformance/store_contract.h"

namespace workflows::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_P(StoreContract, S7_EntryComesBackWithEveryField) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);

  Entry full;
  full.kind = EntryKind::attempt_failed;
  full.step = 4'000'000'000;
  full.step_kind = StepKind::wait_for_event;
  full.occurrence = 3'999'999'999;
  full.name = "charge \"card\" für 5 €";
  full.after = 3'000'000'001;
  full.need = 3'000'000'002;
  full.attempt = 3'000'000'003;
  full.at = at(-1'800'000'000'000);
  full.began = TimePoint(Millis(0));
  full.deadline = at(315'576'000'000);
  full.event = 1'000'000'000'000;
  full.event_type = "paid.v1";
  full.source = "shop.cpp:42";
  full.detail = R"({"config":{"retries":{"limit":3}}})";
  full.value = std::string("{\"a\":\"\0\n\xF0\x9F\x90\xA2\"}", 14);
  const Entry empty{.kind = EntryKind::abandoned};

  must(store->commit(batch(owner, append(key, full), append(key, empty))));
  EXPECT_THAT(must(store->load(key)).history, ElementsAre(full, empty));
  EXPECT_THAT(must(connect()->load(key)).history, ElementsAre(full, empty));
}

TEST_P(StoreContract, ValuesOfAnySizeComeBackByteForByte) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  auto item = new_instance("a");
  item.params = std::string(100'000, 'p');
  item.owned = true;
  const auto key = std::get<Created>(must(store->commit(batch(owner, item))).at(0)).key;
  send(*store, event_for("a", std::string(50'000, 'e')));

  const std::vector<std::size_t> sizes{0, 1, 4095, 4096, 4097, 70'000, 5'000'000};
  Batch values{.owner = owner, .items = {}};
  for (const auto size : sizes) values.items.push_back(append(key, completed(0, std::string(size, 'v'))));
  must(store->commit(values));

  const auto loaded = must(connect()->load(key));
  EXPECT_EQ(loaded.params, item.params);
  EXPECT_EQ(loaded.inbox.at(0).payload, std::string(50'000, 'e'));
  ASSERT_THAT(loaded.history, SizeIs(sizes.size()));
  for (std::size_t i = 0; i < sizes.size(); ++i) EXPECT_EQ(loaded.history[i].value, std::string(sizes[i], 'v'));

  must(store->commit(batch(owner, append(key, ending(EntryKind::instance_completed, std::string(9000, 'o'))))));
  EXPECT_EQ(must(store->status(key)).output, std::string(9000, 'o'));
}

// Instances take turns, in batches of several sizes; each keeps its own order, for its owner and for anybody else. More
// entries than any store keeps unsettled.
TEST_P(StoreContract, HistoriesOfInterleavedInstancesKeepTheirOrder) {
  constexpr std::uint32_t kInstances = 40;
  constexpr std::uint32_t kEntries = 600;
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  std::vector<InstanceKey> keys;
  for (std::uint32_t i = 0; i < kInstances; ++i) keys.push_back(create(*store, std::to_string(i), owner));

  Batch pending{.owner = owner, .items = {}};
  for (std::uint32_t step = 0; step < kEntries; ++step) {
    for (std::uint32_t i = 0; i < kInstances; ++i)
      pending.items.push_back(append(keys[i], completed(step, std::to_string(i))));
    if (step % 7 != 0) continue;
    must(store->commit(pending));
    pending.items.clear();
  }
  must(store->commit(pending));

  const auto other = connect();
  for (std::uint32_t i = 0; i < kInstances; ++i) {
    const auto loaded = must(other->load(keys[i]));
    ASSERT_THAT(loaded.history, SizeIs(kEntries));
    for (std::uint32_t step = 0; step < kEntries; ++step)
      ASSERT_EQ(loaded.history[step], completed(step, std::to_string(i)));
    EXPECT_EQ(must(store->load(keys[i])).history, loaded.history);
  }
}

TEST_P(StoreContract, OnlyTheOwnerAppends) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto mine = create(*store, "mine", owner);
  const auto nobodys = create(*store, "nobodys");
  const auto other = connect();
  const auto others = create(*other, "others", must(other->open_owner(kHour)));

  for (const auto key : {nobodys, others, InstanceKey{999}}) {
    const auto results = must(store->commit(batch(owner, append(key, completed(0)), set_status(key, Status::waiting))));
    EXPECT_TRUE(std::holds_alternative<Lost>(results[0]));
    EXPECT_TRUE(std::holds_alternative<Lost>(results[1]));
  }
  EXPECT_EQ(error_of(store->commit(batch(std::nullopt, append(mine, completed(0))))).code, ErrorCode::store);
  for (const auto key : {mine, nobodys, others}) EXPECT_THAT(must(other->load(key)).history, IsEmpty());
}

TEST_P(StoreContract, HistoryGoesOnAfterARefusedBatch) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)))));
  ASSERT_FALSE(store->commit(batch(owner, append(key, completed(7)), unload(key), append(key, taking(999)))));
  ASSERT_FALSE(
      store->commit(batch(owner, append(key, taking(999)), append(key, ending(EntryKind::instance_completed)))));
  must(store->commit(batch(owner, append(key, completed(1)))));

  EXPECT_THAT(must(connect()->load(key)).history, ElementsAre(completed(0), completed(1)));
  EXPECT_EQ(must(connect()->load(key)).info.status, Status::running);
}

TEST_P(StoreContract, S4_LastEntryEndsTheInstance) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)), set_status(key, Status::waiting, at(5)))));
  must(store->commit(batch(owner, append(key, ending(EntryKind::instance_completed, R"("done")")))));

  const auto loaded = must(connect()->load(key));
  EXPECT_EQ(loaded.info.status, Status::complete);
  EXPECT_EQ(loaded.info.updated, at(1000));
  EXPECT_EQ(loaded.info.wake, std::nullopt);
  EXPECT_EQ(loaded.info.owner, 0);
  EXPECT_THAT(loaded.history, ElementsAre(completed(0), ending(EntryKind::instance_completed, R"("done")")));

  const auto status = must(store->status(key));
  EXPECT_EQ(status.status, Status::complete);
  EXPECT_EQ(status.output, R"("done")");
  EXPECT_FALSE(status.failure);
  EXPECT_TRUE(std::holds_alternative<Lost>(must(store->commit(batch(owner, append(key, completed(1))))).front()));
}

TEST_P(StoreContract, S4_FailureAndTerminationAreFinalToo) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto failed = create(*store, "failed", owner);
  const auto terminated = create(*store, "terminated", owner);
  const Failure failure{
      .type = "shop.CardDeclined", .message = "no money", .traceback = "", .cause = nullptr, .data = ""};
  must(store->commit(batch(owner, append(failed, ending(EntryKind::instance_errored, failure.to_json())),
                           append(terminated, ending(EntryKind::instance_terminated, "")))));

  const auto status = must(store->status(failed));
  EXPECT_EQ(status.status, Status::errored);
  EXPECT_EQ(status.output, "");
  ASSERT_TRUE(status.failure);
  EXPECT_EQ(status.failure->type, "shop.CardDeclined");
  EXPECT_EQ(status.failure->message, "no money");
  EXPECT_EQ(must(store->status(terminated)).status, Status::terminated);
}

TEST_P(StoreContract, UnfinishedInstanceHasNoOutcome) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)))));
  const auto status = must(store->status(key));
  EXPECT_EQ(status.status, Status::running);
  EXPECT_EQ(status.output, "");
  EXPECT_FALSE(status.failure);
}

TEST_P(StoreContract, StatusAndWakeTimeAreSetByTheOwner) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, set_status(key, Status::waiting, at(60'000)))));
  const auto waiting = must(store->find(key)).value();
  EXPECT_EQ(waiting.status, Status::waiting);
  EXPECT_EQ(waiting.wake, at(60'000));
  EXPECT_EQ(waiting.updated, at(100));

  must(store->commit(batch(owner, set_status(key, Status::running))));
  EXPECT_EQ(must(store->find(key))->wake, std::nullopt);

  EXPECT_FALSE(store->commit(batch(owner, set_status(key, Status::complete))));
  EXPECT_EQ(must(store->find(key))->status, Status::running);
}

TEST_P(StoreContract, HibernatedInstanceIsWrittenToAgain) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)), unload(key, at(5)))));
  EXPECT_THAT(must(connect()->load(key)).history, ElementsAre(completed(0)));
  must(store->commit(batch(owner, set_status(key, Status::running), append(key, completed(1)))));
  must(store->commit(batch(owner, append(key, completed(2)))));
  EXPECT_THAT(must(store->load(key)).history, ElementsAre(completed(0), completed(1), completed(2)));
  EXPECT_THAT(must(connect()->load(key)).history, ElementsAre(completed(0), completed(1), completed(2)));
}

}  // namespace
}  // namespace workflows::storage
