#include "storage/memory/memory_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "storage/lifecycle.h"

namespace workflows::storage::memory {
namespace {

struct Instance {
  InstanceInfo info;
  std::string params;
  Retention retention;
  std::vector<RecordedEntry> history;
};

struct Event {
  InstanceKey instance = 0;
  std::string event_id;
  InboxEvent event;
};

struct OwnerRow {
  Owner owner;
  TimePoint lease_until{};
  const void* store = nullptr;  // the Store that opened it; null once that is gone
};

struct Data {
  std::mutex mutex;
  std::map<InstanceKey, Instance> instances;
  std::map<std::pair<std::string, std::string>, InstanceKey> keys;  // (workflow, id): the newest generation
  // Unfinished instances by (status, owner), as claims and takeovers ask for them.
  std::map<std::pair<Status, OwnerId>, std::set<InstanceKey>> unfinished;
  std::map<std::int64_t, Event> inbox;
  std::unordered_map<InstanceKey, std::vector<std::int64_t>> inbox_of;
  std::map<OwnerId, OwnerRow> owners;
  std::map<OwnerId, std::vector<Notice>> notices;
  InstanceKey last_key = 0;
  std::int64_t last_entry = 0;
  std::int64_t last_event = 0;
  std::int64_t last_notice = 0;
  OwnerId last_owner = 0;
  std::uint64_t commits = 0;
};

TimePoint now() { return std::chrono::floor<Millis>(std::chrono::system_clock::now()); }

// Ends a transaction early; its changes are taken back.
struct Failed {
  Error error;
};

[[noreturn]] void refuse(std::string message) { throw Failed{{ErrorCode::store, std::move(message)}}; }

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::shared_ptr<Data> data) : data_(std::move(data)), pid_(getpid()) {
    const std::lock_guard lock(data_->mutex);
    seen_commits_ = data_->commits;
  }
  ~MemoryStore() override {
    if (pid_ != getpid()) return;
    const std::lock_guard lock(data_->mutex);
    for (auto& [id, row] : data_->owners)
      if (row.store == this) row.store = nullptr;
  }

  std::expected<std::vector<ItemResult>, Error> commit(const WriteBatch& batch) override;
  std::expected<Owner, Error> open_owner(Millis lease) override;
  std::expected<std::uint32_t, Error> replace_dead_owners() override;
  std::expected<void, Error> close_owner(const Owner& owner) override;

  std::expected<bool, Error> changed() override;
  std::expected<Arrivals, Error> arrivals(OwnerId owner, std::int64_t after, std::uint32_t limit) override;
  std::expected<std::vector<InstanceKey>, Error> with_untaken_events(OwnerId owner) override;
  std::expected<std::vector<Notice>, Error> notices(OwnerId owner) override;
  std::expected<Collected, Error> collect_garbage(TimePoint now, std::uint64_t limit) override;
  std::expected<void, Error> together(const std::function<void()>& reads) override;
  std::expected<Loaded, Error> load(InstanceKey key) override;
  std::expected<std::optional<InstanceInfo>, Error> find(const std::string& workflow, const std::string& id) override;
  std::expected<std::optional<InstanceInfo>, Error> find(InstanceKey key) override;
  std::expected<InstanceStatus, Error> status(InstanceKey key) override;
  std::expected<std::vector<InstanceInfo>, Error> generations(const std::string& workflow,
                                                              const std::string& id) override;
  std::expected<InstanceKey, Error> newest_generation(InstanceKey key) override;
  std::expected<std::vector<RecordedEntry>, Error> entries(InstanceKey key, std::int64_t after) override;
  std::expected<std::vector<InstanceInfo>, Error> list(const ListQuery& query) override;
  Counters counters() const override { return counters_; }

 private:
  std::expected<void, Error> write(const std::function<void()>& work);
  std::expected<void, Error> read(const std::function<void()>& work);
  std::optional<Error> unusable() const;
  void on_undo(std::function<void()> undo) { undo_.push_back(std::move(undo)); }

