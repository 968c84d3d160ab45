// Lifecycle calls and removal: what anybody may do to an instance, whoever owns it.

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "storage/lifecycle.h"
#include "storage/memory/memory_data.h"

namespace workflows::storage::memory {

void MemoryStore::notify(const Instance& instance, Notice::Kind kind) {
  auto& notices = data_->tables.notices[instance.info.owner];
  notices.push_back({.id = ++data_->tables.last_notice, .instance = instance.info.key, .kind = kind});
  on_undo([&notices] { notices.pop_back(); });
}

ItemResult MemoryStore::apply(const WriteBatch&, const Control& item) {
  const auto found = data_->tables.keys.find({item.workflow, item.id});
  if (found == data_->tables.keys.end()) return Controlled{.refused = ErrorCode::instance_not_found};
  auto& instance = data_->tables.instances.at(found->second);
  const auto next = transition(instance.info.status, item.verb, instance.info.owner != 0, instance.history.empty());
  Controlled done{.refused = {}, .found = instance.info.status, .key = instance.info.key};
  if (next.notice) notify(instance, *next.notice);
  switch (next.kind) {
    case Transition::Kind::refused:
      done.refused = ErrorCode::invalid_transition;
      break;
    case Transition::Kind::nothing:
      break;
    case Transition::Kind::append: {
      Entry entry{.kind = next.entry, .at = item.at};
      if (next.entry == EntryKind::resumed) entry.began = instance.info.updated;
      append(instance, entry);
      if (entry.kind == EntryKind::resumed) {
        move(instance, Status::queued, 0);
        instance.info.updated = item.at;
      }
      break;
    }
    case Transition::Kind::set_status:
      on_undo([&instance, info = instance.info] { instance.info = info; });
      move(instance, next.status, instance.info.owner);
      instance.info.updated = item.at;
      break;
    case Transition::Kind::remove:
      remove_generations(item.workflow, item.id, std::numeric_limits<std::uint32_t>::max());
      break;
  }
  return done;
}

ItemResult MemoryStore::apply(const WriteBatch&, const Restart& item) {
  const auto found = data_->tables.keys.find({item.workflow, item.id});
  if (found == data_->tables.keys.end()) return Controlled{.refused = ErrorCode::instance_not_found};
  auto& old = data_->tables.instances.at(found->second);
  Controlled done{.refused = {}, .found = old.info.status, .key = old.info.key};
  if (old.info.status == Status::rolling_back) {
    done.refused = ErrorCode::invalid_transition;
    return done;
  }
  Kept kept;
  if (item.keep) {
    auto decided = item.keep(loaded(old));
    if (!decided) throw Failed{std::move(decided.error())};
    kept = std::move(*decided);
  }
  if (!is_finished(old.info.status)) {
    if (old.info.owner != 0) notify(old, Notice::Kind::lost);
    append(old, {.kind = EntryKind::instance_terminated, .at = item.at});
  }
  done.key = begin_generation(old, item, kept);
  return done;
}

InstanceKey MemoryStore::begin_generation(const Instance& old, const Restart& item, const Kept& kept) {
  const auto key = ++data_->tables.last_key;
  Instance next{.info = old.info, .params = old.params, .retention = old.retention, .history = {}};
  next.info.key = key;
  ++next.info.generation;
  next.info.status = Status::queued;
  next.info.updated = item.at;
  next.info.owner = 0;
  next.info.wake.reset();
  next.info.expires.reset();
  std::map<std::int64_t, std::int64_t> events;
  if (item.keep) {
    for (const auto id : std::vector(data_->tables.inbox_of[old.info.key])) {
      Event copy = data_->tables.inbox.at(id);
      copy.instance = key;
      copy.event.taken = std::ranges::count(kept.taken, id) > 0;
      copy.event.id = events[id] = ++data_->tables.last_event;
      data_->tables.inbox_of[key].push_back(copy.event.id);
      data_->tables.inbox[copy.event.id] = copy;
      on_undo([this, key, made = copy.event.id]() REQUIRES(data_->mutex) {
        data_->tables.inbox.erase(made);
        data_->tables.inbox_of.erase(key);
      });
    }
  }
  for (Entry entry : kept.entries) {
    if (entry.event != 0) entry.event = events.at(entry.event);
    next.history.push_back({++data_->tables.last_entry, std::move(entry)});
  }
  add(std::move(next));
  return key;
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const Heard& item) {
  auto& notices = data_->tables.notices[owner_of(batch).id];
  on_undo([&notices, before = notices] { notices = before; });
  std::erase_if(notices, [&](const Notice& notice) { return notice.id <= item.last; });
  return Done{};
}

void MemoryStore::remove_generations(const std::string& workflow, const std::string& id, std::uint32_t up_to) {
  std::vector<InstanceKey> keys;
  for (auto& [key, instance] : data_->tables.instances) {
    const InstanceInfo& info = instance.info;
    if (info.workflow != workflow || info.id != id || info.generation > up_to) continue;
    if (info.owner != 0) notify(instance, Notice::Kind::lost);
    keys.push_back(key);
  }
  const std::pair name(workflow, id);
  if (!keys.empty() && data_->tables.keys.at(name) == keys.back()) {
    on_undo([this, name, key = keys.back()]() REQUIRES(data_->mutex) { data_->tables.keys[name] = key; });
    data_->tables.keys.erase(name);
  }
  for (const auto key : keys) {
    auto node = std::make_shared<decltype(data_->tables.instances)::node_type>(data_->tables.instances.extract(key));
    const Instance& gone = node->mapped();
    data_->tables.unfinished[{gone.info.status, gone.info.owner}].erase(key);
    std::vector<Event> events;
    for (const auto event : data_->tables.inbox_of[key]) events.push_back(data_->tables.inbox.extract(event).mapped());
    auto ids = std::exchange(data_->tables.inbox_of[key], {});
    on_undo([this, key, node, events = std::move(events), ids = std::move(ids)]() REQUIRES(data_->mutex) {
      const Instance& back = data_->tables.instances.insert(std::move(*node)).position->second;
      if (!is_finished(back.info.status)) data_->tables.unfinished[{back.info.status, back.info.owner}].insert(key);
      for (const Event& event : events) data_->tables.inbox[event.event.id] = event;
      data_->tables.inbox_of[key] = ids;
    });
  }
}

std::expected<Store::Collected, Error> MemoryStore::collect_garbage(TimePoint now, std::uint64_t limit) {
  Collected collected;
  std::vector<InstanceInfo> expired;
  const auto seen = read([&]() REQUIRES(data_->mutex) {
    for (const auto& [key, instance] : data_->tables.instances)
      if (instance.info.expires && *instance.info.expires <= now) expired.push_back(instance.info);
  });
  if (!seen) return std::unexpected(seen.error());
  if (expired.empty()) return collected;
  collected.more = expired.size() > limit;
  if (collected.more) expired.resize(limit);
  const auto written = write([&]() REQUIRES(data_->mutex) {
    for (const InstanceInfo& info : expired) remove_generations(info.workflow, info.id, info.generation);
  });
  if (!written) return std::unexpected(written.error());
  collected.rows = expired.size();
  return collected;
}

}  // namespace workflows::storage::memory
