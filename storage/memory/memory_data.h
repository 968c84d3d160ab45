#pragma once
// The Store in the memory of one process: plain maps under one mutex; what a transaction changed is taken back when it
// fails.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/values/mutex.h"
#include "storage/store.h"

namespace workflows::storage::memory {
struct Instance {
  InstanceInfo info;
  std::string params;
  std::optional<Retention> retention;  // absent: not known yet
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

inline TimePoint system_time() { return std::chrono::floor<Millis>(std::chrono::system_clock::now()); }

// All that is kept; a copy is a backup of the database.
struct Tables {
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

struct Data {
  values::Mutex mutex;
  Tables tables GUARDED_BY(mutex);
  std::function<TimePoint()> now = system_time;  // leases end by it
};

// Ends a transaction early; its changes are taken back.
struct Failed {
  Error error;
};

[[noreturn]] inline void refuse(std::string message) { throw Failed{{ErrorCode::store, std::move(message)}}; }

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::shared_ptr<Data> data) : data_(std::move(data)), pid_(getpid()) {
    const values::MutexLock lock(data_->mutex);
    seen_commits_ = data_->tables.commits;
  }
  ~MemoryStore() override {
    if (pid_ != getpid()) return;
    const values::MutexLock lock(data_->mutex);
    for (auto& [id, row] : data_->tables.owners)
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
  std::expected<std::vector<EngineInfo>, Error> engines() override;
  Counters counters() const override { return counters_; }

 private:
  std::expected<void, Error> write(const std::function<void()>& work);
  std::expected<void, Error> read(const std::function<void()>& work);
  std::optional<Error> unusable() const;
  void undo();
  void on_undo(std::function<void()> undo) { undo_.push_back(std::move(undo)); }

  ItemResult apply(const WriteBatch& batch, const Create& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const CreateBatch& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const AppendEntry& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const SetStatus& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const SendEvent& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const Control& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const Restart& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const Import& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const Heard& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const Claim& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const Release& item) REQUIRES(data_->mutex);
  ItemResult apply(const WriteBatch& batch, const Renew& item) REQUIRES(data_->mutex);

  void check_fence(const Owner& owner) const REQUIRES(data_->mutex);
  bool is_current(const Owner& owner) const REQUIRES(data_->mutex);
  static const Owner& owner_of(const WriteBatch& batch);
  Instance* owned(const WriteBatch& batch, InstanceKey key) REQUIRES(data_->mutex);
  const Instance& known(InstanceKey key) const REQUIRES(data_->mutex);
  void move(const Instance& instance, Status status, OwnerId owner) REQUIRES(data_->mutex);
  void put(InstanceKey key, Status status, OwnerId owner) REQUIRES(data_->mutex);
  Created create(const WriteBatch& batch, const Create& item) REQUIRES(data_->mutex);
  void append(Instance& instance, const Entry& entry) REQUIRES(data_->mutex);
  void add(Instance instance) REQUIRES(data_->mutex);
  void notify(const Instance& instance, Notice::Kind kind) REQUIRES(data_->mutex);
  void remove_generations(const std::string& workflow, const std::string& id, std::uint32_t up_to)
      REQUIRES(data_->mutex);
  Loaded loaded(const Instance& instance) const REQUIRES(data_->mutex);
  InstanceKey begin_generation(const Instance& old, const Restart& item, const Kept& kept) REQUIRES(data_->mutex);
  void take(InstanceKey instance, std::int64_t event) REQUIRES(data_->mutex);
  void claim(Status from, Status to, std::uint32_t limit, const Claim& item, OwnerId owner, Claimed& claimed)
      REQUIRES(data_->mutex);
  bool is_dead(const OwnerRow& row) const REQUIRES(data_->mutex);
  std::uint32_t replace_dead() REQUIRES(data_->mutex);
  void give_back(OwnerId owner) REQUIRES(data_->mutex);

  std::shared_ptr<Data> data_;
  pid_t pid_;
  std::uint64_t seen_commits_ = 0;
  std::vector<std::function<void()>> undo_;
  Counters counters_;
};

}  // namespace workflows::storage::memory