  ItemResult apply(const WriteBatch& batch, const Create& item);
  ItemResult apply(const WriteBatch& batch, const CreateBatch& item);
  ItemResult apply(const WriteBatch& batch, const AppendEntry& item);
  ItemResult apply(const WriteBatch& batch, const SetStatus& item);
  ItemResult apply(const WriteBatch& batch, const SendEvent& item);
  ItemResult apply(const WriteBatch& batch, const Control& item);
  ItemResult apply(const WriteBatch& batch, const Restart& item);
  ItemResult apply(const WriteBatch& batch, const Import& item);
  ItemResult apply(const WriteBatch& batch, const Heard& item);
  ItemResult apply(const WriteBatch& batch, const Claim& item);
  ItemResult apply(const WriteBatch& batch, const Release& item);
  ItemResult apply(const WriteBatch& batch, const Renew& item);

  void check_fence(const Owner& owner) const;
  bool is_current(const Owner& owner) const;
  static const Owner& owner_of(const WriteBatch& batch);
  Instance* owned(const WriteBatch& batch, InstanceKey key);
  const Instance& known(InstanceKey key) const;
  void move(Instance& instance, Status status, OwnerId owner);
  Created create(const WriteBatch& batch, const Create& item);
  void append(Instance& instance, const Entry& entry);
  void add(Instance instance);
  void notify(const Instance& instance, Notice::Kind kind);
  void remove_generations(const std::string& workflow, const std::string& id, std::uint32_t up_to);
  Loaded loaded(const Instance& instance) const;
  InstanceKey begin_generation(const Instance& old, const Restart& item, const Kept& kept);
  void take(InstanceKey instance, std::int64_t event);
  void claim(Status from, Status to, std::uint32_t limit, const Claim& item, OwnerId owner, Claimed& claimed);
  std::uint32_t replace_dead();
  void give_back(OwnerId owner);

  std::shared_ptr<Data> data_;
  pid_t pid_;
  std::uint64_t seen_commits_ = 0;
  std::vector<std::function<void()>> undo_;
  Counters counters_;
};

std::expected<void, Error> MemoryStore::write(const std::function<void()>& work) {
  if (const auto error = unusable()) return std::unexpected(*error);
  const std::lock_guard lock(data_->mutex);
  try {
    work();
  } catch (const Failed& failure) {
    for (; !undo_.empty(); undo_.pop_back()) undo_.back()();
    return std::unexpected(failure.error);
  }
  undo_.clear();
  // `changed` tells of the commits of others.
  if (seen_commits_ == data_->commits) ++seen_commits_;
  ++data_->commits;
  ++counters_.transactions;
  return {};
}

std::expected<void, Error> MemoryStore::read(const std::function<void()>& work) {
  if (const auto error = unusable()) return std::unexpected(*error);
  const std::lock_guard lock(data_->mutex);
  try {
    work();
  } catch (const Failed& failure) { return std::unexpected(failure.error); }
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
  const auto written = write([&] {
    if (batch.owner) check_fence(*batch.owner);
    for (const Item& item : batch.items) {
      ++counters_.statements;
      results.push_back(std::visit([&](const auto& typed) { return apply(batch, typed); }, item));
    }
  });
  if (!written) return std::unexpected(written.error());
  return results;
}

bool MemoryStore::is_current(const Owner& owner) const {
  const auto row = data_->owners.find(owner.id);
  return row != data_->owners.end() && row->second.owner.epoch == owner.epoch;
}

void MemoryStore::check_fence(const Owner& owner) const {
  if (!is_current(owner))
    refuse(
        fmt::format("the ownership was lost: another engine replaced owner {}, because it did not renew its lease in "
                    "time or it was closed. Nothing was written. Start a new engine to go on",
                    owner.id));
  if (data_->owners.at(owner.id).store != this)
    refuse(fmt::format("owner {} was opened through another connection and writes through that one", owner.id));
}

