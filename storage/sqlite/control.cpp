// Lifecycle calls and removal: what anybody may do to an instance, whoever owns it.

#include <algorithm>
#include <limits>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "storage/lifecycle.h"
#include "storage/sqlite/sql.h"
#include "storage/sqlite/sqlite_store.h"

namespace workflows::storage::sqlite {
namespace {

constexpr std::size_t kAtOnce = 100;  // instances of one transaction

}  // namespace

void SqliteStore::number_entries() { journal_.number_after(connection_->integer(sql::kGreatestSeq)); }

std::optional<SqliteStore::Target> SqliteStore::find_target(const std::string& workflow, const std::string& id) {
  Query row(*connection_, sql::kStatusById, names_.find(workflow), id);
  if (!row.next()) return std::nullopt;
  Target target{.key = row.integer(0),
                .status = row.integer<Status>(1),
                .owner = row.integer(2),
                .head = row.integer(3),
                .updated = row.time(5)};
  if (row.integer(4) != 0) target.head = newest_entry(target.key, target.owner, target.head);
  return target;
}

void SqliteStore::notify(const Target& target, Notice::Kind kind) {
  Query(*connection_, sql::kNotify, target.owner, target.key, static_cast<int>(kind)).run();
}

void SqliteStore::append_to(const Target& target, const Entry& entry, std::optional<Notice::Kind> notice) {
  const auto seq = journal_.append(target.key, target.head, entry);
  journal_.flush();
  if (entry.kind == EntryKind::resumed)
    Query(*connection_, sql::kMove, target.key, static_cast<int>(Status::queued), entry.at, seq, false).run();
  else
    note_status(target.key, entry, seq, seq);
  heads_.erase(target.key);
  if (notice) notify(target, *notice);
}

ItemResult SqliteStore::apply(const WriteBatch&, const Control& item) {
  const auto target = find_target(item.workflow, item.id);
  if (!target) return Controlled{.refused = ErrorCode::instance_not_found};
  const auto next = transition(target->status, item.verb, target->owner != 0, target->head == 0);
  Controlled done{.refused = {}, .found = target->status, .key = target->key};
  switch (next.kind) {
    case Transition::Kind::refused:
      done.refused = ErrorCode::invalid_transition;
      break;
    case Transition::Kind::nothing:
      break;
    case Transition::Kind::append: {
      Entry entry{.kind = next.entry, .at = item.at};
      if (next.entry == EntryKind::resumed) entry.began = target->updated;
      append_to(*target, entry, next.notice);
      break;
    }
    case Transition::Kind::set_status:
      Query(*connection_, sql::kAskOwner, target->key, static_cast<int>(next.status), item.at).run();
      if (next.notice) notify(*target, *next.notice);
      break;
    case Transition::Kind::remove:
      remove_generations(item.workflow, item.id);
      break;
  }
  return done;
}

ItemResult SqliteStore::apply(const WriteBatch&, const Restart& item) {
  const auto target = find_target(item.workflow, item.id);
  if (!target) return Controlled{.refused = ErrorCode::instance_not_found};
  Controlled done{.refused = {}, .found = target->status, .key = target->key};
  if (target->status == Status::rolling_back) {
    done.refused = ErrorCode::invalid_transition;
    return done;
  }
  Kept kept;
  if (item.keep) {
    auto decided = item.keep(read_loaded(target->key));
    if (!decided) throw Failed{std::move(decided.error())};
    kept = std::move(*decided);
  }
  if (!is_finished(target->status)) {
    const auto notice = target->owner != 0 ? std::optional(Notice::Kind::lost) : std::nullopt;
    append_to(*target, {.kind = EntryKind::instance_terminated, .at = item.at}, notice);
  }
  done.key = begin_generation(*target, item, kept);
  return done;
}

InstanceKey SqliteStore::begin_generation(const Target& old, const Restart& item, const Kept& kept) {
  std::string text;
  if (Query row(*connection_, sql::kParams, old.key); row.next()) text = read_value(*connection_, row, 0);
  const StoredValue params(*connection_, text);
  Query(*connection_, sql::kNextGeneration, old.key, item.at, params).run();
  const InstanceKey key = connection_->last_id();
  std::unordered_map<std::int64_t, std::int64_t> events;  // by their id in the old generation
  if (item.keep) {
    for (const InboxEvent& event : read_loaded(old.key).inbox) {
      const StoredValue payload(*connection_, event.payload);
      const bool taken = std::ranges::count(kept.taken, event.id) > 0;
      Query(*connection_, sql::kCopyEvent, event.id, key, taken, payload).run();
      events[event.id] = connection_->last_id();
    }
  }
  std::int64_t head = 0;
  for (const Entry& entry : kept.entries) {
    Entry copy = entry;
    if (copy.event != 0) copy.event = events.at(copy.event);
    head = journal_.append(key, head, copy);
    journal_.flush();  // it refers to the copy
  }
  Query(*connection_, sql::kStoreHead, key, head).run();
  return key;
}

ItemResult SqliteStore::apply(const WriteBatch& batch, const Heard& item) {
  if (batch.owner) Query(*connection_, sql::kForgetNotices, batch.owner->id, item.last).run();
  return Done{};
}

// ---------------------------------------------------------------- removal

void SqliteStore::remove_generations(const std::string& workflow, const std::string& id) {
  remove_generations(names_.find(workflow), id, std::numeric_limits<std::uint32_t>::max());
}

void SqliteStore::remove_generations(std::int64_t workflow, std::string_view id, std::uint32_t up_to) {
  std::vector<Target> targets;
  for (Query row(*connection_, sql::kGenerationsUpTo, workflow, id, up_to); row.next();) {
    Target target{.key = row.integer(0), .owner = row.integer(1), .head = row.integer(2)};
    if (row.integer(3) != 0) target.head = newest_entry(target.key, target.owner, target.head);
    targets.push_back(target);
  }
  for (const Target& target : targets) {
    Query(*connection_, sql::kRemove, target.key, target.head).run();
    heads_.erase(target.key);
    if (target.owner != 0) notify(target, Notice::Kind::lost);
  }
}

std::expected<Store::Collected, Error> SqliteStore::collect_garbage(TimePoint now, std::uint64_t limit) {
  bool any = false;
  const auto seen = read(
      [&] { any = Query(*connection_, sql::kExpired, now, 1).next() || Query(*connection_, sql::kRemoved, 1).next(); });
  if (!seen) return std::unexpected(seen.error());
  Collected collected;
  if (!any) return collected;
  const auto written = write([&] {
    collected = {};
    remove_expired(now, collected);
    remove_rows(limit, collected);
  });
  if (!written) return std::unexpected(written.error());
  return collected;
}

void SqliteStore::remove_expired(TimePoint now, Collected& collected) {
  std::vector<std::tuple<std::int64_t, std::string, std::uint32_t>> expired;
  for (Query row(*connection_, sql::kExpired, now, kAtOnce); row.next();)
    expired.emplace_back(row.integer(0), std::string(row.text(1)), row.integer<std::uint32_t>(2));
  for (const auto& [workflow, id, generation] : expired) remove_generations(workflow, id, generation);
  collected.more |= expired.size() == kAtOnce;
}

void SqliteStore::remove_rows(std::uint64_t limit, Collected& collected) {
  const std::int64_t greatest = connection_->integer(sql::kGreatestSeq);
  std::vector<std::pair<InstanceKey, std::int64_t>> removed;
  for (Query row(*connection_, sql::kRemoved, kAtOnce); row.next();)
    removed.emplace_back(row.integer(0), row.integer(1));
  collected.more |= removed.size() == kAtOnce;
  for (const auto& [instance, head] : removed) {
    collected.rows += remove_rows(instance, head, limit - collected.rows, greatest);
    collected.more |= collected.rows >= limit;
    if (collected.rows >= limit) return;
  }
}

// The entries of a removed instance from its head back; when none is left, the rest of it.
std::uint64_t SqliteStore::remove_rows(InstanceKey instance, std::int64_t head, std::uint64_t limit,
                                       std::int64_t greatest) {
  std::uint64_t rows = 0;
  for (; head != 0 && rows < limit; ++rows) {
    std::int64_t previous = 0;
    std::int64_t blob = 0;
    {
      Query entry(*connection_, sql::kPrevious, head, instance);
      if (entry.next()) {
        previous = entry.integer(0);
        if (entry.is_integer(1)) blob = entry.integer(1);
      }
    }
    if (blob != 0) Query(*connection_, sql::kRemoveBlob, blob).run();
    Query(*connection_, head == greatest ? sql::kEmptyEntry : sql::kRemoveEntry, head).run();
    head = previous;
  }
  if (head != 0) {
    Query(*connection_, sql::kStoreHead, instance, head).run();
    return rows + 1;  // so that the limit counts as reached
  }
  Query(*connection_, sql::kRemoveBlobs, instance).run();
  Query(*connection_, sql::kRemoveInbox, instance).run();
  Query(*connection_, sql::kRemoveParams, instance).run();
  Query(*connection_, sql::kRemoveInstance, instance).run();
  if (connection_->changed_rows() == 0) Query(*connection_, sql::kEmptyInstance, instance).run();
  return rows + 1;
}

}  // namespace workflows::storage::sqlite
