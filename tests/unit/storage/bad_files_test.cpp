// S45: a file that is not ours is refused with a reason, and left as it is.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <functional>

#include "storage/sqlite/open_checks.h"
#include "tests/unit/storage/sqlite_file.h"

namespace workflows::storage::sqlite {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class BadFiles : public SqliteFile {
 protected:
  Error refusal() const { return error_of(open_database(options())); }

  // Refused with this code and text; the file is unchanged and nothing new lies beside it.
  void expect_refused(ErrorCode code, const std::string& text) const {
    const auto before = bytes_of(path());
    const auto error = refusal();
    EXPECT_EQ(error.code, code) << error.message;
    EXPECT_THAT(error.message, AllOf(HasSubstr(text), HasSubstr(path().string())));
    EXPECT_EQ(bytes_of(path()), before);
    for (const auto* side : {"-wal", "-shm", "-journal"})
      EXPECT_FALSE(std::filesystem::exists(path().string() + side)) << side;
  }

  void change(std::size_t offset, const std::string& bytes) const {
    auto content = bytes_of(path());
    content.replace(offset, bytes.size(), bytes);
    write_file(path(), content);
  }
};

TEST_F(BadFiles, Folder) {
  std::filesystem::create_directory(path());
  EXPECT_EQ(refusal().code, ErrorCode::store);
  EXPECT_THAT(refusal().message, AllOf(HasSubstr("is a folder"), HasSubstr("test.db/workflows.db")));
}

TEST_F(BadFiles, Pipe) {
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  EXPECT_THAT(refusal().message, HasSubstr("not an ordinary file"));
}

TEST_F(BadFiles, TextFile) {
  write_file(path(), "hello world, this is a letter\n");
  expect_refused(ErrorCode::store, R"(begins with "hello world, thi")");
}

TEST_F(BadFiles, ShortTextFile) {
  write_file(path(), "hi\n");
  expect_refused(ErrorCode::store, R"(begins with "hi.")");
  EXPECT_FALSE(std::filesystem::exists(path().string() + "-owners"));
}

TEST_F(BadFiles, FileOfOneByte) {
  write_file(path(), "x");
  expect_refused(ErrorCode::store, R"(begins with "x")");
}

TEST_F(BadFiles, DatabaseOfAnotherApplication) {
  RawConnection(path()).row("CREATE TABLE bookmarks(url)");
  expect_refused(ErrorCode::store, "of another application (application_id 0,");
  EXPECT_FALSE(std::filesystem::exists(path().string() + "-owners"));
}

TEST_F(BadFiles, NewerFormat) {
  create(*connect(), "a");
  RawConnection(path()).row("PRAGMA journal_mode = DELETE");
  RawConnection(path()).row("PRAGMA user_version = 99");
  expect_refused(ErrorCode::store_version, "format version 99");
}

TEST_F(BadFiles, NewerFormatThatIsStillInTheWal) {
  const auto newer = folder_.path() / "newer.db";
  const std::string wal = "-wal";
  auto how = options();
  how.location = newer;
  {
    const auto store = must(must(open_database(how))->connect());
    RawConnection(newer).row("PRAGMA user_version = 99");
    std::filesystem::copy(newer, path());
    std::filesystem::copy(newer.string() + wal, path().string() + wal);
  }
  const auto file = bytes_of(path());
  const auto log = bytes_of(path().string() + wal);
  EXPECT_EQ(refusal().code, ErrorCode::store_version);
  EXPECT_THAT(refusal().message, HasSubstr("format version 99"));
  EXPECT_EQ(bytes_of(path()), file);
  EXPECT_EQ(bytes_of(path().string() + wal), log);
}

TEST_F(BadFiles, TruncatedFile) {
  create(*connect(), "a");
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) - 4096);
  expect_refused(ErrorCode::store_corrupt, "is truncated");
}

TEST_F(BadFiles, FileTruncatedWithinItsHeader) {
  create(*connect(), "a");
  std::filesystem::resize_file(path(), 60);
  expect_refused(ErrorCode::store_corrupt, "is truncated: it has only 60 bytes");
}