const Owner& MemoryStore::owner_of(const WriteBatch& batch) {
  if (!batch.owner) refuse("a batch without an owner cannot write to what engines own");
  return *batch.owner;
}

// Null if somebody else has ended it.
Instance* MemoryStore::owned(const WriteBatch& batch, InstanceKey key) {
  const auto& owner = owner_of(batch);
  const auto found = data_->instances.find(key);
  return found == data_->instances.end() || found->second.info.owner != owner.id ? nullptr : &found->second;
}

const Instance& MemoryStore::known(InstanceKey key) const {
  const auto found = data_->instances.find(key);
  if (found == data_->instances.end())
    throw Failed{
        {ErrorCode::instance_not_found, fmt::format("there is no instance with key {} in this database", key)}};
  return found->second;
}

void MemoryStore::move(Instance& instance, Status status, OwnerId owner) {
  const auto place = [this](Status s, OwnerId o) -> auto& { return data_->unfinished[{s, o}]; };
  const auto key = instance.info.key;
  const auto shift = [this, key, place](Status s, OwnerId o) {
    auto& moved = data_->instances.at(key);
    if (!is_finished(moved.info.status)) place(moved.info.status, moved.info.owner).erase(key);
    if (!is_finished(s)) place(s, o).insert(key);
    moved.info.status = s;
    moved.info.owner = o;
  };
  on_undo([shift, from = instance.info.status, before = instance.info.owner] { shift(from, before); });
  shift(status, owner);
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const CreateBatch& item) {
  CreatedBatch results;
  for (const Create& one : item.creates) results.created.push_back(create(batch, one));
  return results;
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const Create& item) { return create(batch, item); }

Created MemoryStore::create(const WriteBatch& batch, const Create& item) {
  const OwnerId owner = item.owned ? owner_of(batch).id : 0;
  if (const auto existing = data_->keys.find({item.workflow, item.id}); existing != data_->keys.end()) {
    const auto& instance = data_->instances.at(existing->second);
    return Created{.key = existing->second, .existed = true, .same_params = instance.params == item.params};
  }
  const auto key = ++data_->last_key;
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
  if (!is_finished(instance.info.status)) data_->unfinished[{instance.info.status, instance.info.owner}].insert(key);
  data_->instances.emplace(key, std::move(instance));
  const auto before = std::exchange(data_->keys[name], key);
  on_undo([this, key, name, before] {
    const auto& made = data_->instances.at(key);
    data_->unfinished[{made.info.status, made.info.owner}].erase(key);
    data_->instances.erase(key);
    if (before == 0)
      data_->keys.erase(name);
    else
      data_->keys[name] = before;
  });
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const AppendEntry& item) {
  auto* instance = owned(batch, item.instance);
  if (instance == nullptr) return Lost{};
  const bool is_pause = item.entry.kind == EntryKind::paused && item.entry.value.empty();
  if (is_pause && instance->info.status != Status::waiting_for_pause) return Lost{};
  if (item.entry.kind == EntryKind::wait_taken) take(item.instance, item.entry.event);
  append(*instance, item.entry);
  return Done{};
}

void MemoryStore::append(Instance& instance, const Entry& entry) {
  instance.history.push_back({++data_->last_entry, entry});
  on_undo([&instance, info = instance.info] {
    instance.history.pop_back();
    instance.info = info;
  });
  const auto status = status_of(entry.kind);
  if (!status) return;
  const bool was_asked = instance.info.status == Status::waiting_for_pause;
  move(instance, *status, *status == Status::rolling_back ? instance.info.owner : 0);
  if (!was_asked || is_finished(*status)) instance.info.updated = entry.at;
  instance.info.wake.reset();
  if (!is_finished(*status)) return;
  const auto& keep = *status == Status::complete ? instance.retention.success : instance.retention.failure;
  if (keep) instance.info.expires = entry.at + keep->millis();
}

