// Is the database sound? Each check is one look through a table, and says what to do about what it finds.

#include <fmt/format.h>

#include <workflows/host.h>

#include <array>
#include <filesystem>
#include <map>
#include <new>
#include <string_view>

#include "engine/values/json.h"
#include "storage/sqlite/open_checks.h"
#include "storage/sqlite/schema.h"
#include "storage/sqlite/sqlite_store.h"

namespace workflows::storage::sqlite {
namespace {

using Severity = Finding::Severity;

constexpr std::string_view kRestore =
    "Stop every engine and restore the file from a backup; `workflows export` saves what can still be read";
constexpr std::string_view kReport = "Keep a copy of the file and report this: the engine should never leave it so";
constexpr std::string_view kRemoveByHand = "Nothing needs them; they only take room";

// A query whose every row is something wrong. {0} and on are its columns.
struct Check {
  std::string_view name;
  std::string_view looks_at;
  const char* sql;
  const char* message;
  std::string_view advice;
  Severity severity = Severity::problem;
};

#define WORKFLOWS_SQL_NAMED "(SELECT name FROM workflows WHERE workflows.id = i.workflow), i.id, i.generation"

// The entries of instance `i`, also where `prev` leads in a circle.
#define WORKFLOWS_SQL_CHAIN                                                                                \
  "WITH RECURSIVE chain(seq) AS (SELECT i.head UNION ALL SELECT prev FROM journal JOIN chain USING (seq) " \
  "WHERE prev <> 0 AND prev < seq) "

constexpr std::array kChecks = {
    Check{"lost_workflow", "names",
          "SELECT key, workflow FROM instances WHERE status <> 19 AND workflow NOT IN (SELECT id FROM workflows)",
          "the instance with key {} is of workflow {}, which has no name", kRestore},
    Check{"bad_name", "names",
          "SELECT 'workflow', id, name FROM workflows WHERE NOT is_workflow_name(name) "
          "UNION ALL SELECT 'the instance with key', key, id FROM instances WHERE status <> 19 AND NOT "
          "is_instance_id(id)",
          "{} {} is called '{}', which is no name that the engine gives", kRestore},
    Check{"bad_generation", "names",
          "SELECT " WORKFLOWS_SQL_NAMED
          " FROM instances i WHERE status <> 19 AND generation NOT BETWEEN 1 AND 2147483647",
          "{}/{} has a generation {}, which is none that the engine gives", kRestore},
    Check{"unknown_status", "statuses",
          "SELECT " WORKFLOWS_SQL_NAMED ", status FROM instances i WHERE status <> 19 AND NOT is_status(status)",
          "{}/{}@{} has status {}, which this library does not know", kRestore},
    Check{"unknown_kind", "histories",
          "SELECT seq, 'kind', kind FROM journal WHERE instance <> 0 AND NOT is_entry_kind(kind) UNION ALL "
          "SELECT seq, 'kind of step', step_kind FROM journal WHERE coalesce(step_kind, 0) <> 0 "
          "AND NOT is_step_kind(step_kind)",
          "entry {} has {} {}, which this library does not know", kRestore},
    // The version of the code (27) stands as it is.
    Check{"bad_json", "values",
          "SELECT 'the params of the instance with key', key FROM instances "
          "WHERE typeof(params) NOT IN ('null', 'integer') AND NOT is_json(params) "
          "UNION ALL SELECT 'the value of entry', seq FROM journal "
          "WHERE kind <> 27 AND typeof(value) NOT IN ('null', 'integer') AND NOT is_json(value) "
          "UNION ALL SELECT 'the detail of entry', seq FROM journal WHERE detail IS NOT NULL AND NOT is_json(detail) "
          "UNION ALL SELECT 'the payload of event', id FROM inbox "
          "WHERE typeof(payload) NOT IN ('null', 'integer') AND NOT is_json(payload) "
          "UNION ALL SELECT 'large value', id FROM blobs WHERE NOT is_json(data)",
          "{} {} is not JSON", kRestore},
    Check{"broken_chain", "histories",
          "SELECT j.seq, j.instance, j.prev FROM journal j LEFT JOIN journal p ON p.seq = j.prev "
          "WHERE j.prev <> 0 AND (p.seq IS NULL OR p.instance <> j.instance OR j.prev >= j.seq)",
          "entry {} of the instance with key {} follows entry {}, which is not one of that instance", kRestore},
    Check{"forked_chain", "histories",
          "SELECT instance, prev FROM journal WHERE instance <> 0 GROUP BY instance, prev HAVING count(*) > 1",
          "in the history of the instance with key {} two entries follow entry {}", kRestore},
    Check{"lost_head", "histories",
          "SELECT " WORKFLOWS_SQL_NAMED ", i.head FROM instances i LEFT JOIN journal j ON j.seq = i.head "
          "WHERE i.head <> 0 AND i.status <> 19 AND (j.seq IS NULL OR j.instance <> i.key)",
          "{}/{}@{} ends with entry {}, which is not one of it", kRestore},
    Check{"stale_head", "histories",
          "SELECT " WORKFLOWS_SQL_NAMED ", j.newest, i.head FROM instances i "
          "JOIN (SELECT instance, max(seq) AS newest FROM journal GROUP BY instance) j ON j.instance = i.key "
          "WHERE i.unsettled = 0 AND i.status <> 19 AND j.newest <> i.head",
          "{}/{}@{} has entry {}, but its history ends with entry {}", kReport},
    Check{"orphan_entries", "orphans",
          "SELECT count(*), min(seq) FROM journal WHERE instance <> 0 AND instance NOT IN (SELECT key FROM instances) "
          "HAVING count(*) > 0",
          "{} entries of the journal belong to no instance, the first is entry {}", kRemoveByHand},
    Check{"orphan_events", "orphans",
          "SELECT count(*), min(id) FROM inbox WHERE instance NOT IN (SELECT key FROM instances) HAVING count(*) > 0",
          "{} events belong to no instance, the first is event {}", kRemoveByHand},
    Check{"orphan_notices", "orphans",
          "SELECT count(*), min(id) FROM notices WHERE owner NOT IN (SELECT id FROM owners) HAVING count(*) > 0",
          "{} notices are for engines that do not exist, the first is notice {}", kRemoveByHand},
    Check{"orphan_values", "orphans",
          "SELECT count(*), min(id) FROM blobs WHERE id NOT IN ("
          "SELECT params FROM instances WHERE typeof(params) = 'integer' "
          "UNION ALL SELECT value FROM journal WHERE typeof(value) = 'integer' "
          "UNION ALL SELECT payload FROM inbox WHERE typeof(payload) = 'integer') HAVING count(*) > 0",
          "{} large values belong to nothing, the first is blob {}", kRemoveByHand},
    Check{"lost_values", "orphans",
          "SELECT count(*), min(id) FROM (SELECT params AS id FROM instances WHERE typeof(params) = 'integer' "
          "UNION ALL SELECT value FROM journal WHERE typeof(value) = 'integer' "
          "UNION ALL SELECT payload FROM inbox WHERE typeof(payload) = 'integer') "
          "WHERE id NOT IN (SELECT id FROM blobs) HAVING count(*) > 0",
          "{} large values are missing, the first is blob {}", kRestore},
    Check{"event_taken_twice", "events",
          "SELECT event, count(*) FROM journal WHERE kind = 8 AND event <> 0 GROUP BY event HAVING count(*) > 1",
          "event {} was delivered {} times", kReport},
    Check{"event_not_marked", "events",
          "SELECT inbox.id, j.seq FROM journal j JOIN inbox ON inbox.id = j.event WHERE j.kind = 8 AND inbox.taken = 0",
          "event {} was delivered by entry {}, but is not marked as taken", kReport},
    Check{"event_without_delivery", "events",
          "SELECT inbox.id, " WORKFLOWS_SQL_NAMED
          " FROM inbox JOIN instances i ON i.key = inbox.instance WHERE taken = 1 AND i.status <> 19 "
          "AND inbox.id NOT IN (SELECT event FROM journal WHERE kind = 8 AND event IS NOT NULL)",
          "event {} of {}/{}@{} is marked as taken, but no entry delivered it", kReport},
    Check{"unknown_owner", "owners",
          "SELECT " WORKFLOWS_SQL_NAMED
          ", i.owner FROM instances i WHERE i.owner <> 0 AND i.owner NOT IN (SELECT id FROM owners)",
          "{}/{}@{} belongs to engine {}, which does not exist: nothing wakes it", kReport},
    Check{"finished_with_owner", "owners",
          "SELECT " WORKFLOWS_SQL_NAMED ", i.owner FROM instances i WHERE i.status >= 16 AND i.owner <> 0",
          "{}/{}@{} is finished, but still belongs to engine {}", kReport},
    Check{"running_without_owner", "owners",
          "SELECT " WORKFLOWS_SQL_NAMED " FROM instances i WHERE i.status IN (1, 3) AND i.owner = 0",
          "{}/{}@{} is running, but belongs to no engine: nothing wakes it", kReport},
    Check{"waits_for_nothing", "wake-ups",
          "SELECT " WORKFLOWS_SQL_NAMED " FROM instances i WHERE i.status = 2 AND i.wake IS NULL AND i.unsettled = 0 "
          "AND NOT EXISTS (" WORKFLOWS_SQL_CHAIN
          "SELECT 1 FROM chain JOIN journal w ON w.seq = chain.seq AND w.kind = 7 WHERE NOT EXISTS ("
          "SELECT 1 FROM chain c JOIN journal e ON e.seq = c.seq WHERE e.step = w.step "
          "AND (e.kind IN (8, 9) OR (e.kind = 10 AND e.seq > w.seq))))",
          "{}/{}@{} is waiting, but neither for a time nor for an event: nothing wakes it", kReport},
    Check{"waits_without_timer", "wake-ups",
          "SELECT " WORKFLOWS_SQL_NAMED
          " FROM instances i WHERE i.status = 2 AND i.wake IS NULL AND i.unsettled = 0 AND EXISTS (" WORKFLOWS_SQL_CHAIN
          "SELECT 1 FROM chain JOIN journal w ON w.seq = chain.seq AND w.kind IN (5, 7) AND w.deadline IS NOT NULL "
          "WHERE NOT EXISTS (SELECT 1 FROM chain c JOIN journal e ON e.seq = c.seq "
          "WHERE e.step = w.step AND e.kind IN (6, 8, 9, 10)))",
          "{}/{}@{} waits for a time, but has no timer: nothing wakes it when the time has come", kReport},
    Check{"process_lost_often", "attempts",
          "SELECT " WORKFLOWS_SQL_NAMED ", count(*) FROM journal j JOIN instances i ON i.key = j.instance "
          "WHERE j.kind = 2 AND i.status < 16 AND j.value LIKE '{\"type\":\"ProcessLost\"%' GROUP BY i.key "
          "HAVING count(*) >= 3",
          "{}/{}@{} was running when the process died, {} times: it may be what kills it",
          "Look at its step with `workflows inspect`, and pause or terminate it", Severity::stuck},
    Check{"nobody_runs", "wake-ups",
          "SELECT (SELECT name FROM workflows WHERE workflows.id = i.workflow), count(*) FROM instances i "
          "WHERE i.owner = 0 AND i.status < 16 AND (i.status IN (0, 5) OR (i.status = 2 AND i.wake <= ?1)) "
          "AND i.updated <= ?1 GROUP BY i.workflow",
          "workflow {0} has instances that could go on, and no engine has taken them for a minute: {1}",
          "Start an engine that has this workflow", Severity::stuck},
    Check{"diverged", "wake-ups",
          "SELECT " WORKFLOWS_SQL_NAMED
          " FROM instances i JOIN journal j ON j.seq = i.head WHERE i.status = 4 AND j.kind = 25 "
          "AND (j.value LIKE '%\"reason\":\"diverged\"%' OR j.value LIKE '%\"reason\": \"diverged\"%')",
          "{}/{}@{} is paused: the code diverged from its history",
          "`workflows inspect` shows where; run the code that it began with, or restart it from an earlier step",
          Severity::stuck},
};

// ---- what texts and numbers have to be, for SQL

using Value = sqlite3_value*;

std::string_view text_of(Value value) {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return bytes == nullptr ? "" : std::string_view(bytes, static_cast<std::size_t>(sqlite3_value_bytes(value)));
}

bool is_json(Value value) { return text_of(value).empty() || !values::json_problem(text_of(value)); }

template <void (*Check)(std::string_view)>
bool is_name(Value value) {
  try {
    Check(text_of(value));
    return true;
  } catch (const InvalidNameError&) { return false; }
}

template <class Enum>
bool is_known(Value value) {
  const auto number = sqlite3_value_int64(value);
  const auto as_enum = static_cast<Enum>(number);
  return static_cast<std::int64_t>(as_enum) == number && to_string(as_enum) != "unknown";
}

template <bool (*Holds)(Value)>
void answer(sqlite3_context* context, int, Value* values) {
  try {
    sqlite3_result_int(context, Holds(values[0]) ? 1 : 0);
  } catch (const std::bad_alloc&) { sqlite3_result_error_nomem(context); }
}

void define_functions(sqlite3* database) {
  const auto define = [&](const char* name, void (*function)(sqlite3_context*, int, Value*)) {
    sqlite3_create_function_v2(database, name, 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr, function, nullptr,
                               nullptr, nullptr);
  };
  define("is_json", answer<is_json>);
  define("is_workflow_name", answer<is_name<check_workflow_name>>);
  define("is_instance_id", answer<is_name<check_instance_id>>);
  define("is_status", answer<is_known<Status>>);
  define("is_entry_kind", answer<is_known<EntryKind>>);
  define("is_step_kind", answer<is_known<StepKind>>);
}

// ---- looking

constexpr std::size_t kShownEach = 10;

std::string described(const Check& check, const Query& row) {
  std::array<std::string, 5> cells;
  for (int column = 0; column < row.columns(); ++column)
    cells.at(static_cast<std::size_t>(column)) = std::string(row.text(column));
  return fmt::format(fmt::runtime(check.message), cells[0], cells[1], cells[2], cells[3], cells[4]);
}

void run(Connection& connection, const Check& check, TimePoint now, std::vector<Finding>& findings) {
  std::size_t found = 0;
  const bool needs_time = std::string_view(check.sql).find("?1") != std::string_view::npos;
  Query row(connection, check.sql);
  if (needs_time) row.bind_next(now - std::chrono::minutes(1));
  while (row.next()) {
    if (++found > kShownEach) continue;
    findings.push_back({.severity = check.severity,
                        .check = std::string(check.name),
                        .message = described(check, row),
                        .advice = std::string(check.advice)});
  }
  if (found > kShownEach)
    findings.push_back({.severity = check.severity,
                        .check = std::string(check.name),
                        .message = fmt::format("and {} more like these", found - kShownEach),
                        .advice = std::string(check.advice)});
}

void check_integrity(Connection& connection, std::vector<Finding>& findings) {
  for (Query row(connection, "PRAGMA integrity_check(20)"); row.next();) {
    if (row.text(0) == "ok") continue;
    findings.push_back({.severity = Severity::problem,
                        .check = "integrity",
                        .message = fmt::format("SQLite finds damage: {}", row.text(0)),
                        .advice = std::string(kRestore)});
  }
}

// What the tables and indexes of a new file are, by name.
std::map<std::string, std::string> schema_of(Connection& connection) {
  std::map<std::string, std::string> schema;
  for (Query row(connection, "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
       row.next();)
    schema.emplace(row.text(0), row.text(1));
  return schema;
}

// Returns whether the tables can be read. What others add beside ours is theirs, unless it acts on ours.
bool check_schema(Connection& connection, std::vector<Finding>& findings) {
  const auto find = [&](std::string message, std::string_view advice) {
    findings.push_back({.severity = Severity::problem,
                        .check = "schema",
                        .message = std::move(message),
                        .advice = std::string(advice)});
  };
  Connection fresh(":memory:", Connection::Mode::read_write, Millis(0));
  migrate(fresh, 0);
  const auto expected = schema_of(fresh);
  const auto found = schema_of(connection);
  bool readable = true;
  for (const auto& [name, sql] : expected) {
    const auto here = found.find(name);
    if (here != found.end() && here->second == sql) continue;
    find(fmt::format("the table or index {} is {}", name, here == found.end() ? "missing" : "not as it was made"),
         kRestore);
    readable = false;
  }
  for (Query row(connection,
                 "SELECT type, name, tbl_name FROM sqlite_schema WHERE type IN ('trigger', 'index') "
                 "AND sql IS NOT NULL");
       row.next();)
    if (expected.contains(std::string(row.text(2))) && !expected.contains(std::string(row.text(1))))
      find(fmt::format("the {} {} on the table {} is not the engine's", row.text(0), row.text(1), row.text(2)),
           "Drop it, if you know what made it: it changes what is recorded, or may refuse it");
  return readable;
}

// Nobody wakes what belongs to an engine that is gone, until another engine takes it over.
void check_engines(Connection& connection, const std::vector<EngineInfo>& engines, std::vector<Finding>& findings) {
  for (const EngineInfo& engine : engines) {
    Query row(connection, "SELECT count(*) FROM instances WHERE owner = ?1 AND status < 16", engine.id);
    row.next();
    if (engine.alive || row.integer(0) == 0) continue;
    findings.push_back({.severity = Severity::stuck,
                        .check = "dead_engine",
                        .message = fmt::format("engine {} is gone, and nothing wakes the unfinished instances that "
                                               "belong to it: {}",
                                               engine.id, row.integer(0)),
                        .advice = "Start an engine that has their workflows: it takes them over at once"});
  }
}

void check_sqlite(std::vector<Finding>& findings) {
  constexpr int kFixed = 3'051'003;
  if (sqlite3_libversion_number() >= kFixed) return;
  findings.push_back(
      {.severity = Severity::note,
       .check = "sqlite_wal_reset",
       .message = fmt::format("SQLite {} can lose data when a foreign program checkpoints the file while "
                              "an engine writes (fixed in 3.51.3); engines themselves avoid it",
                              sqlite3_libversion()),
       .advice = "Do not open the file with other SQLite tools while engines run"});
}

void check_file_system(const std::string& path, std::vector<Finding>& findings) {
  const Mount mount = mount_of(std::filesystem::path(path).parent_path().string());
  const auto risk = risk_of(mount);
  if (!risk) return;
  findings.push_back({.severity = Severity::note,
                      .check = "file_system",
                      .message = fmt::format("the file system under '{}' ({}) {}", path, mount.type, *risk),
                      .advice = "Put the database on a disk that stays, unless it may be lost"});
}

void check_wal(const std::string& path, std::vector<Finding>& findings) {
  constexpr std::uint64_t kMany = 256 << 20;
  const std::uint64_t wal_bytes = size_of(path + "-wal");
  if (wal_bytes < kMany) return;
  findings.push_back({.severity = Severity::problem,
                      .check = "wal_size",
                      .message = fmt::format("'{}-wal' has {} MB: some program reads the database without end, so that "
                                             "the log cannot be moved into the file",
                                             path, wal_bytes >> 20),
                      .advice = "Find the program with `fuser` and end its transaction"});
}

}  // namespace

std::expected<std::vector<Finding>, Error> SqliteStore::check(TimePoint now,
                                                              const std::function<void(std::string_view)>& progress) {
  std::vector<Finding> findings;
  const auto look = [&](std::string_view at, const std::function<void()>& work) {
    progress(at);
    return read(work);  // each as of a moment of its own: a long one would keep the log from being moved
  };
  define_functions(connection_->handle());
  bool readable = false;
  auto done = look("the file", [&] { check_integrity(*connection_, findings); });
  const bool is_whole = findings.empty();
  if (done) done = look("the tables", [&] { readable = check_schema(*connection_, findings) && is_whole; });
  for (const Check& check : kChecks) {
    if (!done || !readable) break;
    done = look(check.looks_at, [&] { run(*connection_, check, now, findings); });
  }
  if (done && readable)
    done = look("engines", [&] {
      const auto engines = this->engines();
      if (!engines) throw Failed{engines.error()};
      check_engines(*connection_, *engines, findings);
    });
  if (!done) return std::unexpected(done.error());
  check_sqlite(findings);
  check_file_system(connection_->path(), findings);
  check_wal(connection_->path(), findings);
  return findings;
}

}  // namespace workflows::storage::sqlite
