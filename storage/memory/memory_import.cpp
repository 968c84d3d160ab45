// A history from elsewhere becomes an instance.

#include <fmt/format.h>

#include <map>
#include <utility>

#include "storage/memory/memory_data.h"

namespace workflows::storage::memory {

ItemResult MemoryStore::apply(const WriteBatch&, const Import& item) {
  const InstanceInfo& info = item.history.info;
  if (const auto existing = data_->tables.keys.find({info.workflow, info.id}); existing != data_->tables.keys.end())
    return Created{.key = existing->second, .existed = true};
  const auto key = ++data_->tables.last_key;
  Instance instance{.info = info, .params = item.history.params, .retention = {}, .history = {}};
  instance.info.key = key;
  instance.info.owner = 0;
  instance.info.expires.reset();
  std::map<std::int64_t, std::int64_t> events;
  for (InboxEvent event : item.history.inbox) {
    const auto id = events[event.id] = ++data_->tables.last_event;
    event.id = id;
    event.taken = false;
    data_->tables.inbox_of[key].push_back(id);
    data_->tables.inbox[id] = {.instance = key, .event_id = {}, .event = std::move(event)};
    on_undo([this, key, id]() REQUIRES(data_->mutex) {
      data_->tables.inbox.erase(id);
      data_->tables.inbox_of.erase(key);
    });
  }
  for (const auto& [cursor, recorded] : item.history.entries) {
    Entry entry = recorded;
    if (entry.event != 0) {
      const auto id = events.find(entry.event);
      if (id == events.end() || data_->tables.inbox.at(id->second).event.taken)
        throw Failed{{ErrorCode::serialization,
                      fmt::format("the history takes the event {} which its inbox does not have, or takes it twice; "
                                  "nothing was written",
                                  entry.event)}};
      entry.event = id->second;
      data_->tables.inbox.at(id->second).event.taken = true;
    }
    instance.history.push_back({++data_->tables.last_entry, std::move(entry)});
  }
  add(std::move(instance));
  return Created{.key = key};
}

}  // namespace workflows::storage::memory
