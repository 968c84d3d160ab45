// A file of format 1 is opened while the disk fails, or its power. Afterwards it is of format 1 as it was, or of format
// 2 and whole (S5, S44); opened again it is of format 2.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <optional>

#include "storage/sqlite/schema.h"
#include "storage/sqlite/sqlite_database.h"
#include "tests/faults/damage.h"

namespace workflows::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::StartsWith;

class Migration : public Damage {
 protected:
  void SetUp() override {
    ASSERT_EQ(storage::sqlite::current_version(), 2);
    start_with_format_1();
    old_ = content();
    ASSERT_THAT(old_, StartsWith("format 1\nok\n"));
    start_with_format_1();
    const auto error = open();
    ASSERT_FALSE(error) << error->message;
    changes_ = changes_so_far();
    new_ = content();
    ASSERT_THAT(new_, StartsWith("format 2\nok\n"));
  }

  void start_with_format_1() {
    start_over();
    std::filesystem::copy_file(WORKFLOWS_GOLDEN "/v1.golden", path());
    before_ = disk_.changes().size();
  }

  std::vector<std::string> changes_so_far() const {
    return {disk_.changes().begin() + static_cast<std::ptrdiff_t>(before_), disk_.changes().end()};
  }

  std::optional<Error> open() const {
    const auto opened = storage::sqlite::open_sqlite({.location = path()}, Millis(0));
    return opened ? std::nullopt : std::optional(opened.error());
  }

  void look_again() const {
    ASSERT_THAT(content(), AnyOf(Eq(old_), Eq(new_)));
    const auto error = open();
    ASSERT_FALSE(error) << error->message;
    ASSERT_EQ(content(), new_);
  }

  // Everything that is in the file.
  std::string content() const {
    sqlite3* database = nullptr;
    sqlite3_open(path().c_str(), &database);
    std::string text = "format " + rows(database, "PRAGMA user_version") + rows(database, "PRAGMA integrity_check") +
                       rows(database, "SELECT type, name, sql FROM sqlite_schema ORDER BY name");
    for (const auto* table : {"workflows", "instances", "journal", "inbox", "blobs", "owners"})
      text += table + ("\n" + rows(database, "SELECT * FROM " + std::string(table)));
    sqlite3_close(database);
    return text;
  }

  static std::string rows(sqlite3* database, const std::string& sql) {
    std::string text;
    const auto add = [](void* into, int columns, char** values, char**) {
      auto& all = *static_cast<std::string*>(into);
      for (int i = 0; i < columns; ++i) all += (i == 0 ? "" : "|") + std::string(values[i] ? values[i] : "NULL");
      all += '\n';
      return 0;
    };
    if (sqlite3_exec(database, sql.c_str(), add, &text, nullptr) != SQLITE_OK) text += sqlite3_errmsg(database);
    return text;
  }

  std::string old_;
  std::string new_;
  std::vector<std::string> changes_;  // that an undisturbed migration makes
  std::size_t before_ = 0;
};

TEST_F(Migration, S5_WheneverThePowerGoesTheFileIsOfTheOldFormatOrOfTheNewOne) {
  using Unsynced = FaultVfs::Unsynced;
  for (const auto fate : {Unsynced::kept, Unsynced::dropped, Unsynced::torn}) {
    for (std::uint64_t nth = 1; nth <= changes_.size() && !HasFatalFailure(); ++nth) {
      SCOPED_TRACE(::testing::Message() << "change " << nth << ", " << changes_[nth - 1]);
      start_with_format_1();
      disk_.cut_power_at(nth);
      open();
      ASSERT_TRUE(disk_.power_is_off());
      disk_.restore_power(fate, nth);
      look_again();
    }
  }
  expect_seen({"cut write wal", "cut sync wal", "cut write database", "cut sync database", "torn wal"});
}

TEST_F(Migration, S44_WhicheverCallFailsTheFileIsOfTheOldFormatOrOfTheNewOne) {
  for (const bool lasting : {false, true}) {
    bool failed = true;
    for (std::uint64_t nth = 1; failed && !HasFatalFailure(); ++nth) {
      SCOPED_TRACE(::testing::Message() << "call " << nth);
      start_with_format_1();
      disk_.fail({.nth = nth, .lasting = lasting});
      const auto error = open();
      failed = disk_.has_failed();
      disk_.heal();
      if (error) expect_clear(*error, path());
      look_again();
    }
  }
  expect_seen({"failed write wal", "failed sync wal", "failed write database", "failed sync database"});
}

}  // namespace
}  // namespace workflows::testing