// A power loss may tear the first page, and with it all by which a file is recognised. Its log still has the page.
TEST_F(BadFiles, S5_HeaderThatWasTornWhileTheWalWasMovedIntoTheFileIsRestored) {
  auto how = options();
  how.location = folder_.path() / "running.db";
  {
    const auto store = must(must(open_database(how))->connect());
    auto large = new_instance("a");
    large.params = std::string(9000, ' ');  // lets the file grow, so that its first page is written
    must(store->commit(batch(std::nullopt, large)));
    std::filesystem::copy(how.location, path());
    std::filesystem::copy(how.location + "-wal", path().string() + "-wal");
  }
  change(0, std::string(512, '\xAA'));
  EXPECT_TRUE(must(connect()->find("order", "a")));
  EXPECT_EQ(bytes_of(path()).substr(0, 15), "SQLite format 3");
}

TEST_F(BadFiles, S5_HeaderThatWasTornWhileTheFormatWasMigratedIsRestored) {
  const auto running = folder_.path() / "running.db";
  create(*connect(), "a");
  std::filesystem::rename(path(), running);
  RawConnection migration(running);
  migration.row("PRAGMA journal_mode = DELETE");
  migration.row("PRAGMA synchronous = OFF");
  migration.row("BEGIN");
  migration.row("PRAGMA user_version = 99");
  std::filesystem::copy(running, path());
  std::filesystem::copy(running.string() + "-journal", path().string() + "-journal");
  change(0, std::string(512, '\0'));
  EXPECT_TRUE(must(connect()->find("order", "a")));
}

TEST_F(BadFiles, TextFileBesideSomethingThatIsNoLog) {
  write_file(path(), "hello world, this is a letter\n");
  write_file(path().string() + "-journal", "monday: wrote a letter\n");
  EXPECT_THAT(refusal().message, HasSubstr(R"(begins with "hello world, thi")"));
  EXPECT_EQ(bytes_of(path().string() + "-journal"), "monday: wrote a letter\n");
}

TEST_F(BadFiles, DamagedFile) {
  create(*connect(), "a");
  change(100, std::string(3900, '\xAA'));
  EXPECT_EQ(refusal().code, ErrorCode::store_corrupt);
  EXPECT_THAT(refusal().message, HasSubstr("damaged"));
}

TEST_F(BadFiles, DamageFoundLaterIsReportedByTheRead) {
  create(*connect(), "a");
  const auto root =
      std::stoul(RawConnection(path()).row("SELECT rootpage FROM sqlite_schema WHERE name = 'instances'"));
  change((root - 1) * 4096, std::string(4096, '\xAA'));
  EXPECT_EQ(error_of(connect()->list({})).code, ErrorCode::store_corrupt);
}

TEST_F(BadFiles, MessageThatQuotesDamageIsText) {
  create(*connect(), "a");
  RawConnection raw(path());
  raw.row("PRAGMA writable_schema = ON");
  raw.row("UPDATE sqlite_schema SET name = CAST(x'41FF' AS TEXT), sql = 'CREATE nothing' WHERE name = 'owners'");
  EXPECT_EQ(refusal().code, ErrorCode::store_corrupt);
  EXPECT_THAT(refusal().message, HasSubstr("malformed database schema (A\xEF\xBF\xBD)"));
}

// FORMAT.md: a number that is not known is an error, not a guess; 259 is 3 in a byte.
TEST_F(BadFiles, NumbersThatThisLibraryDoesNotKnowAreDamage) {
  const auto key = create(*connect(), "a");
  RawConnection(path()).row("INSERT INTO journal(seq, instance, prev, kind, step_kind) VALUES(1, 1, 0, 3, 1)");
  RawConnection(path()).row("UPDATE instances SET head = 1");
  must(connect()->load(key));
  for (const auto* change : {"journal SET kind = 99", "journal SET kind = 259", "journal SET kind = 3, step_kind = 77",
                             "instances SET status = 99"}) {
    RawConnection(path()).row(std::string("UPDATE ") + change);
    const auto error = error_of(connect()->load(key));
    EXPECT_EQ(error.code, ErrorCode::store_corrupt) << change;
    EXPECT_THAT(error.message, HasSubstr("does not know")) << change;
  }
  EXPECT_EQ(error_of(connect()->status(key)).code, ErrorCode::store_corrupt);
}