void MemoryStore::take(InstanceKey instance, std::int64_t event) {
  const auto found = data_->inbox.find(event);
  if (found == data_->inbox.end() || found->second.instance != instance || found->second.event.taken)
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
  const auto found = data_->keys.find({item.workflow, item.id});
  if (found == data_->keys.end()) return Sent{.refused = ErrorCode::instance_not_found};
  const auto key = found->second;
  if (is_finished(data_->instances.at(key).info.status)) return Sent{.refused = ErrorCode::instance_finished};
  auto& inbox = data_->inbox_of[key];
  const auto is_same = [&](std::int64_t id) { return data_->inbox.at(id).event_id == item.event_id; };
  if (!item.event_id.empty() && std::ranges::any_of(inbox, is_same))
    return Sent{.refused = std::nullopt, .duplicate = true};
  const std::int64_t id = ++data_->last_event;
  data_->inbox[id] = {.instance = key,
                      .event_id = item.event_id,
                      .event = {.id = id, .type = item.type, .payload = item.payload, .at = item.at, .taken = false}};
  inbox.push_back(id);
  on_undo([this, key, id] {
    data_->inbox.erase(id);
    data_->inbox_of[key].pop_back();
  });
  return Sent{};
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const Claim& item) {
  const auto owner = owner_of(batch).id;
  Claimed claimed;
  claim(Status::queued, Status::running, item.queued, item, owner, claimed);
  claim(Status::rolling_back, Status::rolling_back, item.queued, item, owner, claimed);
  claim(Status::waiting, Status::waiting, item.waiting, item, owner, claimed);
  return claimed;
}

void MemoryStore::notify(const Instance& instance, Notice::Kind kind) {
  auto& notices = data_->notices[instance.info.owner];
  notices.push_back({.id = ++data_->last_notice, .instance = instance.info.key, .kind = kind});
  on_undo([&notices] { notices.pop_back(); });
}

ItemResult MemoryStore::apply(const WriteBatch&, const Control& item) {
  const auto found = data_->keys.find({item.workflow, item.id});
  if (found == data_->keys.end()) return Controlled{.refused = ErrorCode::instance_not_found};
  auto& instance = data_->instances.at(found->second);
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
  const auto found = data_->keys.find({item.workflow, item.id});
  if (found == data_->keys.end()) return Controlled{.refused = ErrorCode::instance_not_found};
  auto& old = data_->instances.at(found->second);
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
  const auto key = ++data_->last_key;
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
    for (const auto id : std::vector(data_->inbox_of[old.info.key])) {
      Event copy = data_->inbox.at(id);
      copy.instance = key;
      copy.event.taken = std::ranges::count(kept.taken, id) > 0;
      copy.event.id = events[id] = ++data_->last_event;
      data_->inbox_of[key].push_back(copy.event.id);
      data_->inbox[copy.event.id] = copy;
      on_undo([this, key, made = copy.event.id] {
        data_->inbox.erase(made);
        data_->inbox_of.erase(key);
      });
    }
  }
  for (Entry entry : kept.entries) {
    if (entry.event != 0) entry.event = events.at(entry.event);
    next.history.push_back({++data_->last_entry, std::move(entry)});
  }
  add(std::move(next));
  return key;
}

