#include "storage/memory/memory_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "engine/testing/planted_bug.h"
#include "engine/values/json.h"
#include "storage/lifecycle.h"
#include "storage/memory/memory_data.h"

namespace workflows::storage::memory {

std::expected<void, Error> MemoryStore::write(const std::function<void()>& work) {
  if (const auto error = unusable()) return std::unexpected(*error);
  const values::MutexLock lock(data_->mutex);
  try {
    work();
  } catch (const Failed& failure) {
    undo();
    return std::unexpected(failure.error);
  } catch (const std::bad_alloc&) {
    undo();
    return std::unexpected(out_of_memory());
  }
  ++counters_.transactions;
  if (std::exchange(undo_, {}).empty()) return {};  // nothing that others would look for
  // `changed` tells of the commits of others.
  if (seen_commits_ == data_->tables.commits) ++seen_commits_;
  ++data_->tables.commits;
  return {};
}

void MemoryStore::undo() {
  for (; !undo_.empty(); undo_.pop_back()) undo_.back()();
}

std::expected<void, Error> MemoryStore::read(const std::function<void()>& work) {
  if (const auto error = unusable()) return std::unexpected(*error);
  const values::MutexLock lock(data_->mutex);
  try {
    work();
  } catch (const Failed& failure) { return std::unexpected(failure.error); } catch (const std::bad_alloc&) {
    return std::unexpected(out_of_memory());
  }
  ++counters_.statements;
  return {};
}

std::optional<Error> MemoryStore::unusable() const {
  if (pid_ == getpid()) return std::nullopt;
  return Error{ErrorCode::forked,
               fmt::format("a database in memory was opened by process {} and is used by its child {}; "
                           "open one of its own in the child",
                           pid_, getpid())};
}

std::expected<std::vector<ItemResult>, Error> MemoryStore::commit(const WriteBatch& batch) {
  std::vector<ItemResult> results;
  const auto written = write([&]() REQUIRES(data_->mutex) {
    if (batch.owner) check_fence(*batch.owner);
    for (const Item& item : batch.items) {
      ++counters_.statements;
      results.push_back(
          std::visit([&](const auto& typed) REQUIRES(data_->mutex) { return apply(batch, typed); }, item));
    }
  });
  if (!written) return std::unexpected(written.error());
  return results;
}

bool MemoryStore::is_current(const Owner& owner) const {
  const auto row = data_->tables.owners.find(owner.id);
  return row != data_->tables.owners.end() && row->second.owner.epoch == owner.epoch;
}

void MemoryStore::check_fence(const Owner& owner) const {
  if (WORKFLOWS_PLANTED(stale_owner_writes)) return;
  if (!is_current(owner))
    refuse(
        fmt::format("the ownership was lost: another engine replaced owner {}, because it did not renew its lease in "
                    "time or it was closed. Nothing was written. Start a new engine to go on",
                    owner.id));
  if (data_->tables.owners.at(owner.id).store != this)
    refuse(fmt::format("owner {} was opened through another connection and writes through that one", owner.id));
}

const Owner& MemoryStore::owner_of(const WriteBatch& batch) {
  if (!batch.owner) refuse("a batch without an owner cannot write to what engines own");
  return *batch.owner;
}

// Null if somebody else has ended it.
Instance* MemoryStore::owned(const WriteBatch& batch, InstanceKey key) {
  const auto& owner = owner_of(batch);
  const auto found = data_->tables.instances.find(key);
  if (found == data_->tables.instances.end()) return nullptr;
  return found->second.info.owner == owner.id || WORKFLOWS_PLANTED(stale_owner_writes) ? &found->second : nullptr;
}

const Instance& MemoryStore::known(InstanceKey key) const {
  const auto found = data_->tables.instances.find(key);
  if (found == data_->tables.instances.end())
    throw Failed{
        {ErrorCode::instance_not_found, fmt::format("there is no instance with key {} in this database", key)}};
  return found->second;
}

void MemoryStore::move(const Instance& instance, Status status, OwnerId owner) {
  const InstanceInfo& info = instance.info;
  on_undo([this, key = info.key, from = info.status, before = info.owner]()
              REQUIRES(data_->mutex) { put(key, from, before); });
  put(info.key, status, owner);
}

void MemoryStore::put(InstanceKey key, Status status, OwnerId owner) {
  InstanceInfo& info = data_->tables.instances.at(key).info;
  if (!is_finished(info.status)) data_->tables.unfinished[{info.status, info.owner}].erase(key);
  if (!is_finished(status)) data_->tables.unfinished[{status, owner}].insert(key);
  info.status = status;
  info.owner = owner;
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const CreateBatch& item) {
  CreatedBatch results;
  for (const Create& one : item.creates) results.created.push_back(create(batch, one));
  return results;
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const Create& item) { return create(batch, item); }

Created MemoryStore::create(const WriteBatch& batch, const Create& item) {
  const OwnerId owner = item.owned ? owner_of(batch).id : 0;
  const auto existing = data_->tables.keys.find({item.workflow, item.id});
  if (existing != data_->tables.keys.end() && !WORKFLOWS_PLANTED(two_instances_of_an_id)) {
    const auto& instance = data_->tables.instances.at(existing->second);
    return Created{
        .key = existing->second, .existed = true, .same_params = values::is_same_json(instance.params, item.params)};
  }
  const auto key = ++data_->tables.last_key;
  add({.info = {.key = key,
                .workflow = item.workflow,
                .id = item.id,
                .generation = 1,
                .status = item.owned ? Status::running : Status::queued,
                .created = item.created,
                .updated = item.created,
                .wake = std::nullopt,
                .version = item.version,
                .owner = owner,
                .expires = std::nullopt},
       .params = item.params,
       .retention = item.retention,
       .history = {}});
  return Created{.key = key, .owned = item.owned};
}

void MemoryStore::add(Instance instance) {
  const auto key = instance.info.key;
  const std::pair name(instance.info.workflow, instance.info.id);
  if (!is_finished(instance.info.status))
    data_->tables.unfinished[{instance.info.status, instance.info.owner}].insert(key);
  data_->tables.instances.emplace(key, std::move(instance));
  const auto before = std::exchange(data_->tables.keys[name], key);
  on_undo([this, key, name, before]() REQUIRES(data_->mutex) {
    const auto& made = data_->tables.instances.at(key);
    data_->tables.unfinished[{made.info.status, made.info.owner}].erase(key);
    data_->tables.instances.erase(key);
    if (before == 0)
      data_->tables.keys.erase(name);
    else
      data_->tables.keys[name] = before;
  });
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const AppendEntry& item) {
  auto* instance = owned(batch, item.instance);
  if (instance == nullptr) return Lost{};
  const bool is_pause = item.entry.kind == EntryKind::paused && item.entry.value.empty();
  if (is_pause && instance->info.status != Status::waiting_for_pause) return Lost{};
  const bool completes = item.entry.kind == EntryKind::instance_completed;
  if (completes && instance->info.status == Status::rolling_back) return Lost{};
  if (item.entry.kind == EntryKind::wait_taken) take(item.instance, item.entry.event);
  append(*instance, item.entry);
  return Done{};
}

void MemoryStore::append(Instance& instance, const Entry& entry) {
  instance.history.push_back({++data_->tables.last_entry, entry});
  on_undo([&instance, info = instance.info] {
    instance.history.pop_back();
    instance.info = info;
  });
  const auto status = status_of(entry.kind);
  if (!status) return;
  const bool was_asked = instance.info.status == Status::waiting_for_pause;
  const bool keeps_owner = *status == Status::rolling_back || WORKFLOWS_PLANTED(end_is_not_final);
  move(instance, *status, keeps_owner ? instance.info.owner : 0);
  if (!was_asked || is_finished(*status)) instance.info.updated = entry.at;
  instance.info.wake.reset();
  if (!is_finished(*status) || !instance.retention) return;
  const auto& keep = *status == Status::complete ? instance.retention->success : instance.retention->failure;
  if (keep) instance.info.expires = entry.at + keep->millis();
}

void MemoryStore::take(InstanceKey instance, std::int64_t event) {
  const auto found = data_->tables.inbox.find(event);
  if (found == data_->tables.inbox.end() || found->second.instance != instance || found->second.event.taken)
    refuse(fmt::format("event {} of instance {} does not exist or was taken before; nothing was written", event,
                       instance));
  auto& row = found->second.event;
  row.taken = true;
  on_undo([&row] { row.taken = false; });
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const SetStatus& item) {
  if (is_finished(item.status))
    refuse(fmt::format("status {} is set by the entry that ends the instance", static_cast<int>(item.status)));
  auto* instance = owned(batch, item.instance);
  if (instance == nullptr) return Lost{};
  on_undo([instance, info = instance->info] { instance->info = info; });
  const Status before = instance->info.status;
  const bool stays = before == Status::waiting_for_pause || before == Status::rolling_back;
  if (!stays) move(*instance, item.status, instance->info.owner);
  instance->info.wake = item.wake;
  if (before != Status::waiting_for_pause) instance->info.updated = item.at;
  return Done{};
}

ItemResult MemoryStore::apply(const WriteBatch&, const SendEvent& item) {
  const auto found = data_->tables.keys.find({item.workflow, item.id});
  if (found == data_->tables.keys.end()) return Sent{.refused = ErrorCode::instance_not_found};
  const auto key = found->second;
  if (is_finished(data_->tables.instances.at(key).info.status)) return Sent{.refused = ErrorCode::instance_finished};
  auto& inbox = data_->tables.inbox_of[key];
  const auto is_same = [&](std::int64_t id)
                           REQUIRES(data_->mutex) { return data_->tables.inbox.at(id).event_id == item.event_id; };
  if (!item.event_id.empty() && std::ranges::any_of(inbox, is_same))
    return Sent{.refused = std::nullopt, .duplicate = true};
  const std::int64_t id = ++data_->tables.last_event;
  data_->tables.inbox[id] = {
      .instance = key,
      .event_id = item.event_id,
      .event = {.id = id, .type = item.type, .payload = item.payload, .at = item.at, .taken = false}};
  inbox.push_back(id);
  on_undo([this, key, id]() REQUIRES(data_->mutex) {
    data_->tables.inbox.erase(id);
    data_->tables.inbox_of[key].pop_back();
  });
  return Sent{};
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const Claim& item) {
  const auto owner = owner_of(batch).id;
  Claimed claimed;
  claim(Status::rolling_back, Status::rolling_back, item.queued, item, owner, claimed);
  const auto left = item.queued - static_cast<std::uint32_t>(claimed.instances.size());
  claim(Status::queued, Status::running, left, item, owner, claimed);
  claim(Status::waiting, Status::waiting, item.waiting, item, owner, claimed);
  return claimed;
}

void MemoryStore::claim(Status from, Status to, std::uint32_t limit, const Claim& item, OwnerId owner,
                        Claimed& claimed) {
  std::vector<InstanceKey> found;
  for (const auto key : data_->tables.unfinished[{from, 0}]) {
    if (found.size() >= limit) break;
    const InstanceInfo& info = data_->tables.instances.at(key).info;
    if (!item.id.empty() && info.id != item.id) continue;
    if (std::ranges::count(item.workflows, info.workflow) > 0) found.push_back(key);
  }
  for (const auto key : found) {
    auto& instance = data_->tables.instances.at(key);
    move(instance, to, owner);
    const auto retention = item.retentions.find(instance.info.workflow);
    if (!instance.retention && retention != item.retentions.end()) {
      on_undo([&instance] { instance.retention.reset(); });
      instance.retention = retention->second;
    }
    claimed.instances.push_back(instance.info);
  }
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const Release& item) {
  auto* instance = owned(batch, item.instance);
  if (instance == nullptr) return Lost{};
  on_undo([instance, wake = instance->info.wake] { instance->info.wake = wake; });
  move(*instance, Status::queued, 0);
  instance->info.wake.reset();
  return Done{};
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const Renew& item) {
  auto& row = data_->tables.owners.at(owner_of(batch).id);
  on_undo([&row, before = row.lease_until] { row.lease_until = before; });
  row.lease_until = data_->now() + item.lease;
  return Done{};
}

std::expected<Owner, Error> MemoryStore::open_owner(Millis lease) {
  Owner opened;
  const auto written = write([&]() REQUIRES(data_->mutex) {
    for (const auto& [id, row] : data_->tables.owners)
      if (row.store == this) refuse(fmt::format("this connection has an owner already: {}. Close it first", id));
    replace_dead();
    opened = {.id = ++data_->tables.last_owner, .epoch = 1};
    data_->tables.owners[opened.id] = {.owner = opened, .lease_until = data_->now() + lease, .store = this};
  });
  if (!written) return std::unexpected(written.error());
  return opened;
}

std::expected<std::uint32_t, Error> MemoryStore::replace_dead_owners() {
  std::uint32_t replaced = 0;
  const auto written = write([&]() REQUIRES(data_->mutex) { replaced = replace_dead(); });
  if (!written) return std::unexpected(written.error());
  return replaced;
}

bool MemoryStore::is_dead(const OwnerRow& row) const { return row.store == nullptr || row.lease_until <= data_->now(); }

std::uint32_t MemoryStore::replace_dead() {
  std::vector<OwnerId> dead;
  for (const auto& [id, row] : data_->tables.owners)
    if (row.store != this && is_dead(row)) dead.push_back(id);
  for (const auto id : dead) give_back(id);
  return static_cast<std::uint32_t>(dead.size());
}

std::expected<void, Error> MemoryStore::close_owner(const Owner& owner) {
  return write([&]() REQUIRES(data_->mutex) {
    if (is_current(owner)) give_back(owner.id);
  });
}

void MemoryStore::give_back(OwnerId owner) {
  std::vector<InstanceKey> held;
  for (const auto& [place, keys] : data_->tables.unfinished)
    if (place.second == owner) held.insert(held.end(), keys.begin(), keys.end());
  if (WORKFLOWS_PLANTED(dead_owner_keeps_instances)) held.clear();
  for (const auto key : held) {
    auto& instance = data_->tables.instances.at(key);
    const Status status = instance.info.status;
    move(instance,
         status == Status::running             ? Status::queued
         : status == Status::waiting_for_pause ? Status::paused
                                               : status,
         0);
  }
  data_->tables.notices.erase(owner);
  data_->tables.owners.erase(owner);
}

std::expected<bool, Error> MemoryStore::changed() {
  if (const auto error = unusable()) return std::unexpected(*error);
  const values::MutexLock lock(data_->mutex);
  return std::exchange(seen_commits_, data_->tables.commits) != data_->tables.commits;
}

std::expected<Store::Arrivals, Error> MemoryStore::arrivals(OwnerId owner, std::int64_t after, std::uint32_t limit) {
  Arrivals arrived{.events = {}, .last = after};
  const auto done = read([&]() REQUIRES(data_->mutex) {
    for (auto row = data_->tables.inbox.upper_bound(after);
         row != data_->tables.inbox.end() && arrived.events.size() < limit; ++row) {
      arrived.last = row->first;
      if (data_->tables.instances.at(row->second.instance).info.owner == owner)
        arrived.events.push_back({.instance = row->second.instance, .event = row->second.event});
    }
  });
  if (!done) return std::unexpected(done.error());
  return arrived;
}

std::expected<std::vector<InstanceKey>, Error> MemoryStore::with_untaken_events(OwnerId owner) {
  std::set<InstanceKey> keys;
  const auto done = read([&]() REQUIRES(data_->mutex) {
    for (const auto& [id, row] : data_->tables.inbox) {
      const auto& instance = data_->tables.instances.at(row.instance);
      if (!row.event.taken && instance.info.owner == owner && !is_finished(instance.info.status))
        keys.insert(row.instance);
    }
  });
  if (!done) return std::unexpected(done.error());
  return std::vector<InstanceKey>(keys.begin(), keys.end());
}

std::expected<void, Error> MemoryStore::together(const std::function<void()>& reads) {
  reads();
  return {};
}

Loaded MemoryStore::loaded(const Instance& instance) const {
  Loaded loaded{.info = instance.info, .params = instance.params, .history = {}, .inbox = {}};
  for (const auto& [cursor, entry] : instance.history) loaded.history.push_back(entry);
  if (const auto inbox = data_->tables.inbox_of.find(instance.info.key); inbox != data_->tables.inbox_of.end())
    for (const auto id : inbox->second) loaded.inbox.push_back(data_->tables.inbox.at(id).event);
  return loaded;
}

std::expected<Loaded, Error> MemoryStore::load(InstanceKey key) {
  Loaded result;
  const auto done = read([&]() REQUIRES(data_->mutex) { result = loaded(known(key)); });
  if (!done) return std::unexpected(done.error());
  return result;
}

std::expected<std::vector<Notice>, Error> MemoryStore::notices(OwnerId owner) {
  std::vector<Notice> found;
  const auto done = read([&]() REQUIRES(data_->mutex) {
    if (const auto notices = data_->tables.notices.find(owner); notices != data_->tables.notices.end())
      found = notices->second;
  });
  if (!done) return std::unexpected(done.error());
  return found;
}

std::expected<std::vector<InstanceInfo>, Error> MemoryStore::generations(const std::string& workflow,
                                                                         const std::string& id) {
  std::vector<InstanceInfo> infos;
  const auto done = read([&]() REQUIRES(data_->mutex) {
    for (const auto& [key, instance] : data_->tables.instances)
      if (instance.info.workflow == workflow && instance.info.id == id) infos.push_back(instance.info);
  });
  if (!done) return std::unexpected(done.error());
  std::ranges::reverse(infos);
  return infos;
}

std::expected<InstanceKey, Error> MemoryStore::newest_generation(InstanceKey key) {
  InstanceKey newest = 0;
  const auto done = read([&]() REQUIRES(data_->mutex) {
    const InstanceInfo& info = known(key).info;
    newest = data_->tables.keys.at({info.workflow, info.id});
  });
  if (!done) return std::unexpected(done.error());
  return newest;
}

std::expected<std::vector<RecordedEntry>, Error> MemoryStore::entries(InstanceKey key, std::int64_t after) {
  std::vector<RecordedEntry> entries;
  const auto done = read([&]() REQUIRES(data_->mutex) {
    for (const auto& recorded : known(key).history)
      if (recorded.cursor > after) entries.push_back(recorded);
  });
  if (!done) return std::unexpected(done.error());
  return entries;
}

std::expected<std::optional<InstanceInfo>, Error> MemoryStore::find(const std::string& workflow,
                                                                    const std::string& id) {
  std::optional<InstanceInfo> info;
  const auto done = read([&]() REQUIRES(data_->mutex) {
    const auto found = data_->tables.keys.find({workflow, id});
    if (found != data_->tables.keys.end()) info = data_->tables.instances.at(found->second).info;
  });
  if (!done) return std::unexpected(done.error());
  return info;
}

std::expected<std::optional<InstanceInfo>, Error> MemoryStore::find(InstanceKey key) {
  std::optional<InstanceInfo> info;
  const auto done = read([&]() REQUIRES(data_->mutex) {
    const auto found = data_->tables.instances.find(key);
    if (found != data_->tables.instances.end()) info = found->second.info;
  });
  if (!done) return std::unexpected(done.error());
  return info;
}

std::expected<InstanceStatus, Error> MemoryStore::status(InstanceKey key) {
  InstanceStatus status;
  const auto done = read([&]() REQUIRES(data_->mutex) {
    const auto& instance = known(key);
    const Entry last = instance.history.empty() ? Entry{} : instance.history.back().entry;
    status = outcome_of(instance.info.status, last);
  });
  if (!done) return std::unexpected(done.error());
  return status;
}

std::expected<std::vector<InstanceInfo>, Error> MemoryStore::list(const ListQuery& query) {
  std::vector<InstanceInfo> infos;
  const auto matches = [&](const InstanceInfo& info) REQUIRES(data_->mutex) {
    return (!query.workflow || info.workflow == *query.workflow) && (!query.status || info.status == *query.status) &&
           (!query.created_after || info.created > *query.created_after) && info.id.starts_with(query.id_prefix) &&
           (!query.newest_only || data_->tables.keys.at({info.workflow, info.id}) == info.key);
  };
  const auto done = read([&]() REQUIRES(data_->mutex) {
    auto row = data_->tables.instances.upper_bound(query.after);
    for (; row != data_->tables.instances.end() && infos.size() < query.limit; ++row)
      if (matches(row->second.info)) infos.push_back(row->second.info);
  });
  if (!done) return std::unexpected(done.error());
  return infos;
}

std::expected<std::vector<EngineInfo>, Error> MemoryStore::engines() {
  std::vector<EngineInfo> engines;
  const auto done = read([&]() REQUIRES(data_->mutex) {
    for (const auto& [id, row] : data_->tables.owners)
      engines.push_back({.id = id, .alive = !is_dead(row), .may_forget = true});
  });
  if (!done) return std::unexpected(done.error());
  return engines;
}

namespace {

class MemoryDatabase final : public Database {
 public:
  explicit MemoryDatabase(std::shared_ptr<Data> data) : data_(std::move(data)) {}

  std::expected<std::unique_ptr<Store>, Error> connect() override { return std::make_unique<MemoryStore>(data_); }

 private:
  std::shared_ptr<Data> data_;
};

}  // namespace

std::shared_ptr<Database> open_memory() { return open_memory(std::make_shared<Data>()); }

std::shared_ptr<Database> open_memory(std::shared_ptr<Data> data) {
  return std::make_shared<MemoryDatabase>(std::move(data));
}

}  // namespace workflows::storage::memory