TEST_F(BadFiles, MissingFileIsNotMadeUnlessAsked) {
  auto how = options();
  how.create = false;
  EXPECT_THAT(error_of(open_database(how)).message, HasSubstr("there is no file"));
  how = options();
  how.read_only = true;
  EXPECT_THAT(error_of(open_database(how)).message, HasSubstr("there is no file"));
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(BadFiles, MissingFolder) {
  auto how = options();
  how.location = folder_.path() / "missing" / "test.db";
  EXPECT_THAT(error_of(open_database(how)).message,
              HasSubstr("there is no folder '" + (folder_.path() / "missing").string()));
  how.location = "";
  EXPECT_THAT(error_of(open_database(how)).message, HasSubstr("no database was named"));
}

// Permissions do not bind root: without it for a while.
class Unprivileged {
 public:
  Unprivileged() {
    if (geteuid() == 0 && seteuid(65534) != 0) throw std::runtime_error("seteuid failed");
  }
  ~Unprivileged() {
    if (seteuid(user_) != 0) std::abort();
  }

 private:
  uid_t user_ = geteuid();
};

TEST_F(BadFiles, ReadOnlyFile) {
  create(*connect(), "a");
  chmod(folder_.path().c_str(), 0777);
  chmod(path().c_str(), 0444);
  const Unprivileged user;
  expect_refused(ErrorCode::store, "is read-only for this user");
}

TEST_F(BadFiles, UnreadableFile) {
  create(*connect(), "a");
  chmod(folder_.path().c_str(), 0777);
  chmod(path().c_str(), 0000);
  const Unprivileged user;
  EXPECT_THAT(refusal().message, HasSubstr("cannot be read by this user"));
}

TEST_F(BadFiles, FolderThatCannotBeWritten) {
  create(*connect(), "a");
  chmod(path().c_str(), 0666);
  chmod(folder_.path().c_str(), 0555);
  {
    const Unprivileged user;
    EXPECT_THAT(refusal().message, AllOf(HasSubstr("folder"), HasSubstr("cannot be written by this user")));
    auto how = options();
    how.location = folder_.path() / "new.db";
    EXPECT_THAT(error_of(open_database(how)).message, HasSubstr("cannot be written by this user"));
  }
  chmod(folder_.path().c_str(), 0755);
}

TEST(NetworkFileSystem, AreKnownByTheirNumbers) {
  EXPECT_EQ(network_file_system(0x6969, "nfs4"), "NFS");
  EXPECT_EQ(network_file_system(0xFF534D42, "cifs"), "CIFS");
  EXPECT_EQ(network_file_system(0xFE534D42, "smb3"), "SMB2");
  EXPECT_EQ(network_file_system(0x517B, ""), "SMB");
  EXPECT_EQ(network_file_system(0x01021997, "9p"), "9P");
}

TEST(NetworkFileSystem, FuseIsJudgedByWhatLiesBehindIt) {
  EXPECT_EQ(network_file_system(0x65735546, "fuse.sshfs"), "fuse.sshfs");
  EXPECT_EQ(network_file_system(0x65735546, "fuse.ntfs-3g"), std::nullopt);
  EXPECT_EQ(network_file_system(0x65735546, ""), std::nullopt);
}

TEST(NetworkFileSystem, LocalOnesAreNot) {
  EXPECT_EQ(network_file_system(0xEF53, "ext4"), std::nullopt);
  EXPECT_EQ(network_file_system(0x9123683E, "btrfs"), std::nullopt);
  EXPECT_EQ(network_file_system(0x01021994, "tmpfs"), std::nullopt);
  EXPECT_EQ(network_file_system(0x58465342, "xfs"), std::nullopt);
  EXPECT_EQ(network_file_system(0x794C7630, "overlay"), std::nullopt);
}

TEST(FileSystem, WhatItCannotKeepIsKnown) {
  EXPECT_THAT(std::string(risk_of({.type = "tmpfs", .options = "rw,size=64m"}).value()), HasSubstr("memory"));
  EXPECT_THAT(std::string(risk_of({.type = "overlay"}).value()), HasSubstr("container"));
  EXPECT_THAT(std::string(risk_of({.type = "ext4", .options = "rw,barrier=0"}).value()), HasSubstr("barriers"));
  EXPECT_THAT(std::string(risk_of({.type = "xfs", .options = "nobarrier"}).value()), HasSubstr("barriers"));
  EXPECT_EQ(risk_of({.type = "ext4", .options = "rw,errors=continue"}), std::nullopt);
  EXPECT_EQ(risk_of({}), std::nullopt);
}

}  // namespace
}  // namespace workflows::storage::sqlite
