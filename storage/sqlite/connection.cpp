#include "storage/sqlite/connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "engine/values/text.h"

namespace workflows::storage::sqlite {
namespace {

std::int64_t steady_ms() {
  return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool may(const std::string& path, int what) { return faccessat(AT_FDCWD, path.c_str(), what, AT_EACCESS) == 0; }

bool may_write_beside(const std::string& path) {
  return may(path, W_OK) && may(path.substr(0, path.rfind('/') + 1), W_OK | X_OK);
}

// As a URI, in which some characters mean something.
std::string uri_of(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#')
      uri += fmt::format("%{:02x}", static_cast<unsigned>(c));
    else
      uri += c;
  }
  return uri;
}

constexpr std::string_view kReopen = "Everything that was acknowledged is safe; reopen the database to go on";

}  // namespace

std::uint64_t size_of(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

Failed failed(int code, const char* detail, const std::string& path, std::string_view doing) {
  const auto error = [&](ErrorCode kind, std::string_view text) {
    // SQLite quotes what it found, and a damaged file may hold anything.
    const auto quoted = values::as_valid_utf8(detail);
    return Error{kind, fmt::format("'{}': {} failed: {} (SQLite: {}, code {})", path, doing, text, quoted, code)};
  };
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {error(ErrorCode::store_busy,
                    "another program kept the database locked all the time that was waited; nothing was written, try "
                    "again later")};
    case SQLITE_TOOBIG:
      return {error(ErrorCode::payload_too_large, "SQLite holds no value larger than about 1 GB")};
    case SQLITE_FULL:
      return {error(ErrorCode::store, fmt::format("the disk is full. {}, after making room on the disk", kReopen)),
              true};
    case SQLITE_IOERR:
      return {error(ErrorCode::store, fmt::format("the disk reported an I/O error. {}, after checking the disk and "
                                                  "the system's log",
                                                  kReopen)),
              true};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {error(ErrorCode::store_corrupt,
                    "the file is damaged. Restore it from a backup, or save what can be saved with sqlite3's .recover "
                    "on a copy"),
              true};
    case SQLITE_READONLY:
      return {error(ErrorCode::store, "the file cannot be written. Check its permissions and those of its folder"),
              true};
    case SQLITE_CANTOPEN:
      return {error(ErrorCode::store,
                    "the file, or a side file next to it (-wal, -shm), cannot be opened. Check that they and their "
                    "folder can be read and written by this user"),
              true};
    default:
      return {error(ErrorCode::store, fmt::format("SQLite refused. {}", kReopen)), true};
  }
}

Connection::Connection(std::string path, Mode mode, Millis busy_timeout)
    : path_(std::move(path)), mode_(mode), pid_(getpid()), busy_timeout_(busy_timeout) {
  open(mode);
  sqlite3* database = handle();
  sqlite3_busy_handler(database, wait_while_busy, this);
  // Taking the hook also turns SQLite's automatic checkpoints off: they would run beside other writers (FORMAT.md).
  sqlite3_wal_hook(
      database,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Connection*>(self)->wal_pages = pages;
        return SQLITE_OK;
      },
      this);
}

void Connection::open(Mode mode) {
  const bool writable = mode == Mode::read_write || may_write_beside(path_);
  // Where no side files can be made, a file without a log is one that nobody writes.
  const bool still = !writable && access((path_ + "-wal").c_str(), F_OK) != 0;
  const int flags = (writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX |
                    SQLITE_OPEN_EXRESCODE | (still ? SQLITE_OPEN_URI : 0);
  const std::string name = still ? uri_of(path_) + "?immutable=1" : path_;
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &database, flags, nullptr);
  database_.reset(database);
  if (code != SQLITE_OK) fail(code, "opening");
  if (mode == Mode::read_write) return;
  leave_file_alone_on_close();
  sqlite3_exec(database, "PRAGMA query_only = ON", nullptr, nullptr, nullptr);
}

Connection::~Connection() {
  // With nothing in the log, closing last removes the side files and writes nothing.
  if (mode_ == Mode::read_only && pid_ == getpid() && size_of(path_ + "-wal") == 0) tidy_file_on_close();
  // A connection must not be used across fork, not even to be closed: it is the parent's.
  if (pid_ == getpid()) return;
  for (auto& [sql, statement] : statements_) (void)statement.release();
  (void)database_.release();
}

int Connection::wait_while_busy(void* self, int calls) {
  auto& connection = *static_cast<Connection*>(self);
  if (calls == 0) connection.busy_since_ms_ = steady_ms();
  if (steady_ms() - connection.busy_since_ms_ >= connection.busy_timeout_.count()) return 0;
  std::this_thread::sleep_for(Millis(std::min(1 + calls, 10)));
  return 1;
}

void Connection::execute(const char* sql, std::string_view doing) {
  if (const int code = sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr); code != SQLITE_OK) fail(code, doing);
}

void Connection::control(const char* sql, std::string_view doing) {
  sqlite3_stmt* statement = prepared(sql);
  const int code = sqlite3_step(statement);
  sqlite3_reset(statement);
  if (code != SQLITE_DONE) fail(code, doing);
}

std::int64_t Connection::integer(const char* sql) {
  sqlite3_stmt* statement = prepared(sql);
  const int code = sqlite3_step(statement);
  const auto value = sqlite3_column_int64(statement, 0);
  sqlite3_reset(statement);
  if (code != SQLITE_ROW) fail(code, "reading");
  return value;
}

sqlite3_stmt* Connection::prepared(const char* sql) {
  auto& statement = statements_[sql];
  if (!statement) {
    sqlite3_stmt* made = nullptr;
    const int code = sqlite3_prepare_v3(handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    if (code != SQLITE_OK) fail(code, "preparing a statement");
    statement.reset(made);
  }
  return statement.get();
}

void Connection::leave_file_alone_on_close() {
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void Connection::tidy_file_on_close() { sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr); }

void Connection::fail(int code, std::string_view doing) const {
  throw failed(code, database_ ? sqlite3_errmsg(handle()) : sqlite3_errstr(code), path_, doing);
}

bool Query::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) check(code);
  return false;
}

void Query::run() {
  while (next()) {}
}

std::string_view Query::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return bytes ? std::string_view(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)))
               : std::string_view();
}

std::optional<TimePoint> Query::optional_time(int column) const {
  if (is_null(column)) return std::nullopt;
  return time(column);
}

void Query::bind(int index, std::string_view text) {
  // A null pointer would bind NULL instead of the empty text.
  const char* bytes = text.data() ? text.data() : "";
  check(sqlite3_bind_text64(statement_, index, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Query::check(int code) {
  if (code == SQLITE_OK) return;
  sqlite3_reset(statement_);
  connection_.fail(code, sqlite3_stmt_readonly(statement_) ? "reading" : "writing");
}

Snapshot::Snapshot(Connection& connection) : connection_(connection) { connection_.control("BEGIN", "reading"); }

Snapshot::~Snapshot() {
  // A read has nothing to commit; after an error SQLite may have ended the transaction already.
  if (connection_.in_transaction()) sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

}  // namespace workflows::storage::sqlite
