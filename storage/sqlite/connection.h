#pragma once
// SQLite's C API with ownership and errors: one connection, its prepared statements, one run of a statement. Used from
// one thread at a time.

#include <sqlite3.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <workflows/error.h>
#include <workflows/time.h>

namespace workflows::storage::sqlite {

// Thrown inside this folder alone; the verbs of the Store turn it into the Error that they return.
struct Failed {
  Error error;
  // The database itself failed, rather than the request: after that, a writer is not to be trusted any more (S44).
  bool disk = false;
};

// What a failed call of SQLite means to the user. `doing` completes "... failed".
Failed failed(int code, const char* detail, const std::string& path, std::string_view doing);

// Of a file; 0: it is not there.
std::uint64_t size_of(const std::string& path);

class Connection {
 public:
  // A reader has the file open for writing as well, where it may, because only so it can remove the side files that it
  // made: a file that nobody else has open is left as it was found. It is kept from writing by SQLite.
  enum class Mode { read_write, read_only };

  // Opens an existing file; reads nothing of it yet. Throws Failed.
  Connection(std::string path, Mode mode, Millis busy_timeout);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const std::string& path() const { return path_; }
  sqlite3* handle() const { return database_.get(); }

  // Runs SQL that returns nothing. `doing` names it in the error.
  void execute(const char* sql, std::string_view doing);
  // For what is not counted: begin and end of transactions, pragmas that return a number.
  void control(const char* sql, std::string_view doing);
  std::int64_t integer(const char* sql);
  // `sql` is a constant: it is prepared once and known by its address from then on.
  sqlite3_stmt* prepared(const char* sql);

  std::int64_t last_id() const { return sqlite3_last_insert_rowid(handle()); }
  int changed_rows() const { return sqlite3_changes(handle()); }
  bool in_transaction() const { return sqlite3_get_autocommit(handle()) == 0; }

  // A connection that closes last moves the WAL into the file, unless told that the file is not to be touched.
  void leave_file_alone_on_close();
  void tidy_file_on_close();

  [[noreturn]] void fail(int code, std::string_view doing) const;

  std::uint64_t statements = 0;  // run so far
  int wal_pages = 0;             // in the WAL after the newest commit of this connection

 private:
  struct Closer {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalizer>;

  static int wait_while_busy(void* self, int calls);
  void open(Mode mode);

  std::string path_;
  Mode mode_;
  pid_t pid_;
  Millis busy_timeout_;
  std::int64_t busy_since_ms_ = 0;
  std::unique_ptr<sqlite3, Closer> database_;
  std::unordered_map<const char*, Statement> statements_;
};

// One run of a prepared statement. Texts are bound without being copied: they must outlive the run.
class Query {
 public:
  template <class... Args>
  Query(Connection& connection, const char* sql, const Args&... args)
      : connection_(connection), statement_(connection.prepared(sql)) {
    ++connection.statements;
    bind_next(args...);
  }
  ~Query() { sqlite3_reset(statement_); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Further arguments, after those of the constructor.
  template <class... Args>
  void bind_next(const Args&... args) {
    (bind(++bound_, args), ...);
  }

  // The next row, if there is one.
  bool next();
  // For statements that return no rows.
  void run();

  int columns() const { return sqlite3_column_count(statement_); }
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  bool is_integer(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_INTEGER; }
  template <class Integer = std::int64_t>
  Integer integer(int column) const {
    return static_cast<Integer>(sqlite3_column_int64(statement_, column));
  }
  // Valid until the next row.
  std::string_view text(int column) const;
  TimePoint time(int column) const { return TimePoint(Millis(integer(column))); }
  std::optional<TimePoint> optional_time(int column) const;

 private:
  void bind(int index, std::nullptr_t) { check(sqlite3_bind_null(statement_, index)); }
  template <std::integral Integer>
  void bind(int index, Integer value) {
    check(sqlite3_bind_int64(statement_, index, static_cast<std::int64_t>(value)));
  }
  void bind(int index, std::string_view text);
  void bind(int index, TimePoint time) { bind(index, time.time_since_epoch().count()); }
  template <class T>
  void bind(int index, const std::optional<T>& value) {
    if (value)
      bind(index, *value);
    else
      bind(index, nullptr);
  }
  // Types of this folder that know how they are kept.
  template <class T>
    requires requires(const T& value) { value.bind_to([](const auto&) {}); }
  void bind(int index, const T& value) {
    value.bind_to([&](const auto& plain) { bind(index, plain); });
  }
  void check(int code);

  Connection& connection_;
  sqlite3_stmt* statement_;
  int bound_ = 0;
};

// A text that costs nothing when it is empty.
struct Maybe {
  std::string_view text;
  void bind_to(auto bind) const {
    if (text.empty())
      bind(nullptr);
    else
      bind(text);
  }
};

// Several reads as of one moment.
class Snapshot {
 public:
  explicit Snapshot(Connection& connection);
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 private:
  Connection& connection_;
};

}  // namespace workflows::storage::sqlite
