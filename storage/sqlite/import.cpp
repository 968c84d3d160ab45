// A history from elsewhere becomes an instance.

#include <fmt/format.h>

#include <unordered_map>

#include "storage/sqlite/sqlite_store.h"

namespace workflows::storage::sqlite {
namespace {

constexpr char kAddInstance[] =
    "INSERT INTO instances(workflow, id, generation, status, owner, head, unsettled, created, updated, wake, version, "
    "params) VALUES(?1, ?2, ?3, ?4, 0, 0, 0, ?5, ?6, ?7, ?8, ?9)";
constexpr char kAddInboxEvent[] = "INSERT INTO inbox(instance, type, at, taken, payload) VALUES(?1, ?2, ?3, 0, ?4)";
constexpr char kTake[] = "UPDATE inbox SET taken = 1 WHERE id = ?1 AND taken = 0";
constexpr char kSetHead[] = "UPDATE instances SET head = ?2 WHERE key = ?1";

}  // namespace

ItemResult SqliteStore::apply(const WriteBatch&, const Import& item) {
  const InstanceInfo& info = item.history.info;
  if (const auto existing = find_target(info.workflow, info.id)) return Created{.key = existing->key, .existed = true};
  const StoredValue params(*connection_, item.history.params);
  Query(*connection_, kAddInstance, names_.find_or_add(info.workflow), info.id, info.generation,
        static_cast<int>(info.status), info.created, info.updated, info.wake, Maybe{info.version}, params)
      .run();
  const InstanceKey key = connection_->last_id();
  const auto events = import_inbox(key, item.history.inbox);
  std::int64_t head = 0;
  for (const auto& [cursor, recorded] : item.history.entries) {
    Entry entry = recorded;
    if (entry.event != 0) entry.event = take_imported(events, entry.event);
    head = journal_.append(key, head, entry);
    journal_.flush();  // it refers to the copy
  }
  Query(*connection_, kSetHead, key, head).run();
  return Created{.key = key};
}

SqliteStore::EventIds SqliteStore::import_inbox(InstanceKey key, const std::vector<InboxEvent>& inbox) {
  EventIds ids;
  for (const InboxEvent& event : inbox) {
    const StoredValue payload(*connection_, event.payload);
    Query(*connection_, kAddInboxEvent, key, event.type, event.at, payload).run();
    ids[event.id] = connection_->last_id();
  }
  return ids;
}

std::int64_t SqliteStore::take_imported(const EventIds& events, std::int64_t exported) {
  const auto id = events.find(exported);
  if (id != events.end()) Query(*connection_, kTake, id->second).run();
  if (id == events.end() || connection_->changed_rows() == 0)
    throw Failed{
        {ErrorCode::serialization,
         fmt::format("the history takes the event {} which its inbox does not have, or takes it twice; nothing "
                     "was written",
                     exported)}};
  return id->second;
}

}  // namespace workflows::storage::sqlite
