// The client over a store that is told what to answer; the real stores have their conformance suite.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <workflows/host.h>

#include <future>
#include <thread>

#include "engine/runtime/client_access.h"

namespace workflows {
namespace {

using storage::ItemResult;
using testing::_;
using testing::AllOf;
using testing::HasSubstr;
using testing::NiceMock;
using testing::Return;

template <class T>
using Result = std::expected<T, Error>;

class MockStore : public storage::Store {
 public:
  MOCK_METHOD(Result<void>, together, (const std::function<void()>&), (override));
  MOCK_METHOD(Result<std::vector<ItemResult>>, commit, (const storage::WriteBatch&), (override));
  MOCK_METHOD(Result<storage::Owner>, open_owner, (Millis), (override));
  MOCK_METHOD(Result<std::uint32_t>, replace_dead_owners, (), (override));
  MOCK_METHOD(Result<void>, close_owner, (const storage::Owner&), (override));
  MOCK_METHOD(Result<bool>, changed, (), (override));
  MOCK_METHOD(Result<Arrivals>, arrivals, (storage::OwnerId, std::int64_t, std::uint32_t), (override));
  MOCK_METHOD(Result<std::vector<InstanceKey>>, with_untaken_events, (storage::OwnerId), (override));
  MOCK_METHOD(Result<storage::Loaded>, load, (InstanceKey), (override));
  MOCK_METHOD(Result<std::optional<InstanceInfo>>, find, (const std::string&, const std::string&), (override));
  MOCK_METHOD(Result<std::optional<InstanceInfo>>, find, (InstanceKey), (override));
  MOCK_METHOD(Result<InstanceStatus>, status, (InstanceKey), (override));
  MOCK_METHOD(Result<std::vector<InstanceInfo>>, list, (const ListQuery&), (override));
  MOCK_METHOD(Result<std::vector<storage::Notice>>, notices, (storage::OwnerId), (override));
  MOCK_METHOD(Result<Collected>, collect_garbage, (TimePoint, std::uint64_t), (override));
  MOCK_METHOD(Result<std::vector<InstanceInfo>>, generations, (const std::string&, const std::string&), (override));
  MOCK_METHOD(Result<std::vector<RecordedEntry>>, entries, (InstanceKey, std::int64_t), (override));
  MOCK_METHOD(Result<InstanceKey>, newest_generation, (InstanceKey), (override));
  MOCK_METHOD(Counters, counters, (), (const, override));
};

// Hands out the one store it was given.
class OneStore : public storage::Database {
 public:
  explicit OneStore(std::unique_ptr<storage::Store> store) : store_(std::move(store)) {}
  Result<std::unique_ptr<storage::Store>> connect() override { return std::move(store_); }

 private:
  std::unique_ptr<storage::Store> store_;
};

class ClientTest : public testing::Test {
 protected:
  ClientTest() : ClientTest(std::make_unique<NiceMock<MockStore>>()) {}

  explicit ClientTest(std::unique_ptr<NiceMock<MockStore>> store)
      : store_(*store), client_(ClientAccess::open(std::make_shared<OneStore>(std::move(store)), clock_)) {
    ON_CALL(store_, newest_generation(_)).WillByDefault([](InstanceKey key) { return Result<InstanceKey>(key); });
    ON_CALL(store_, changed()).WillByDefault(Return(Result<bool>(false)));
    ON_CALL(store_, status(_)).WillByDefault(Return(Result<InstanceStatus>(InstanceStatus{.status = Status::running})));
  }

