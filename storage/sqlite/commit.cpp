// The write path: one transaction for a batch.

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <ranges>

#include "engine/values/json.h"
#include "storage/lifecycle.h"
#include "storage/sqlite/sql.h"
#include "storage/sqlite/sqlite_store.h"

namespace workflows::storage::sqlite {
namespace {

// Heads are stored after this many entries, plus ten for every instance in memory: a tenth of an update for an entry.
constexpr std::uint64_t kSettleEntries = 10'000;
constexpr std::uint64_t kSettleEntriesPerInstance = 10;

Failed refused(std::string message) { return {{ErrorCode::store, std::move(message)}}; }

}  // namespace

const Owner& SqliteStore::owner_of(const WriteBatch& batch) {
  if (!batch.owner) throw refused("a batch without an owner cannot write to what engines own");
  return *batch.owner;
}

std::expected<std::vector<ItemResult>, Error> SqliteStore::commit(const WriteBatch& batch) {
  std::vector<ItemResult> results;
  const auto written = write([&] {
    if (batch.owner)
      check_fence(*batch.owner);
    else
      number_entries();
    results.reserve(batch.items.size());
    for (const Item& item : batch.items)
      results.push_back(std::visit([&](const auto& typed) { return apply(batch, typed); }, item));
    journal_.flush();
    settle_heads_if_due();
  });
  if (!written) return std::unexpected(written.error());
  return results;
}

std::expected<void, Error> SqliteStore::write(const std::function<void()>& work) {
  if (const auto error = unusable()) return std::unexpected(*error);
  if (poisoned_) return std::unexpected(*poisoned_);
  if (!locks_)
    return std::unexpected(Error{
        ErrorCode::store, fmt::format("'{}' was opened for reading only; open it for writing", connection_->path())});
  try {
    const WriteLock lock(*locks_, busy_timeout_);
    transaction(work);
    checkpoint_if_due();
    return {};
  } catch (const Failed& failure) {
    if (failure.disk) poison(failure.error);
    return std::unexpected(failure.error);
  } catch (const std::bad_alloc&) {  // what is known beside the file may be half changed
    poison(out_of_memory());
    return std::unexpected(*poisoned_);
  }
}

void SqliteStore::transaction(const std::function<void()>& work) {
  try {
    connection_->control("BEGIN IMMEDIATE", "starting a transaction");
    work();
    connection_->control("COMMIT", "committing");
  } catch (...) {
    roll_back();
    throw;
  }
  heads_.keep();
  ++transactions_;
}

void SqliteStore::roll_back() {
  // After some errors SQLite has rolled back by itself. If this fails too, the transaction ends with the connection.
  if (connection_->in_transaction()) sqlite3_exec(connection_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  heads_.undo();
  names_.forget();
  journal_.forget();
}

void SqliteStore::poison(const Error& error) {
  poisoned_ = error;
  connection_->leave_file_alone_on_close();
}

// The one place that checkpoints; the caller holds the write lock, so no other writer commits meanwhile. That keeps
// clear of the WAL-reset race of SQLite before 3.51.3.
void SqliteStore::checkpoint_if_due() {
  const int pages = connection_->wal_pages;
  if (pages < last_wal_pages_) checkpoint_at_pages_ = kCheckpointPages;  // the WAL has begun anew
  last_wal_pages_ = pages;
  if (pages < checkpoint_at_pages_) return;
  checkpoint_at_pages_ = pages + kCheckpointPages;
  const int code =
      sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return;
  // The transaction itself is safe in the WAL and is acknowledged; but no further one is accepted.
  poison(
      failed(code, sqlite3_errmsg(connection_->handle()), connection_->path(), "moving the WAL into the file").error);
}

void SqliteStore::settle_heads_if_due() {
  if (unsettled_entries_ < kSettleEntries + kSettleEntriesPerInstance * heads_.size()) return;
  for (const auto& [instance, head] : heads_) {
    if (head.newest == head.stored) continue;
    Query(*connection_, sql::kStoreHead, instance, head.newest).run();
    heads_.set(instance, {.newest = head.newest, .stored = head.newest});
  }
  Query(*connection_, sql::kMoveScan, owner_.id, journal_.last()).run();
  unsettled_entries_ = 0;
}

void SqliteStore::check_fence(const Owner& owner) {
  if (!is_current(owner))
    throw refused(fmt::format(
        "the ownership was lost: another engine replaced owner {}, because its process did not renew its lease in time "
        "or it was closed. Nothing was written. Start a new engine to go on",
        owner.id));
  if (owner.id != owner_.id || owner.epoch != owner_.epoch)
    throw refused(fmt::format("owner {} was opened through another connection and writes through that one", owner.id));
}

ItemResult SqliteStore::apply(const WriteBatch& batch, const AppendEntry& item) {
  owner_of(batch);
  const bool is_pause = item.entry.kind == EntryKind::paused && item.entry.value.empty();
  if (is_pause && !is_to_be_paused(item.instance)) return Lost{};
  const auto head = head_for_writing(item.instance);
  if (!head) return Lost{};
  const auto seq = journal_.last() + 1;
  const bool is_of_step = item.entry.kind < EntryKind::rollback_started;
  if (!is_of_step && !note_status(item.instance, item.entry, seq, head->stored)) return Lost{};
  journal_.append(item.instance, head->newest, item.entry);
  ++unsettled_entries_;
  if (item.entry.kind == EntryKind::wait_taken) {
    Query(*connection_, sql::kTakeEvent, item.entry.event, item.instance).run();
    if (connection_->changed_rows() != 1)
      throw refused(fmt::format("event {} of instance {} does not exist or was taken before; nothing was written",
                                item.entry.event, item.instance));
  }
  if (is_of_step) heads_.set(item.instance, {.newest = seq, .stored = head->stored});
  return Done{};
}

bool SqliteStore::is_to_be_paused(InstanceKey instance) {
  Query row(*connection_, sql::kOutcome, instance);
  return row.next() && row.integer<Status>(0) == Status::waiting_for_pause;
}

// Entries of an instance as a whole may bring a status. False: it does not take this one.
bool SqliteStore::note_status(InstanceKey instance, const Entry& entry, std::int64_t seq, std::int64_t stored) {
  const auto status = status_of(entry.kind);
  const bool keeps_owner = !status || *status == Status::rolling_back;
  if (status && is_finished(*status)) {
    Query(*connection_, sql::kFinish, instance, static_cast<int>(*status), entry.at, seq).run();
    if (connection_->changed_rows() != 1) return false;
  } else if (status) {
    Query(*connection_, sql::kMove, instance, static_cast<int>(*status), entry.at, seq, keeps_owner).run();
  }
  if (keeps_owner) {
    heads_.set(instance, {.newest = seq, .stored = status ? seq : stored});
  } else {
    heads_.erase(instance);
  }
  return true;
}

// An instance that is not in memory yet was claimed, or has hibernated: its stored head is its newest entry, and is
// marked as no longer so from now on. None if somebody else has ended the instance.
std::optional<Head> SqliteStore::head_for_writing(InstanceKey instance) {
  if (const Head* known = heads_.find(instance)) return *known;
  Query(*connection_, sql::kUnsettle, instance, owner_.id).run();
  if (connection_->changed_rows() != 1) return std::nullopt;
  Query row(*connection_, sql::kOutcome, instance);
  row.next();
  const Head head{.newest = row.integer(1), .stored = row.integer(1)};
  heads_.set(instance, head);
  return head;
}

ItemResult SqliteStore::apply(const WriteBatch& batch, const SetStatus& item) {
  if (is_finished(item.status))
    throw refused(fmt::format("status {} is set by the entry that ends the instance", static_cast<int>(item.status)));
  const Head* head = heads_.find(item.instance);
  const auto newest = head ? head->newest : 0;
  Query(*connection_, sql::kSetStatus, item.instance, owner_of(batch).id, static_cast<int>(item.status), item.wake,
        item.at, newest, !item.unload)
      .run();
  if (connection_->changed_rows() != 1) return Lost{};
  if (item.unload)
    heads_.erase(item.instance);
  else if (head)
    heads_.set(item.instance, {.newest = newest, .stored = newest});
  return Done{};
}

ItemResult SqliteStore::apply(const WriteBatch&, const SendEvent& item) {
  Query instance(*connection_, sql::kStatusById, names_.find(item.workflow), item.id);
  if (!instance.next()) return Sent{.refused = ErrorCode::instance_not_found};
  if (is_finished(instance.integer<Status>(1))) return Sent{.refused = ErrorCode::instance_finished};
  const StoredValue payload(*connection_, item.payload);
  Query(*connection_, sql::kAddEvent, instance.integer(0), item.type, Maybe{item.event_id}, item.at, payload).run();
  const bool duplicate = connection_->changed_rows() == 0;
  if (duplicate) payload.take_back(*connection_);
  return Sent{.refused = std::nullopt, .duplicate = duplicate};
}

ItemResult SqliteStore::apply(const WriteBatch& batch, const Claim& item) {
  owner_of(batch);
  Claimed claimed;
  claim(Status::rolling_back, Status::rolling_back, item.queued, item, claimed.instances);
  const auto left = item.queued - static_cast<std::uint32_t>(claimed.instances.size());
  claim(Status::queued, Status::running, left, item, claimed.instances);
  claim(Status::waiting, Status::waiting, item.waiting, item, claimed.instances);
  return claimed;
}

void SqliteStore::claim(Status from, Status to, std::uint32_t limit, const Claim& item,
                        std::vector<InstanceInfo>& claimed) {
  if (limit == 0) return;
  const std::set<std::string> workflows(item.workflows.begin(), item.workflows.end());
  std::vector<InstanceInfo> found;
  for (const auto& workflow : workflows) {
    Query row(*connection_, item.id.empty() ? sql::kClaimable : sql::kClaimableById, static_cast<int>(from),
              names_.find(workflow), limit);
    if (!item.id.empty()) row.bind_next(item.id);
    while (row.next()) found.push_back(read_info(row, names_));
  }
  std::ranges::sort(found, {}, &InstanceInfo::key);
  if (found.size() > limit) found.resize(limit);
  for (auto& info : found) {
    const auto known = item.retentions.find(info.workflow);
    const StoredRetention retention(known == item.retentions.end() ? std::nullopt : std::optional(known->second));
    Query(*connection_, sql::kClaim, info.key, owner_.id, static_cast<int>(to), retention.success, retention.failure)
        .run();
    info.status = to;
    claimed.push_back(std::move(info));
  }
}

ItemResult SqliteStore::apply(const WriteBatch& batch, const Release& item) {
  const Head* head = heads_.find(item.instance);
  Query(*connection_, sql::kRelease, item.instance, owner_of(batch).id, head ? head->newest : 0).run();
  if (connection_->changed_rows() != 1) return Lost{};
  heads_.erase(item.instance);
  return Done{};
}

ItemResult SqliteStore::apply(const WriteBatch& batch, const Renew& item) {
  Query(*connection_, sql::kRenew, owner_of(batch).id, item.lease.count()).run();
  return Done{};
}

}  // namespace workflows::storage::sqlite