ItemResult MemoryStore::apply(const WriteBatch&, const Import& item) {
  const InstanceInfo& info = item.history.info;
  if (const auto existing = data_->keys.find({info.workflow, info.id}); existing != data_->keys.end())
    return Created{.key = existing->second, .existed = true};
  const auto key = ++data_->last_key;
  Instance instance{.info = info, .params = item.history.params, .retention = {}, .history = {}};
  instance.info.key = key;
  instance.info.owner = 0;
  instance.info.expires.reset();
  std::map<std::int64_t, std::int64_t> events;
  for (InboxEvent event : item.history.inbox) {
    const auto id = events[event.id] = ++data_->last_event;
    event.id = id;
    event.taken = false;
    data_->inbox_of[key].push_back(id);
    data_->inbox[id] = {.instance = key, .event_id = {}, .event = std::move(event)};
    on_undo([this, key, id] {
      data_->inbox.erase(id);
      data_->inbox_of.erase(key);
    });
  }
  for (const auto& [cursor, recorded] : item.history.entries) {
    Entry entry = recorded;
    if (entry.event != 0) {
      const auto id = events.find(entry.event);
      if (id == events.end() || data_->inbox.at(id->second).event.taken)
        throw Failed{{ErrorCode::serialization,
                      fmt::format("the history takes the event {} which its inbox does not have, or takes it twice; "
                                  "nothing was written",
                                  entry.event)}};
      entry.event = id->second;
      data_->inbox.at(id->second).event.taken = true;
    }
    instance.history.push_back({++data_->last_entry, std::move(entry)});
  }
  add(std::move(instance));
  return Created{.key = key};
}

ItemResult MemoryStore::apply(const WriteBatch& batch, const Heard& item) {
  auto& notices = data_->notices[owner_of(batch).id];
  on_undo([&notices, before = notices] { notices = before; });
  std::erase_if(notices, [&](const Notice& notice) { return notice.id <= item.last; });
  return Done{};
}

void MemoryStore::remove_generations(const std::string& workflow, const std::string& id, std::uint32_t up_to) {
  std::vector<InstanceKey> keys;
  for (auto& [key, instance] : data_->instances) {
    const InstanceInfo& info = instance.info;
    if (info.workflow != workflow || info.id != id || info.generation > up_to) continue;
    if (info.owner != 0) notify(instance, Notice::Kind::lost);
    keys.push_back(key);
  }
  const std::pair name(workflow, id);
  if (!keys.empty() && data_->keys.at(name) == keys.back()) {
    on_undo([this, name, key = keys.back()] { data_->keys[name] = key; });
    data_->keys.erase(name);
  }
  for (const auto key : keys) {
    auto node = std::make_shared<decltype(data_->instances)::node_type>(data_->instances.extract(key));
    const Instance& gone = node->mapped();
    data_->unfinished[{gone.info.status, gone.info.owner}].erase(key);
    std::vector<Event> events;
    for (const auto event : data_->inbox_of[key]) events.push_back(data_->inbox.extract(event).mapped());
    auto ids = std::exchange(data_->inbox_of[key], {});
    on_undo([this, key, node, events = std::move(events), ids = std::move(ids)] {
      const Instance& back = data_->instances.insert(std::move(*node)).position->second;
      if (!is_finished(back.info.status)) data_->unfinished[{back.info.status, back.info.owner}].insert(key);
      for (const Event& event : events) data_->inbox[event.event.id] = event;
      data_->inbox_of[key] = ids;
    });
  }
}

std::expected<Store::Collected, Error> MemoryStore::collect_garbage(TimePoint now, std::uint64_t limit) {
  Collected collected;
  std::vector<InstanceInfo> expired;
  const auto seen = read([&] {
    for (const auto& [key, instance] : data_->instances)
      if (instance.info.expires && *instance.info.expires <= now) expired.push_back(instance.info);
  });
  if (!seen) return std::unexpected(seen.error());
  if (expired.empty()) return collected;
  collected.more = expired.size() > limit;
  if (collected.more) expired.resize(limit);
  const auto written = write([&] {
    for (const InstanceInfo& info : expired) remove_generations(info.workflow, info.id, info.generation);
  });
  if (!written) return std::unexpected(written.error());
  collected.rows = expired.size();
  return collected;
}

