#include "storage/sqlite/sqlite_database.h"

#include <fmt/format.h>

#include "engine/values/mutex.h"
#include "storage/sqlite/open_checks.h"
#include "storage/sqlite/schema.h"

namespace workflows::storage::sqlite {
namespace {

// POSIX drops all of a process's locks on a file when any handle to it is closed. So no connection may be opened while
// `create_file` has a handle of its own.
values::Mutex opening_mutex;

// Without its statistics of memory SQLite takes no lock for each allocation. They can be switched off only before
// SQLite is first used: where a program has used it already, they stay on.
void do_without_memory_statistics() {
  [[maybe_unused]] static const int code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(OpenOptions options, std::string path, Millis busy_timeout)
      : options_(std::move(options)), path_(std::move(path)), busy_timeout_(busy_timeout) {}

  // Checks the file and brings it to the current version.
  void prepare();
  std::expected<std::unique_ptr<Store>, Error> connect() override;

 private:
  std::unique_ptr<Connection> open_connection();
  void migrate_if_needed(Connection& connection);
  void configure(Connection& connection) const;

  OpenOptions options_;
  std::string path_;
  Millis busy_timeout_;
};

void SqliteDatabase::prepare() {
  do_without_memory_statistics();
  if (!options_.read_only) {
    const values::MutexLock lock(opening_mutex);
    if (options_.create) create_file(path_);
  }
  const auto connection = open_connection();
  connection->leave_file_alone_on_close();
  const auto version = check_header(*connection);
  if (version == 0 && (options_.read_only || !options_.create))
    throw Failed{{ErrorCode::store, fmt::format("'{}' is empty: nothing was recorded in it yet. An engine makes it a "
                                                "database when it starts",
                                                path_)}};
  if (options_.read_only) {
    if (version != current_version())
      throw Failed{{ErrorCode::store_version,
                    fmt::format("'{}' has format version {}, and this library reads version {}. Open it once for "
                                "writing: that brings it up to date",
                                path_, version, current_version())}};
    check_length(*connection);
    return;
  }
  LockFile locks(path_);
  const WriteLock writing(locks, busy_timeout_);
  check_length(*connection);
  migrate_if_needed(*connection);
  connection->tidy_file_on_close();
}

void SqliteDatabase::migrate_if_needed(Connection& connection) {
  // The newest header may still be in the WAL.
  const auto version = connection.integer("PRAGMA user_version");
  check_version(path_, version);
  configure(connection);
  if (version < current_version()) migrate(connection, static_cast<std::int32_t>(version));
  // After the first migration, so that a file that is not empty always says whose it is.
  Query mode(connection, "PRAGMA journal_mode = WAL");
  if (!mode.next() || mode.text(0) != "wal")
    throw Failed{{ErrorCode::store, fmt::format("'{}' lies on a file system without shared memory between processes, "
                                                "which the database needs. Put it on an ordinary disk of this machine",
                                                path_)}};
}

std::expected<std::unique_ptr<Store>, Error> SqliteDatabase::connect() {
  try {
    auto connection = open_connection();
    configure(*connection);
    auto locks = options_.read_only ? nullptr : std::make_unique<LockFile>(path_);
    return std::make_unique<SqliteStore>(std::move(connection), std::move(locks), busy_timeout_);
  } catch (const Failed& failure) { return std::unexpected(failure.error); }
}

std::unique_ptr<Connection> SqliteDatabase::open_connection() {
  const values::MutexLock lock(opening_mutex);
  const auto mode = options_.read_only ? Connection::Mode::read_only : Connection::Mode::read_write;
  return std::make_unique<Connection>(path_, mode, busy_timeout_);
}

void SqliteDatabase::configure(Connection& connection) const {
  connection.execute(
      options_.durability == Durability::full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
      "preparing the connection");
  // An I/O error in mapped memory would end the process.
  connection.execute("PRAGMA mmap_size = 0; PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY",
                     "preparing the connection");
}

}  // namespace

std::expected<std::shared_ptr<Database>, Error> open_sqlite(const OpenOptions& options, Millis busy_timeout) {
  try {
    auto database = std::make_shared<SqliteDatabase>(options, check_location(options), busy_timeout);
    database->prepare();
    return database;
  } catch (const Failed& failure) { return std::unexpected(failure.error); }
}

}  // namespace workflows::storage::sqlite
