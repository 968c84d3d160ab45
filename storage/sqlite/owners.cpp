// Owners: engines that hold instances, and what becomes of those of a dead one.

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <limits>

#include "storage/sqlite/sql.h"
#include "storage/sqlite/sqlite_store.h"

namespace workflows::storage::sqlite {
namespace {

struct Change {
  Status from;
  Status to;
};
// What a status becomes when its owner is gone.
constexpr std::array kTakenAway{
    Change{Status::queued, Status::queued},   Change{Status::running, Status::queued},
    Change{Status::waiting, Status::waiting}, Change{Status::waiting_for_pause, Status::paused},
    Change{Status::paused, Status::paused},   Change{Status::rolling_back, Status::rolling_back},
};

}  // namespace

std::expected<Owner, Error> SqliteStore::open_owner(Millis lease) {
  Owner opened;
  const auto written = write([&] {
    if (owner_.id != 0 && is_current(owner_))
      throw Failed{
          {ErrorCode::store, fmt::format("this connection has an owner already: {}. Close it first", owner_.id)}};
    replace_dead();
    Query row(*connection_, sql::kOpenOwner, lease.count(), getpid());
    row.next();
    opened = {.id = row.integer(0), .epoch = row.integer(1)};
    row.run();
    // Before the row can be seen by others: an owner whose byte is free is dead.
    if (!locks_->try_lock(opened.id))
      throw Failed{
          {ErrorCode::store, fmt::format("byte {} of '{}' is locked: another program than the engine locks it, "
                                         "or the database was replaced by a copy while an engine used it",
                                         opened.id, locks_->path())}};
    constexpr std::int64_t kFull = 2;
    if (connection_->integer("PRAGMA synchronous") < kFull) locks_->try_lock(kForgetful + opened.id);
  });
  if (!written) {
    if (opened.id != 0 && locks_) unlock(opened.id);
    return std::unexpected(written.error());
  }
  if (owner_.id != 0) unlock(owner_.id);
  owner_ = opened;
  heads_.clear();
  unsettled_entries_ = 0;
  return opened;
}

std::expected<std::uint32_t, Error> SqliteStore::replace_dead_owners() {
  bool any = false;
  if (locks_) {
    const auto seen = read([&] { any = !dead_owners().empty(); });
    if (!seen) return std::unexpected(seen.error());
    if (!any) return 0;
  }
  std::uint32_t replaced = 0;
  const auto written = write([&] { replaced = replace_dead(); });
  if (!written) return std::unexpected(written.error());
  return replaced;
}

std::expected<void, Error> SqliteStore::close_owner(const Owner& owner) {
  const auto written = write([&] {
    if (!is_current(owner)) return;
    Query row(*connection_, sql::kScanFrom, owner.id);
    row.next();
    give_back(owner.id, row.integer(0));
  });
  if (written && owner.id == owner_.id && owner.epoch == owner_.epoch) {
    unlock(owner.id);
    owner_ = {};
    heads_.clear();
  }
  return written;
}

void SqliteStore::unlock(OwnerId owner) {
  locks_->unlock(owner);
  locks_->unlock(kForgetful + owner);
}

std::expected<std::vector<EngineInfo>, Error> SqliteStore::engines() {
  std::vector<EngineInfo> engines;
  const LockWatch locks(connection_->path());
  const auto done = read([&] {
    for (Query row(*connection_, sql::kOwners); row.next();) {
      const OwnerId id = row.integer(0);
      const bool lease_is_over = row.integer(2) != 0;
      engines.push_back({.id = id,
                         .alive = !lease_is_over && locks.held(id).value_or(true),
                         .may_forget = locks.held(kForgetful + id).value_or(false)});
    }
  });
  if (!done) return std::unexpected(done.error());
  return engines;
}

std::vector<SqliteStore::DeadOwner> SqliteStore::dead_owners() {
  std::vector<DeadOwner> dead;
  Query row(*connection_, sql::kOwners);
  while (row.next()) {
    const OwnerId id = row.integer(0);
    if (id == owner_.id) continue;
    const bool lease_is_over = row.integer(2) != 0;
    if (lease_is_over || !locks_->held_by_another(id)) dead.push_back({.id = id, .scan_from = row.integer(1)});
  }
  return dead;
}

std::uint32_t SqliteStore::replace_dead() {
  const auto dead = dead_owners();
  for (const auto& owner : dead) give_back(owner.id, owner.scan_from);
  return static_cast<std::uint32_t>(dead.size());
}

bool SqliteStore::is_current(const Owner& owner) {
  Query row(*connection_, sql::kFence, owner.id, owner.epoch);
  if (!row.next()) return false;
  journal_.number_after(row.integer(0));
  if (row.is_null(1)) return true;
  Query notice(*connection_, sql::kNotices, owner.id);
  while (notice.next()) {  // what was lost is not written to any more
    if (notice.integer<Notice::Kind>(2) == Notice::Kind::lost) heads_.erase(notice.integer(1));
  }
  return true;
}

// Without its row an owner can write no more: every batch asks for it.
void SqliteStore::give_back(OwnerId owner, std::int64_t scan_from) {
  settle(owner, scan_from);
  for (const auto& [from, to] : kTakenAway)
    Query(*connection_, sql::kTakeAway, static_cast<int>(from), owner, static_cast<int>(to)).run();
  Query(*connection_, sql::kForgetNotices, owner, std::numeric_limits<std::int64_t>::max()).run();
  Query(*connection_, sql::kRemoveOwner, owner).run();
}

// One pass over the entries that the owner may not have stored the heads of.
void SqliteStore::settle(OwnerId owner, std::int64_t scan_from) {
  std::unordered_map<InstanceKey, std::int64_t> newest;
  for (Query row(*connection_, sql::kTail, scan_from); row.next();) newest[row.integer(1)] = row.integer(0);
  for (const auto& [instance, seq] : newest) Query(*connection_, sql::kSettle, instance, owner, seq).run();
}

}  // namespace workflows::storage::sqlite