void MemoryStore::claim(Status from, Status to, std::uint32_t limit, const Claim& item, OwnerId owner,
                        Claimed& claimed) {
  std::vector<InstanceKey> found;
  for (const auto key : data_->unfinished[{from, 0}]) {
    if (found.size() >= limit) break;
    if (std::ranges::count(item.workflows, data_->instances.at(key).info.workflow) > 0) found.push_back(key);
  }
  for (const auto key : found) {
    auto& instance = data_->instances.at(key);
    move(instance, to, owner);
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
  auto& row = data_->owners.at(owner_of(batch).id);
  on_undo([&row, before = row.lease_until] { row.lease_until = before; });
  row.lease_until = now() + item.lease;
  return Done{};
}

std::expected<Owner, Error> MemoryStore::open_owner(Millis lease) {
  Owner opened;
  const auto written = write([&] {
    for (const auto& [id, row] : data_->owners)
      if (row.store == this) refuse(fmt::format("this connection has an owner already: {}. Close it first", id));
    replace_dead();
    opened = {.id = ++data_->last_owner, .epoch = 1};
    data_->owners[opened.id] = {.owner = opened, .lease_until = now() + lease, .store = this};
  });
  if (!written) return std::unexpected(written.error());
  return opened;
}

std::expected<std::uint32_t, Error> MemoryStore::replace_dead_owners() {
  std::uint32_t replaced = 0;
  const auto written = write([&] { replaced = replace_dead(); });
  if (!written) return std::unexpected(written.error());
  return replaced;
}

std::uint32_t MemoryStore::replace_dead() {
  std::vector<OwnerId> dead;
  for (const auto& [id, row] : data_->owners)
    if (row.store != this && (row.store == nullptr || row.lease_until <= now())) dead.push_back(id);
  for (const auto id : dead) give_back(id);
  return static_cast<std::uint32_t>(dead.size());
}

std::expected<void, Error> MemoryStore::close_owner(const Owner& owner) {
  return write([&] {
    if (is_current(owner)) give_back(owner.id);
  });
}

void MemoryStore::give_back(OwnerId owner) {
  std::vector<InstanceKey> held;
  for (const auto& [place, keys] : data_->unfinished)
    if (place.second == owner) held.insert(held.end(), keys.begin(), keys.end());
  for (const auto key : held) {
    auto& instance = data_->instances.at(key);
    const Status status = instance.info.status;
    move(instance,
         status == Status::running             ? Status::queued
         : status == Status::waiting_for_pause ? Status::paused
                                               : status,
         0);
  }
  data_->notices.erase(owner);
  data_->owners.erase(owner);
}

std::expected<bool, Error> MemoryStore::changed() {
  if (const auto error = unusable()) return std::unexpected(*error);
  const std::lock_guard lock(data_->mutex);
  return std::exchange(seen_commits_, data_->commits) != data_->commits;
}

std::expected<Store::Arrivals, Error> MemoryStore::arrivals(OwnerId owner, std::int64_t after, std::uint32_t limit) {
  Arrivals arrived{.events = {}, .last = after};
  const auto done = read([&] {
    for (auto row = data_->inbox.upper_bound(after); row != data_->inbox.end() && arrived.events.size() < limit;
         ++row) {
      arrived.last = row->first;
      if (data_->instances.at(row->second.instance).info.owner == owner)
        arrived.events.push_back({.instance = row->second.instance, .event = row->second.event});
    }
  });
  if (!done) return std::unexpected(done.error());
  return arrived;
}

std::expected<std::vector<InstanceKey>, Error> MemoryStore::with_untaken_events(OwnerId owner) {
  std::set<InstanceKey> keys;
  const auto done = read([&] {
    for (const auto& [id, row] : data_->inbox) {
      const auto& instance = data_->instances.at(row.instance);
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
  if (const auto inbox = data_->inbox_of.find(instance.info.key); inbox != data_->inbox_of.end())
    for (const auto id : inbox->second) loaded.inbox.push_back(data_->inbox.at(id).event);
  return loaded;
}

std::expected<Loaded, Error> MemoryStore::load(InstanceKey key) {
  Loaded result;
  const auto done = read([&] { result = loaded(known(key)); });
  if (!done) return std::unexpected(done.error());
  return result;
}

std::expected<std::vector<Notice>, Error> MemoryStore::notices(OwnerId owner) {
  std::vector<Notice> found;
  const auto done = read([&] {
    if (const auto notices = data_->notices.find(owner); notices != data_->notices.end()) found = notices->second;
  });
  if (!done) return std::unexpected(done.error());
  return found;
}

std::expected<std::vector<InstanceInfo>, Error> MemoryStore::generations(const std::string& workflow,
                                                                         const std::string& id) {
  std::vector<InstanceInfo> infos;
  const auto done = read([&] {
    for (const auto& [key, instance] : data_->instances)
      if (instance.info.workflow == workflow && instance.info.id == id) infos.push_back(instance.info);
  });
  if (!done) return std::unexpected(done.error());
  std::ranges::reverse(infos);
  return infos;
}

std::expected<InstanceKey, Error> MemoryStore::newest_generation(InstanceKey key) {
  InstanceKey newest = 0;
  const auto done = read([&] {
    const InstanceInfo& info = known(key).info;
    newest = data_->keys.at({info.workflow, info.id});
  });
  if (!done) return std::unexpected(done.error());
  return newest;
}

std::expected<std::vector<RecordedEntry>, Error> MemoryStore::entries(InstanceKey key, std::int64_t after) {
  std::vector<RecordedEntry> entries;
  const auto done = read([&] {
    for (const auto& recorded : known(key).history)
      if (recorded.cursor > after) entries.push_back(recorded);
  });
  if (!done) return std::unexpected(done.error());
  return entries;
}

std::expected<std::optional<InstanceInfo>, Error> MemoryStore::find(const std::string& workflow,
                                                                    const std::string& id) {
  std::optional<InstanceInfo> info;
  const auto done = read([&] {
    const auto found = data_->keys.find({workflow, id});
    if (found != data_->keys.end()) info = data_->instances.at(found->second).info;
  });
  if (!done) return std::unexpected(done.error());
  return info;
}

std::expected<std::optional<InstanceInfo>, Error> MemoryStore::find(InstanceKey key) {
  std::optional<InstanceInfo> info;
  const auto done = read([&] {
    const auto found = data_->instances.find(key);
    if (found != data_->instances.end()) info = found->second.info;
  });
  if (!done) return std::unexpected(done.error());
  return info;
}

std::expected<InstanceStatus, Error> MemoryStore::status(InstanceKey key) {
  InstanceStatus status;
  const auto done = read([&] {
    const auto& instance = known(key);
    const Entry last = instance.history.empty() ? Entry{} : instance.history.back().entry;
    status = outcome_of(instance.info.status, last);
  });
  if (!done) return std::unexpected(done.error());
  return status;
}

std::expected<std::vector<InstanceInfo>, Error> MemoryStore::list(const ListQuery& query) {
  std::vector<InstanceInfo> infos;
  const auto matches = [&](const InstanceInfo& info) {
    return (!query.workflow || info.workflow == *query.workflow) && (!query.status || info.status == *query.status) &&
           (!query.created_after || info.created > *query.created_after) && info.id.starts_with(query.id_prefix);
  };
  const auto done = read([&] {
    auto row = data_->instances.upper_bound(query.after);
    for (; row != data_->instances.end() && infos.size() < query.limit; ++row)
      if (matches(row->second.info)) infos.push_back(row->second.info);
  });
  if (!done) return std::unexpected(done.error());
  return infos;
}

class MemoryDatabase final : public Database {
 public:
  std::expected<std::unique_ptr<Store>, Error> connect() override { return std::make_unique<MemoryStore>(data_); }

 private:
  std::shared_ptr<Data> data_ = std::make_shared<Data>();
};

}  // namespace

std::shared_ptr<Database> open_memory() { return std::make_shared<MemoryDatabase>(); }

}  // namespace workflows::storage::memory
