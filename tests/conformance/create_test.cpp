#include <atomic>
#include <thread>

#include "tests/conformance/store_contract.h"

namespace workflows::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(StoreContract, CreatedInstanceIsQueuedForAnyEngine) {
  const auto store = connect();
  auto item = new_instance("a");
  item.params = R"({"sku":"A1"})";
  item.version = "2024-05";
  const auto created = std::get<Created>(must(store->commit(batch(std::nullopt, item))).at(0));
  EXPECT_FALSE(created.existed);

  const InstanceInfo expected{.key = created.key,
                              .workflow = "order",
                              .id = "a",
                              .generation = 1,
                              .status = Status::queued,
                              .created = at(0),
                              .updated = at(0),
                              .wake = std::nullopt,
                              .version = "2024-05"};
  const auto loaded = must(store->load(created.key));
  EXPECT_EQ(loaded.info, expected);
  EXPECT_EQ(loaded.info.owner, 0);
  EXPECT_EQ(loaded.params, R"({"sku":"A1"})");
  EXPECT_THAT(loaded.history, IsEmpty());
  EXPECT_THAT(loaded.inbox, IsEmpty());
}

TEST_P(StoreContract, OwnedInstanceRunsAtOnce) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto loaded = must(store->load(create(*store, "a", owner)));
  EXPECT_EQ(loaded.info.status, Status::running);
  EXPECT_EQ(loaded.info.owner, owner.id);
}

TEST_P(StoreContract, S2_CreatingAnIdThatExistsFindsTheFirstOne) {
  const auto store = connect();
  const auto key = create(*store, "a");

  const auto same = std::get<Created>(must(store->commit(batch(std::nullopt, new_instance("a")))).at(0));
  EXPECT_EQ(same.key, key);
  EXPECT_TRUE(same.existed);
  EXPECT_TRUE(same.same_params);

  auto spelled = new_instance("a");
  spelled.params = "{ }";
  EXPECT_TRUE(std::get<Created>(must(store->commit(batch(std::nullopt, spelled))).at(0)).same_params);

  auto other = new_instance("a");
  other.params = std::string(10'000, 'x');
  const auto different = std::get<Created>(must(store->commit(batch(std::nullopt, other))).at(0));
  EXPECT_EQ(different.key, key);
  EXPECT_TRUE(different.existed);
  EXPECT_FALSE(different.same_params);
  EXPECT_EQ(must(store->load(key)).params, "{}");
}

TEST_P(StoreContract, S2_IdsAreUniqueWithinTheirWorkflowOnly) {
  const auto store = connect();
  const auto results =
      must(store->commit(batch(std::nullopt, new_instance("a", "order"), new_instance("a", "invoice"))));
  EXPECT_FALSE(std::get<Created>(results.at(1)).existed);
  EXPECT_NE(std::get<Created>(results.at(0)).key, std::get<Created>(results.at(1)).key);
}

TEST_P(StoreContract, S29_EveryItemOfABatchHasItsOwnOutcome) {
  const auto store = connect();
  create(*store, "b");
  const auto results = must(
      store->commit(batch(std::nullopt, new_instance("a"), new_instance("b"), new_instance("c"), event_for("zzz"))));
  EXPECT_FALSE(std::get<Created>(results.at(0)).existed);
  EXPECT_TRUE(std::get<Created>(results.at(1)).existed);
  EXPECT_FALSE(std::get<Created>(results.at(2)).existed);
  EXPECT_EQ(std::get<Sent>(results.at(3)).refused, ErrorCode::instance_not_found);
}

TEST_P(StoreContract, RefusedBatchLeavesNothing) {
  const auto store = connect();
  auto owned = new_instance("b", "new-workflow");
  owned.owned = true;
  const auto refused = store->commit(batch(std::nullopt, new_instance("a", "new-workflow"), owned));
  EXPECT_EQ(error_of(refused).code, ErrorCode::store);
  EXPECT_FALSE(must(store->find("new-workflow", "a")));

  // What the refused batch made first can be made again.
  EXPECT_FALSE(
      std::get<Created>(must(store->commit(batch(std::nullopt, new_instance("a", "new-workflow")))).at(0)).existed);
  EXPECT_EQ(must(connect()->find("new-workflow", "a"))->workflow, "new-workflow");
}

TEST_P(StoreContract, S2_OfConcurrentCreatorsExactlyOneWins) {
  constexpr int kIds = 50;
  constexpr int kCreators = 4;
  std::atomic<int> won{0};
  {
    std::vector<std::jthread> creators;
    for (int i = 0; i < kCreators; ++i) {
      creators.emplace_back([&, store = connect()] {
        for (int id = 0; id < kIds; ++id) {
          const auto result = must(store->commit(batch(std::nullopt, new_instance(std::to_string(id)))));
          if (!std::get<Created>(result.at(0)).existed) ++won;
        }
      });
    }
  }
  EXPECT_EQ(won, kIds);
  EXPECT_EQ(must(connect()->list({})).size(), static_cast<std::size_t>(kIds));
}

TEST_P(StoreContract, KeysGrowInTheOrderOfCreation) {
  const auto store = connect();
  const auto first = create(*store, "z");
  const auto second = create(*store, "a");
  EXPECT_LT(first, second);
  EXPECT_THAT(ids_of(must(store->list({}))), ElementsAre("z", "a"));
}

}  // namespace
}  // namespace workflows::storage