  // The store answers every write with `result` and keeps what it was given.
  template <class Item>
  std::shared_ptr<std::vector<Item>> answer_writes(ItemResult result) {
    auto written = std::make_shared<std::vector<Item>>();
    ON_CALL(store_, commit(_)).WillByDefault([=](const storage::WriteBatch& batch) {
      EXPECT_FALSE(batch.owner.has_value());
      EXPECT_EQ(batch.items.size(), 1u);
      written->push_back(std::get<Item>(batch.items.front()));
      return std::vector{result};
    });
    return written;
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(TimePoint(Millis(5000)));
  NiceMock<MockStore>& store_;
  Client client_;
};

template <class Exception, class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Exception& error) { return error.what(); }
  return "nothing was thrown";
}

TEST_F(ClientTest, S2_CreateWritesTheInstanceAndReturnsIt) {
  const auto written = answer_writes<storage::Create>(storage::Created{.key = 9});
  const InstanceRef made = client_.create({.workflow = "order", .params = R"({"sku":"A1"})", .id = "order-17"});
  EXPECT_EQ(made.key, 9);
  EXPECT_EQ(made.workflow, "order");
  EXPECT_EQ(made.id, "order-17");
  ASSERT_EQ(written->size(), 1u);
  EXPECT_EQ(written->front().params, R"({"sku":"A1"})");
  EXPECT_EQ(written->front().created, TimePoint(Millis(5000)));
  EXPECT_FALSE(written->front().owned);
}

TEST_F(ClientTest, S2_AnOmittedIdIsAUuid) {
  const auto written = answer_writes<storage::Create>(storage::Created{.key = 9});
  const InstanceRef made = client_.create({.workflow = "order"});
  EXPECT_EQ(made.id.size(), 36u);
  EXPECT_EQ(written->front().id, made.id);
  EXPECT_EQ(written->front().params, "{}");
}

TEST_F(ClientTest, S2_ATakenIdIsAnErrorByDefault) {
  answer_writes<storage::Create>(storage::Created{.key = 9, .existed = true, .same_params = true});
  EXPECT_THAT(error_of<InstanceExistsError>([&] { client_.create({.workflow = "order", .id = "a"}); }),
              AllOf(HasSubstr("'a'"), HasSubstr("'order'")));
}

TEST_F(ClientTest, S2_TheExistingInstanceIsReturnedWhenAskedForAndItsParamsAreTheSame) {
  const CreateRequest request{.workflow = "order", .id = "a", .on_conflict = OnConflict::return_existing};
  answer_writes<storage::Create>(storage::Created{.key = 9, .existed = true, .same_params = true});
  EXPECT_EQ(client_.create(request).key, 9);
  answer_writes<storage::Create>(storage::Created{.key = 9, .existed = true, .same_params = false});
  EXPECT_THAT(error_of<InstanceExistsError>([&] { client_.create(request); }), HasSubstr("other params"));
}

TEST_F(ClientTest, S46_BadInputIsRefusedAndNothingIsWritten) {
  EXPECT_CALL(store_, commit(_)).Times(0);
  EXPECT_THROW(client_.create({.workflow = "a b"}), InvalidNameError);
  EXPECT_THROW(client_.create({.workflow = "order", .id = "-"}), InvalidNameError);
  EXPECT_THAT(error_of<SerializationError>([&] { client_.create({.workflow = "order", .params = "{'a':1}"}); }),
              AllOf(HasSubstr("params"), HasSubstr("{'a':1}")));
  EXPECT_THROW(client_.create({.workflow = "order", .params = ""}), SerializationError);
  EXPECT_THROW(client_.create({.workflow = "order", .params = "{} {}"}), SerializationError);
  EXPECT_THROW(client_.create({.workflow = "order", .params = "\"\xFF\""}), SerializationError);
  EXPECT_THROW(client_.create({.workflow = "order", .params = std::string(100'000, '[')}), SerializationError);
  EXPECT_THROW(client_.send_event({.workflow = "order", .id = "a", .type = "a b"}), InvalidNameError);
  EXPECT_THROW(client_.send_event({.workflow = "order", .id = "", .type = "t"}), InvalidNameError);
  EXPECT_THROW(client_.send_event({.workflow = "order", .id = "a", .type = "t", .payload = "nope"}),
               SerializationError);
  EXPECT_THROW(client_.get("order", "a/b"), InvalidNameError);
  EXPECT_THROW(client_.exists("", "a"), InvalidNameError);
  EXPECT_THROW(client_.list({.workflow = "a b"}), InvalidNameError);
}

TEST_F(ClientTest, S24_SendEvent) {
  const auto written = answer_writes<storage::SendEvent>(storage::Sent{});
  client_.send_event({.workflow = "order", .id = "a", .type = "paid", .payload = "[1]", .event_id = "e1"});
  ASSERT_EQ(written->size(), 1u);
  EXPECT_EQ(written->front().type, "paid");
  EXPECT_EQ(written->front().payload, "[1]");
  EXPECT_EQ(written->front().event_id, "e1");
  EXPECT_EQ(written->front().at, TimePoint(Millis(5000)));
}

TEST_F(ClientTest, S24_ARefusedEventNamesTheInstance) {
  const SendEventRequest request{.workflow = "order", .id = "a", .type = "paid"};
  answer_writes<storage::SendEvent>(storage::Sent{.refused = ErrorCode::instance_not_found});
  EXPECT_THAT(error_of<InstanceNotFoundError>([&] { client_.send_event(request); }),
              AllOf(HasSubstr("\"a\""), HasSubstr("\"order\"")));
  answer_writes<storage::SendEvent>(storage::Sent{.refused = ErrorCode::instance_finished});
  EXPECT_THAT(error_of<InstanceFinishedError>([&] { client_.send_event(request); }),
              AllOf(HasSubstr("\"a\""), HasSubstr("\"order\""), HasSubstr("\"paid\"")));
}

TEST_F(ClientTest, GetAndExists) {
  ON_CALL(store_, find("order", "here"))
      .WillByDefault(Return(Result<std::optional<InstanceInfo>>(InstanceInfo{.key = 4})));
  ON_CALL(store_, find("order", "gone")).WillByDefault(Return(Result<std::optional<InstanceInfo>>(std::nullopt)));
  EXPECT_EQ(client_.get("order", "here").key, 4);
  EXPECT_TRUE(client_.exists("order", "here"));
  EXPECT_FALSE(client_.exists("order", "gone"));
  EXPECT_THAT(error_of<InstanceNotFoundError>([&] { client_.get("order", "gone"); }), HasSubstr("\"gone\""));
}

TEST_F(ClientTest, AnErrorOfTheStoreIsThrownAsItsClass) {
  ON_CALL(store_, commit(_)).WillByDefault(Return(std::unexpected(Error{ErrorCode::store_busy, "busy"})));
  ON_CALL(store_, load(_)).WillByDefault(Return(std::unexpected(Error{ErrorCode::instance_not_found, "no 5"})));
  EXPECT_EQ(error_of<StoreBusyError>([&] { client_.create({.workflow = "order"}); }), "busy");
  EXPECT_EQ(error_of<InstanceNotFoundError>([&] { client_.steps(5); }), "no 5");
}

TEST_F(ClientTest, StepsAreTheReportOfTheJournal) {
  storage::Loaded loaded;
  Entry entry;
  entry.kind = EntryKind::step_completed;
  entry.step_kind = StepKind::do_;
  entry.name = "charge";
  entry.attempt = 1;
  entry.value = "1";
  loaded.history = {entry};
  ON_CALL(store_, load(5)).WillByDefault(Return(Result<storage::Loaded>(loaded)));
  const auto steps = client_.steps(5);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps.front().name, "charge");
  EXPECT_EQ(steps.front().status, "completed");
}

TEST_F(ClientTest, ResultOfAFinishedInstanceComesAtOnce) {
  ON_CALL(store_, status(5))
      .WillByDefault(Return(Result<InstanceStatus>(InstanceStatus{.status = Status::complete, .output = "7"})));
  EXPECT_EQ(client_.result(5, std::nullopt)->output, "7");
}

TEST_F(ClientTest, ResultReadsTheStatusAgainOnlyWhenSomethingWasCommitted) {
  EXPECT_CALL(store_, changed())
      .WillOnce(Return(Result<bool>(false)))
      .WillOnce(Return(Result<bool>(false)))
      .WillOnce(Return(std::unexpected(Error{ErrorCode::store_busy, "busy"})))
      .WillOnce(Return(Result<bool>(true)))
      .WillRepeatedly(Return(Result<bool>(false)));
  EXPECT_CALL(store_, status(5))
      .WillOnce(Return(Result<InstanceStatus>(InstanceStatus{.status = Status::waiting})))
      .WillOnce(Return(std::unexpected(Error{ErrorCode::store_busy, "busy"})))
      .WillOnce(Return(Result<InstanceStatus>(InstanceStatus{.status = Status::errored})));
  EXPECT_EQ(client_.result(5, std::nullopt)->status, Status::errored);
}

TEST_F(ClientTest, ResultIsAbsentWhenTheTimeIsOver) {
  EXPECT_EQ(client_.result(5, Millis(0)), std::nullopt);
  EXPECT_EQ(client_.result(5, Millis(-1)), std::nullopt);
  EXPECT_EQ(client_.result(5, Millis(3)), std::nullopt);
}

TEST_F(ClientTest, EveryWaiterSeesAChangeThatOneOfThemNoticed) {
  std::atomic<bool> finished = false;
  std::atomic<bool> told = false;
  std::atomic<int> asked = 0;
  ON_CALL(store_, changed()).WillByDefault([&] { return Result<bool>(finished && !told.exchange(true)); });
  ON_CALL(store_, status(_)).WillByDefault([&](InstanceKey) {
    ++asked;
    return Result<InstanceStatus>(InstanceStatus{.status = finished ? Status::complete : Status::running});
  });
  const auto wait = [&] { return client_.result(5, std::nullopt)->status; };
  auto first = std::async(std::launch::async, wait);
  auto second = std::async(std::launch::async, wait);
  while (asked < 2) std::this_thread::yield();
  finished = true;
  EXPECT_EQ(first.get(), Status::complete);
  EXPECT_EQ(second.get(), Status::complete);
}

TEST_F(ClientTest, CloseWakesWhoWaitsAndEndsAllUse) {
  std::atomic<int> asked = 0;
  ON_CALL(store_, status(_)).WillByDefault([&](InstanceKey) {
    ++asked;
    return Result<InstanceStatus>(InstanceStatus{.status = Status::running});
  });
  auto waiter = std::async(std::launch::async, [&] { client_.result(5, std::nullopt); });
  while (asked < 1) std::this_thread::yield();
  client_.close();
  EXPECT_THROW(waiter.get(), EngineClosedError);
  client_.close();
  EXPECT_THROW(client_.create({.workflow = "order"}), EngineClosedError);
  EXPECT_THROW(client_.send_event({.workflow = "order", .id = "a", .type = "t"}), EngineClosedError);
  EXPECT_THROW(client_.get("order", "a"), EngineClosedError);
  EXPECT_THROW(client_.exists("order", "a"), EngineClosedError);
  EXPECT_THROW(client_.status(1), EngineClosedError);
  EXPECT_THROW(client_.steps(1), EngineClosedError);
  EXPECT_THROW(client_.list({}), EngineClosedError);
  EXPECT_THROW(client_.result(1, std::nullopt), EngineClosedError);
}

TEST_F(ClientTest, AMovedFromClientIsClosed) {
  const Client taken = std::move(client_);
  EXPECT_THROW(client_.status(1), EngineClosedError);  // NOLINT(bugprone-use-after-move)
}

TEST_F(ClientTest, S46_UseAfterForkIsAClearError) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto error = error_of<ForkedError>([&] { client_.status(1); });
    client_.close();
    ::_exit(error.find(std::to_string(::getppid())) != std::string::npos ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(client_.status(1).status, Status::running);
}

}  // namespace
}  // namespace workflows
