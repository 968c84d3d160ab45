// The read path.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "storage/lifecycle.h"
#include "storage/sqlite/list_statement.h"
#include "storage/sqlite/sql.h"
#include "storage/sqlite/sqlite_store.h"

namespace workflows::storage::sqlite {
namespace {

Failed unknown_instance(InstanceKey key) {
  return {{ErrorCode::instance_not_found, fmt::format("there is no instance with key {} in this database", key)}};
}

}  // namespace

std::expected<void, Error> SqliteStore::read(const std::function<void()>& work) {
  if (const auto error = unusable()) return std::unexpected(*error);
  try {
    std::optional<Snapshot> snapshot;
    if (!connection_->in_transaction()) snapshot.emplace(*connection_);
    work();
    return {};
  } catch (const Failed& failure) { return std::unexpected(failure.error); } catch (const std::bad_alloc&) {
    return std::unexpected(out_of_memory());
  }
}

std::expected<bool, Error> SqliteStore::changed() {
  if (const auto error = unusable()) return std::unexpected(*error);
  if (notice_) notice_->clear();  // before the look: what comes after it is told again
  try {
    const auto version = connection_->integer(sql::kDataVersion);
    return std::exchange(data_version_, version) != version;
  } catch (const Failed& failure) { return std::unexpected(failure.error); }
}

// Every commit of anybody is written to the WAL, which is there as long as a connection is open.
int SqliteStore::change_fd() {
  if (!notice_) notice_.emplace(connection_->path() + "-wal");
  return notice_->fd();
}

std::expected<Store::Arrivals, Error> SqliteStore::arrivals(OwnerId owner, std::int64_t after, std::uint32_t limit) {
  Arrivals arrived{.events = {}, .last = after};
  const auto done = read([&] {
    Query row(*connection_, sql::kArrivals, after);
    while (arrived.events.size() < limit && row.next()) {
      arrived.last = row.integer(0);
      if (row.integer(6) != owner) continue;
      arrived.events.push_back({.instance = row.integer(1), .event = read_event(*connection_, row)});
    }
  });
  if (!done) return std::unexpected(done.error());
  return arrived;
}

std::expected<std::vector<InstanceKey>, Error> SqliteStore::with_untaken_events(OwnerId owner) {
  std::vector<InstanceKey> keys;
  const auto done = read([&] {
    for (const auto status : {Status::queued, Status::running, Status::waiting, Status::waiting_for_pause,
                              Status::paused, Status::rolling_back}) {
      Query row(*connection_, sql::kWithUntaken, static_cast<int>(status), owner);
      while (row.next()) keys.push_back(row.integer(0));
    }
  });
  if (!done) return std::unexpected(done.error());
  std::ranges::sort(keys);
  return keys;
}

std::expected<Loaded, Error> SqliteStore::load(InstanceKey key) {
  Loaded loaded;
  const auto done = read([&] { loaded = read_loaded(key); });
  if (!done) return std::unexpected(done.error());
  return loaded;
}

Loaded SqliteStore::read_loaded(InstanceKey key) {
  Loaded loaded;
  Query row(*connection_, sql::kWhole, key);
  if (!row.next()) throw unknown_instance(key);
  loaded.info = read_info(row, names_);
  loaded.params = read_value(*connection_, row, 13);
  const bool unsettled = row.integer(12) != 0;
  const auto head = unsettled ? newest_entry(key, loaded.info.owner, row.integer(11)) : row.integer(11);
  for (auto& [cursor, entry] : read_history(*connection_, key, head, 0)) loaded.history.push_back(std::move(entry));
  Query event(*connection_, sql::kInbox, key);
  while (event.next()) loaded.inbox.push_back(read_event(*connection_, event));
  return loaded;
}

// The owner itself knows; anybody else looks through what was appended since the owner last stored its heads.
std::int64_t SqliteStore::newest_entry(InstanceKey instance, OwnerId owner, std::int64_t head) {
  if (owner == owner_.id) {
    if (const Head* known = heads_.find(instance)) return known->newest;
  }
  std::int64_t scan_from = 0;
  if (Query row(*connection_, sql::kScanFrom, owner); row.next()) scan_from = row.integer(0);
  Query newest(*connection_, sql::kNewestInTail, std::max(scan_from, head), instance);
  newest.next();
  return newest.is_null(0) ? head : newest.integer(0);
}

std::expected<std::optional<InstanceInfo>, Error> SqliteStore::find(const std::string& workflow,
                                                                    const std::string& id) {
  std::optional<InstanceInfo> info;
  const auto done = read([&] {
    Query row(*connection_, sql::kInfoById, names_.find(workflow), id);
    if (row.next()) info = read_info(row, names_);
  });
  if (!done) return std::unexpected(done.error());
  return info;
}

std::expected<std::optional<InstanceInfo>, Error> SqliteStore::find(InstanceKey key) {
  std::optional<InstanceInfo> info;
  const auto done = read([&] {
    Query row(*connection_, sql::kInfo, key);
    if (row.next()) info = read_info(row, names_);
  });
  if (!done) return std::unexpected(done.error());
  return info;
}

std::expected<InstanceStatus, Error> SqliteStore::status(InstanceKey key) {
  InstanceStatus status;
  const auto done = read([&] {
    Query row(*connection_, sql::kOutcome, key);
    if (!row.next()) throw unknown_instance(key);
    status.status = read_status(*connection_, row, 0);
    if (!is_finished(status.status) && status.status != Status::paused) return;
    Query entry(*connection_, sql::kEntry, row.integer(1));
    if (entry.next()) status = outcome_of(status.status, read_entry(*connection_, entry));
  });
  if (!done) return std::unexpected(done.error());
  return status;
}

std::expected<std::vector<InstanceInfo>, Error> SqliteStore::generations(const std::string& workflow,
                                                                         const std::string& id) {
  std::vector<InstanceInfo> infos;
  const auto done = read([&] {
    Query row(*connection_, sql::kGenerations, names_.find(workflow), id);
    while (row.next()) infos.push_back(read_info(row, names_));
  });
  if (!done) return std::unexpected(done.error());
  return infos;
}

std::expected<InstanceKey, Error> SqliteStore::newest_generation(InstanceKey key) {
  InstanceKey newest = 0;
  const auto done = read([&] {
    Query row(*connection_, sql::kNewestGeneration, key);
    if (!row.next()) throw unknown_instance(key);
    newest = row.integer(0);
  });
  if (!done) return std::unexpected(done.error());
  return newest;
}

std::expected<std::vector<RecordedEntry>, Error> SqliteStore::entries(InstanceKey key, std::int64_t after) {
  std::vector<RecordedEntry> entries;
  const auto done = read([&] {
    Query row(*connection_, sql::kHead, key);
    if (!row.next()) throw unknown_instance(key);
    const bool unsettled = row.integer(2) != 0;
    const auto head = unsettled ? newest_entry(key, row.integer(0), row.integer(1)) : row.integer(1);
    entries = read_history(*connection_, key, head, after);
  });
  if (!done) return std::unexpected(done.error());
  return entries;
}

std::expected<std::vector<Notice>, Error> SqliteStore::notices(OwnerId owner) {
  std::vector<Notice> found;
  const auto done = read([&] {
    Query row(*connection_, sql::kNotices, owner);
    while (row.next())
      found.push_back({.id = row.integer(0), .instance = row.integer(1), .kind = row.integer<Notice::Kind>(2)});
  });
  if (!done) return std::unexpected(done.error());
  return found;
}

std::expected<std::vector<InstanceInfo>, Error> SqliteStore::list(const ListQuery& query) {
  std::vector<InstanceInfo> infos;
  const auto done = read([&] {
    const auto workflow = query.workflow ? names_.find(*query.workflow) : 0;
    const auto status = static_cast<int>(query.status.value_or(Status::queued));
    const char* sql = list_sql_.insert(list_statement(query)).first->c_str();
    Query row(*connection_, sql, query.after, workflow, status, query.created_after, query.id_prefix, query.limit);
    while (row.next()) infos.push_back(read_info(row, names_));
  });
  if (!done) return std::unexpected(done.error());
  return infos;
}

}  // namespace workflows::storage::sqlite
