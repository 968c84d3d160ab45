// What lies in the file, as FORMAT.md describes it.

#include <gmock/gmock.h>

#include <thread>

#include "storage/sqlite/schema.h"
#include "tests/unit/storage/sqlite_file.h"

namespace workflows::storage::sqlite {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class Format : public SqliteFile {};

TEST_F(Format, NewFileSaysWhoseItIsAndOfWhichVersion) {
  const auto store = connect();
  RawConnection raw(path());
  EXPECT_EQ(raw.row("PRAGMA application_id"), std::to_string(kApplicationId));
  EXPECT_EQ(raw.row("PRAGMA user_version"), std::to_string(current_version()));
  EXPECT_EQ(raw.row("PRAGMA journal_mode"), "wal");
  const auto header = bytes_of(path()).substr(0, 100);
  EXPECT_EQ(header.substr(68, 4), "WFLW");
}

TEST_F(Format, EmptyFileBecomesADatabase) {
  write_file(path(), "");
  create(*connect(), "a");
  EXPECT_EQ(RawConnection(path()).row("PRAGMA user_version"), std::to_string(current_version()));
}

TEST_F(Format, ManyMayOpenANewFileAtOnce) {
  std::vector<std::jthread> openers;
  for (int i = 0; i < 4; ++i) openers.emplace_back([this, i] { create(*connect(), std::to_string(i)); });
  openers.clear();
  EXPECT_THAT(must(connect()->list({})), SizeIs(4));
}

TEST_F(Format, FilesAreForTheirUserAlone) {
  const auto store = connect();
  create(*store, "a");
  for (const auto* side : {"", "-wal", "-shm", "-owners"})
    EXPECT_EQ(permissions(path().string() + side), 0600u) << side;
}

TEST_F(Format, SideFilesHaveThePermissionsOfTheDatabase) {
  connect();
  std::filesystem::remove(path().string() + "-owners");
  chmod(path().c_str(), 0664);
  const auto store = connect();
  create(*store, "a");
  for (const auto* side : {"-wal", "-shm", "-owners"}) EXPECT_EQ(permissions(path().string() + side), 0664u) << side;
}

TEST_F(Format, LastConnectionLeavesNothingInTheWal) {
  create(*connect(), "a");
  EXPECT_FALSE(std::filesystem::exists(path().string() + "-wal"));
  EXPECT_EQ(RawConnection(path()).row("PRAGMA integrity_check"), "ok");
}

TEST_F(Format, PayloadsAreReadableText) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(3, R"({"price":42})")))));
  RawConnection raw(path());
  EXPECT_EQ(raw.row("SELECT typeof(value), value FROM journal"), R"(text|{"price":42})");
  EXPECT_EQ(raw.row("SELECT typeof(params), params FROM instances"), "text|{}");
  EXPECT_EQ(raw.row("SELECT instances.id, workflows.name FROM instances JOIN workflows ON workflows.id = workflow"),
            "a|order");
}

TEST_F(Format, AbsentFieldsAreNull) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, Entry{}))));
  EXPECT_EQ(RawConnection(path()).row("SELECT began, name, deadline, event_type, detail, value, step FROM journal"),
            "NULL|NULL|NULL|NULL|NULL|NULL|0");
}

TEST_F(Format, OnlyValuesOverFourKibibytesLieApart) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0, std::string(4096, 'v'))))));
  RawConnection raw(path());
  EXPECT_EQ(raw.row("SELECT count(*) FROM blobs"), "0");
  must(store->commit(batch(owner, append(key, completed(1, std::string(4097, 'v'))))));
  EXPECT_EQ(raw.row("SELECT typeof(value), length(data) FROM journal JOIN blobs ON blobs.id = value"), "integer|4097");
}

TEST_F(Format, RefusedLargeValuesLeaveNoBlob) {
  const auto store = connect();
  create(*store, "a");
  auto again = new_instance("a");
  again.params = std::string(10'000, 'p');
  must(store->commit(
      batch(std::nullopt, again, event_for("a", "1", "once"), event_for("a", std::string(9000, '2'), "once"))));
  EXPECT_EQ(RawConnection(path()).row("SELECT count(*) FROM blobs"), "0");
}

TEST_F(Format, EntriesAreChainedBackwardsFromTheHead) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto a = create(*store, "a", owner);
  const auto b = create(*store, "b", owner);
  must(store->commit(batch(owner, append(a, completed(0)), append(b, completed(0)), append(a, completed(1)))));
  RawConnection raw(path());
  EXPECT_EQ(raw.row("SELECT group_concat(seq || ':' || instance || '<' || prev, ' ') FROM journal"),
            "1:1<0 2:2<0 3:1<1");
  EXPECT_EQ(raw.row("SELECT head, unsettled FROM instances WHERE id = 'a'"), "0|1");

  must(store->commit(batch(owner, unload(a), append(b, ending(EntryKind::instance_completed)))));
  EXPECT_EQ(raw.row("SELECT head, unsettled FROM instances WHERE id = 'a'"), "3|0");
  EXPECT_EQ(raw.row("SELECT head, unsettled, owner FROM instances WHERE id = 'b'"), "4|0|0");

  must(store->commit(batch(owner, append(a, completed(2)))));
  EXPECT_EQ(raw.row("SELECT head, unsettled FROM instances WHERE id = 'a'"), "3|1");
}

TEST_F(Format, HeadsAreStoredOnceInManyEntries) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  Batch many{.owner = owner, .items = {}};
  for (std::uint32_t i = 0; i < 10'009; ++i) many.items.push_back(append(key, completed(i)));
  must(store->commit(many));
  RawConnection raw(path());
  EXPECT_EQ(raw.row("SELECT head, scan_from FROM instances, owners"), "0|0");
  must(store->commit(batch(owner, append(key, completed(10'009)))));
  EXPECT_EQ(raw.row("SELECT head, scan_from FROM instances, owners"), "10010|10010");
  must(store->commit(batch(owner, append(key, completed(10'010)))));
  EXPECT_EQ(raw.row("SELECT head, scan_from FROM instances, owners"), "10010|10010");
  EXPECT_THAT(must(connect()->load(key)).history, SizeIs(10'011));
}

TEST_F(Format, BrokenChainIsReportedAsDamage) {
  const auto store = connect();
  const auto owner = must(store->open_owner(kHour));
  const auto key = create(*store, "a", owner);
  must(store->commit(batch(owner, append(key, completed(0)), append(key, completed(1)))));
  RawConnection(path()).row("DELETE FROM journal WHERE seq = 1");
  EXPECT_EQ(error_of(store->load(key)).code, ErrorCode::store_corrupt);
  RawConnection(path()).row("UPDATE journal SET prev = 2 WHERE seq = 2");
  EXPECT_EQ(error_of(store->load(key)).code, ErrorCode::store_corrupt);
}

TEST_F(Format, ReadOnlyConnectionReadsAndRefusesToWrite) {
  const auto writer = connect();
  const auto key = create(*writer, "a");
  auto how = options();
  how.read_only = true;
  const auto reader = must(must(open_sqlite(how))->connect());
  EXPECT_EQ(must(reader->find("order", "a"))->key, key);
  EXPECT_EQ(error_of(reader->commit(batch(std::nullopt, new_instance("b")))).code, ErrorCode::store);
  EXPECT_EQ(error_of(reader->open_owner(kHour)).code, ErrorCode::store);
  create(*writer, "b");
  EXPECT_TRUE(must(reader->changed()));
  EXPECT_THAT(ids_of(must(reader->list({}))), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace workflows::storage::sqlite
