// The client over the real stores, beside an engine's own connection.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <string>

#include "engine/runtime/client_access.h"

namespace workflows {
namespace {

// What an engine does to an instance, without one.
class Engine {
 public:
  explicit Engine(std::unique_ptr<storage::Store> store)
      : store_(std::move(store)), owner_(store_->open_owner(Millis(30'000)).value()) {}

  void claim() { commit(storage::Claim{.workflows = {"order"}, .queued = 100, .waiting = 100}); }

  void record(InstanceKey instance, Entry entry) {
    commit(storage::AppendEntry{.instance = instance, .entry = std::move(entry)});
  }

  void complete(InstanceKey instance, const std::string& output) {
    Entry entry;
    entry.kind = EntryKind::instance_completed;
    entry.value = output;
    record(instance, entry);
  }

 private:
  void commit(storage::Item item) {
    const auto result = store_->commit({owner_, {&item, 1}});
    ASSERT_TRUE(result.has_value()) << result.error().message;
  }

  std::unique_ptr<storage::Store> store_;
  storage::Owner owner_;
};

class ClientStoreTest : public testing::TestWithParam<const char*> {
 protected:
  ClientStoreTest() {
    const bool in_memory = std::string(GetParam()) == "memory";
    if (!in_memory) {
      folder_ = std::filesystem::temp_directory_path() / ("client_store_test." + std::to_string(::getpid()));
      std::filesystem::create_directories(folder_);
    }
    database_ = storage::open_database({.location = in_memory ? ":memory:" : (folder_ / "shop.db").string()}).value();
  }
  ~ClientStoreTest() override {
    database_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  Client client() { return ClientAccess::open(database_, nullptr); }
  Engine engine() { return Engine(database_->connect().value()); }

  std::filesystem::path folder_;
  std::shared_ptr<storage::Database> database_;
};

INSTANTIATE_TEST_SUITE_P(Stores, ClientStoreTest, testing::Values("memory", "sqlite"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST_P(ClientStoreTest, S2_OfTwoCreatorsOneWins) {
  Client one = client();
  Client two = client();
  const InstanceRef made = one.create({.workflow = "order", .params = "[1]", .id = "a"});
  EXPECT_THROW(two.create({.workflow = "order", .params = "[1]", .id = "a"}), InstanceExistsError);
  const CreateRequest again{
      .workflow = "order", .params = "[1]", .id = "a", .on_conflict = OnConflict::return_existing};
  EXPECT_EQ(two.create(again).key, made.key);
  CreateRequest other = again;
  other.params = "[2]";
  EXPECT_THROW(two.create(other), InstanceExistsError);
  EXPECT_EQ(two.get("order", "a").key, made.key);
  EXPECT_FALSE(two.exists("invoice", "a"));
}

TEST_P(ClientStoreTest, ResultComesWhenAnotherConnectionFinishesTheInstance) {
  Client waiting = client();
  Client looking = client();
  Engine worker = engine();
  const InstanceRef made = waiting.create({.workflow = "order"});
  EXPECT_EQ(looking.status(made.key).status, Status::queued);
  EXPECT_EQ(waiting.result(made.key, Millis(0)), std::nullopt);
  auto result = std::async(std::launch::async, [&] { return waiting.result(made.key, std::nullopt); });
  worker.claim();
  worker.complete(made.key, "[42]");
  const auto status = result.get();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->status, Status::complete);
  EXPECT_EQ(status->output, "[42]");
  EXPECT_EQ(looking.status(made.key).output, "[42]");
}

TEST_P(ClientStoreTest, S24_EventsAreForInstancesThatAreThereAndUnfinished) {
  Client sender = client();
  Engine worker = engine();
  const SendEventRequest event{.workflow = "order", .id = "a", .type = "paid", .payload = "1", .event_id = "e1"};
  EXPECT_THROW(sender.send_event(event), InstanceNotFoundError);
  const InstanceRef made = sender.create({.workflow = "order", .id = "a"});
  EXPECT_NO_THROW(sender.send_event(event));
  EXPECT_NO_THROW(sender.send_event(event)) << "the same event once more";
  worker.claim();
  worker.complete(made.key, "null");
  SendEventRequest later = event;
  later.event_id = "e2";
  EXPECT_THROW(sender.send_event(later), InstanceFinishedError);
}

TEST_P(ClientStoreTest, StepsAndLists) {
  Client looking = client();
  Engine worker = engine();
  const InstanceRef first = looking.create({.workflow = "order", .id = "a-1"});
  const InstanceRef second = looking.create({.workflow = "order", .id = "a-2"});
  worker.claim();
  Entry entry;
  entry.kind = EntryKind::step_completed;
  entry.step_kind = StepKind::do_;
  entry.name = "charge";
  entry.occurrence = 1;
  entry.attempt = 1;
  entry.value = R"({"paid":true})";
  worker.record(first.key, entry);
  const auto steps = looking.steps(first.key);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps.front().name, "charge");
  EXPECT_EQ(steps.front().result, R"({"paid":true})");
  const auto page = looking.list({.workflow = "order", .id_prefix = "a-", .limit = 1});
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page.front().key, first.key);
  const auto next = looking.list({.workflow = "order", .id_prefix = "a-", .after = page.back().key});
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next.front().key, second.key);
}

TEST_P(ClientStoreTest, AnUnknownInstanceIsAnErrorOfItsOwn) {
  Client looking = client();
  EXPECT_THROW(looking.get("order", "nobody"), InstanceNotFoundError);
  EXPECT_THROW(looking.status(12345), InstanceNotFoundError);
  EXPECT_THROW(looking.steps(12345), InstanceNotFoundError);
  EXPECT_THROW(looking.result(12345, Millis(0)), InstanceNotFoundError);
}

TEST(ClientFileTest, S45_AMissingFileIsAnErrorUnlessItIsToBeMade) {
  const auto folder = std::filesystem::temp_directory_path() / ("client_file_test." + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "shop.db").string();
  EXPECT_THROW(Client({.database = path, .create = false}), StoreError);
  EXPECT_FALSE(std::filesystem::exists(path));
  {
    Client client({.database = path});
    client.create({.workflow = "order", .id = "a"});
  }
  EXPECT_TRUE(Client({.database = path, .create = false}).exists("order", "a"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace workflows
