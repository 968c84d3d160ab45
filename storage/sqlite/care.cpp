// What is in the database as a whole.

#include <workflows/maintenance.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "storage/sqlite/open_checks.h"
#include "storage/sqlite/sql.h"
#include "storage/sqlite/sqlite_store.h"

namespace workflows::storage::sqlite {
namespace {

constexpr char kWorkflows[] = "SELECT id FROM workflows ORDER BY name";
constexpr char kCounts[] =
    "SELECT workflow, status, count(*) FROM instances WHERE status <> 19 AND " WORKFLOWS_SQL_IS_NEWEST
    " GROUP BY workflow, status";
constexpr char kOldestRunnable[] = "SELECT min(updated) FROM instances WHERE status = 0 AND status < 16";
// The newest entries alone: how many there are is not known.
constexpr char kRecent[] =
    "SELECT count(*), min(at) FROM (SELECT kind, at FROM journal ORDER BY seq DESC LIMIT 100000) "
    "WHERE at > ?1 AND kind IN (3, 4, 6, 8, 9)";

// An emptied entry (instance 0) only keeps its number taken.
constexpr char kJournalAfter[] =
    "SELECT " WORKFLOWS_SQL_ENTRY ", seq FROM journal WHERE seq > ?1 AND instance <> 0 ORDER BY seq LIMIT ?2";
constexpr char kJournalNewest[] =
    "SELECT " WORKFLOWS_SQL_ENTRY ", seq FROM journal WHERE instance <> 0 ORDER BY seq DESC LIMIT ?1";
constexpr int kEntryInstance = 0;
constexpr int kEntrySeq = 18;

constexpr Millis kRecently = std::chrono::minutes(1);

}  // namespace

std::expected<std::vector<InstanceInfo>, Error> SqliteStore::find_everywhere(const std::string& id) {
  std::vector<InstanceInfo> found;
  const auto done = read([&] {
    for (Query workflow(*connection_, kWorkflows); workflow.next();) {
      Query row(*connection_, sql::kInfoById, workflow.integer(0), id);
      if (row.next()) found.push_back(read_info(row, names_));
    }
  });
  if (!done) return std::unexpected(done.error());
  return found;
}

std::expected<std::vector<JournalEntry>, Error> SqliteStore::journal(std::optional<std::int64_t> after,
                                                                     std::uint32_t limit) {
  std::vector<JournalEntry> found;
  const auto add = [&](Query& row) {
    while (row.next())
      found.push_back({.instance = row.integer(kEntryInstance),
                       .recorded = {.cursor = row.integer(kEntrySeq), .entry = read_entry(*connection_, row)}});
  };
  const auto done = read([&] {
    if (after) {
      Query row(*connection_, kJournalAfter, *after, limit);
      add(row);
    } else {
      Query row(*connection_, kJournalNewest, limit);
      add(row);
      std::ranges::reverse(found);
    }
  });
  if (!done) return std::unexpected(done.error());
  return found;
}

std::expected<Statistics, Error> SqliteStore::statistics(TimePoint now) {
  Statistics statistics;
  const auto done = read([&] {
    for (Query row(*connection_, kCounts); row.next();)
      statistics.counts.push_back({.workflow = names_.name(row.integer(0)),
                                   .status = read_status(*connection_, row, 1),
                                   .instances = row.integer<std::uint64_t>(2)});
    std::ranges::sort(statistics.counts, {},
                      [](const StatusCount& each) { return std::tie(each.workflow, each.status); });
    if (Query row(*connection_, kOldestRunnable); row.next()) statistics.oldest_runnable = row.optional_time(0);
    Query row(*connection_, kRecent, now - kRecently);
    row.next();
    statistics.recent_steps = row.integer<std::uint64_t>(0);
    constexpr std::uint64_t kMany = 50'000;  // the newest entries may not reach a minute back
    statistics.recent = statistics.recent_steps < kMany ? kRecently : std::max(now - row.time(1), Millis(1));
  });
  if (!done) return std::unexpected(done.error());
  const auto engines = this->engines();
  if (!engines) return std::unexpected(engines.error());
  statistics.engines = static_cast<std::uint64_t>(std::ranges::count_if(*engines, &EngineInfo::alive));
  statistics.file_bytes = size_of(connection_->path());
  statistics.wal_bytes = size_of(connection_->path() + "-wal");
  return statistics;
}

}  // namespace workflows::storage::sqlite

namespace workflows {

std::string sqlite_version() { return sqlite3_libversion(); }

namespace {

std::filesystem::path path_of(const std::string& database) {
  std::error_code unknown;
  return std::filesystem::weakly_canonical(std::filesystem::absolute(database), unknown);
}

}  // namespace

std::string file_system_of(const std::string& database) {
  return storage::sqlite::mount_of(path_of(database).parent_path().string()).type;
}

std::uint64_t log_bytes_of(const std::string& database) {
  return storage::sqlite::size_of(path_of(database).string() + "-wal");
}

}  // namespace workflows
