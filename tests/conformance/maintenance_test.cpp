#include <functional>
#include <string_view>

#include "tests/conformance/store_contract.h"

namespace workflows::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

InstanceHistory history(std::string id) {
  InstanceHistory history;
  history.info = {.workflow = "order",
                  .id = std::move(id),
                  .generation = 3,
                  .status = Status::complete,
                  .created = at(0),
                  .updated = at(9),
                  .version = "2"};
  history.params = R"({"a": 1})";
  history.entries = {{.cursor = 5, .entry = completed(0)},
                     {.cursor = 7, .entry = taking(40)},
                     {.cursor = 9, .entry = ending(EntryKind::instance_completed)}};
  history.inbox = {{.id = 40, .type = "paid", .payload = "1", .at = at(2), .taken = true},
                   {.id = 41, .type = "paid", .payload = "2", .at = at(3), .taken = false}};
  return history;
}

Created import(Store& store, InstanceHistory imported) {
  return std::get<Created>(must(store.commit(batch(std::nullopt, Import{std::move(imported)}))).at(0));
}

void no_progress(std::string_view) {}

TEST_P(StoreContract, AnIdIsFoundInEveryWorkflow) {
  const auto store = connect();
  must(store->commit(batch(std::nullopt, new_instance("a", "order"), new_instance("ab", "order"),
                           new_instance("a", "invoice"), new_instance("b", "invoice"))));
  std::vector<std::string> workflows;
  for (const auto& info : must(store->find_everywhere("a"))) workflows.push_back(info.workflow);
  EXPECT_THAT(workflows, ElementsAre("invoice", "order"));
  EXPECT_THAT(must(store->find_everywhere("never")), IsEmpty());
}

TEST_P(StoreContract, AnIdThatIsFoundEverywhereMeansTheNewestGeneration) {
  const auto store = connect();
  create(*store, "a");
  must(store->commit(batch(std::nullopt, Restart{.workflow = "order", .id = "a", .at = at(5)})));
  const auto found = must(store->find_everywhere("a"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.front().generation, 2u);
}

TEST_P(StoreContract, InstancesAreCountedByWorkflowAndStatus) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  create(*store, "a");
  create(*store, "b");
  create(*store, "c", owner);
  must(store->commit(batch(std::nullopt, new_instance("a", "invoice"))));
  const auto statistics = must(store->statistics(at(0)));
  EXPECT_THAT(statistics.counts,
              ElementsAre(StatusCount{"invoice", Status::queued, 1}, StatusCount{"order", Status::queued, 2},
                          StatusCount{"order", Status::running, 1}));
  EXPECT_EQ(statistics.oldest_runnable, at(0));
}

TEST_P(StoreContract, S28_AnInstanceIsCountedAndListedByItsNewestGeneration) {
  const auto store = connect();
  create(*store, "a");
  must(store->commit(batch(std::nullopt, Restart{.workflow = "order", .id = "a", .at = at(5)})));
  EXPECT_THAT(must(store->statistics(at(0))).counts, ElementsAre(StatusCount{"order", Status::queued, 1}));
  const auto newest = must(store->list({.newest_only = true}));
  ASSERT_EQ(newest.size(), 1u);
  EXPECT_EQ(newest.front().generation, 2u);
  EXPECT_THAT(must(store->list({.status = Status::terminated, .newest_only = true})), IsEmpty());
  EXPECT_EQ(must(store->list({})).size(), 2u);
}

TEST_P(StoreContract, S42_AnEngineLivesUntilItIsClosedOrGone) {
  const auto looking = connect();
  EXPECT_THAT(must(looking->engines()), IsEmpty());
  auto dying = connect();
  const auto gone = must(dying->open_owner(kHour));
  const auto alive = [&] {
    std::vector<std::pair<OwnerId, bool>> seen;
    for (const auto& engine : must(looking->engines())) seen.emplace_back(engine.id, engine.alive);
    return seen;
  };
  EXPECT_THAT(alive(), ElementsAre(std::pair(gone.id, true)));
  EXPECT_EQ(must(looking->statistics(at(0))).engines, 1u);
  dying.reset();
  EXPECT_THAT(alive(), ElementsAre(std::pair(gone.id, false)));
  EXPECT_EQ(must(looking->statistics(at(0))).engines, 0u);
  const auto late = must(connect()->open_owner(Millis(0)));  // replaces it, and its own lease is over
  EXPECT_THAT(alive(), ElementsAre(std::pair(late.id, false)));
}

TEST_P(StoreContract, TheJournalOfAllInstancesComesInOrderOfCommit) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto a = create(*store, "a", owner);
  const auto b = create(*store, "b", owner);
  must(store->commit(batch(owner, append(a, completed(0)), append(b, completed(0)), append(a, completed(1)))));
  const auto keys_of = [](const std::vector<JournalEntry>& entries) {
    std::vector<InstanceKey> keys;
    for (const auto& entry : entries) keys.push_back(entry.instance);
    return keys;
  };
  const auto other = connect();
  const auto all = must(other->journal(0, 10));
  EXPECT_THAT(keys_of(all), ElementsAre(a, b, a));
  EXPECT_THAT(keys_of(must(other->journal(0, 2))), ElementsAre(a, b));
  EXPECT_THAT(keys_of(must(other->journal(std::nullopt, 2))), ElementsAre(b, a));
  EXPECT_EQ(must(other->journal(all[1].recorded.cursor, 10)).at(0).recorded, all[2].recorded);
}

TEST_P(StoreContract, AnImportedHistoryIsReadAsItWas) {
  const auto store = connect();
  const auto key = import(*store, history("a")).key;
  const auto loaded = must(connect()->load(key));
  auto expected = history("a").info;
  expected.key = key;
  EXPECT_EQ(loaded.info, expected);
  EXPECT_EQ(loaded.params, R"({"a": 1})");
  ASSERT_EQ(loaded.history.size(), 3u);
  EXPECT_EQ(loaded.history[0], completed(0));
  EXPECT_EQ(loaded.history[2], ending(EntryKind::instance_completed));
  ASSERT_EQ(loaded.inbox.size(), 2u);
  EXPECT_TRUE(loaded.inbox[0].taken);
  EXPECT_FALSE(loaded.inbox[1].taken);
  EXPECT_EQ(loaded.history[1].event, loaded.inbox[0].id);
  EXPECT_EQ(must(store->status(key)).status, Status::complete);
}

TEST_P(StoreContract, AnImportWritesNothingOverAnInstanceThatExists) {
  const auto store = connect();
  const auto key = create(*store, "a");
  const auto refused = import(*store, history("a"));
  EXPECT_TRUE(refused.existed);
  EXPECT_EQ(refused.key, key);
  EXPECT_THAT(must(store->load(key)).history, IsEmpty());
}

TEST_P(StoreContract, AnImportThatTakesAnEventThatIsNotThereWritesNothing) {
  const auto store = connect();
  auto broken = history("a");
  broken.inbox.erase(broken.inbox.begin());
  EXPECT_EQ(error_of(store->commit(batch(std::nullopt, Import{broken}))).code, ErrorCode::serialization);
  auto twice = history("b");
  twice.entries.insert(twice.entries.begin(), {.cursor = 1, .entry = taking(40)});
  EXPECT_EQ(error_of(store->commit(batch(std::nullopt, Import{twice}))).code, ErrorCode::serialization);
  EXPECT_THAT(must(store->list({})), IsEmpty());
  EXPECT_FALSE(import(*store, history("a")).existed);
}

TEST_P(StoreContract, AnImportedPausedInstanceIsResumedLikeAnyOther) {
  const auto store = connect();
  auto paused = history("a");
  paused.info.status = Status::paused;
  paused.entries.back().entry = {.kind = EntryKind::paused, .at = at(9)};
  const auto key = import(*store, paused).key;
  must(store->commit(batch(std::nullopt, Control{.workflow = "order", .id = "a", .verb = Verb::resume, .at = at(20)})));
  const auto owner = must(store->open_owner(kHour));
  EXPECT_THAT(ids_of(claim(*store, owner, 5, 0)), ElementsAre("a"));
  EXPECT_EQ(must(store->load(key)).history.size(), 4u);
}

TEST_P(StoreContract, ASoundDatabaseHasNoProblems) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto a = create(*store, "a", owner);
  const auto b = create(*store, "b", owner);
  create(*store, "c");
  must(store->commit(batch(std::nullopt, event_for("a"), new_instance("d", "invoice"))));
  const auto event = must(store->load(a)).inbox.at(0).id;
  must(store->commit(batch(owner, append(a, completed(0)), append(a, taking(event)), append(b, completed(0)))));
  must(store->commit(batch(owner, append(b, ending(EntryKind::instance_completed)))));
  import(*store, history("e"));
  for (const auto& finding : must(store->check(at(0), no_progress)))
    EXPECT_EQ(finding.severity, Finding::Severity::note) << finding.message;
}

}  // namespace
}  // namespace workflows::storage
