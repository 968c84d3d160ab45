#pragma once
// The Store on one connection to an SQLite file. What lies where and why: FORMAT.md.

#include <sys/types.h>

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/sqlite/change_notice.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/heads.h"
#include "storage/sqlite/journal_appender.h"
#include "storage/sqlite/lock_file.h"
#include "storage/sqlite/rows.h"
#include "storage/store.h"

namespace workflows::storage::sqlite {

// How long a writer waits for its turn.
inline constexpr Millis kBusyTimeout{5000};
// The WAL is moved into the file when it holds so many pages.
inline constexpr int kCheckpointPages = 2000;

class SqliteStore final : public Store {
 public:
  // `locks` is absent when the connection only reads.
  SqliteStore(std::unique_ptr<Connection> connection, std::unique_ptr<LockFile> locks, Millis busy_timeout);
  ~SqliteStore() override;

  std::expected<std::vector<ItemResult>, Error> commit(const WriteBatch& batch) override;

  std::expected<Owner, Error> open_owner(Millis lease) override;
  std::expected<std::uint32_t, Error> replace_dead_owners() override;
  std::expected<void, Error> close_owner(const Owner& owner) override;

  std::expected<Collected, Error> collect_garbage(TimePoint now, std::uint64_t limit) override;

  std::expected<bool, Error> changed() override;
  int change_fd() override;
  std::expected<Arrivals, Error> arrivals(OwnerId owner, std::int64_t after, std::uint32_t limit) override;
  std::expected<std::vector<InstanceKey>, Error> with_untaken_events(OwnerId owner) override;
  std::expected<std::vector<Notice>, Error> notices(OwnerId owner) override;
  std::expected<void, Error> together(const std::function<void()>& reads) override { return read(reads); }
  std::expected<Loaded, Error> load(InstanceKey key) override;
  std::expected<std::optional<InstanceInfo>, Error> find(const std::string& workflow, const std::string& id) override;
  std::expected<std::optional<InstanceInfo>, Error> find(InstanceKey key) override;
  std::expected<InstanceStatus, Error> status(InstanceKey key) override;
  std::expected<std::vector<InstanceInfo>, Error> generations(const std::string& workflow,
                                                              const std::string& id) override;
  std::expected<InstanceKey, Error> newest_generation(InstanceKey key) override;
  std::expected<std::vector<RecordedEntry>, Error> entries(InstanceKey key, std::int64_t after) override;
  std::expected<std::vector<InstanceInfo>, Error> list(const ListQuery& query) override;

  std::expected<std::vector<InstanceInfo>, Error> find_everywhere(const std::string& id) override;
  std::expected<std::vector<JournalEntry>, Error> journal(std::optional<std::int64_t> after,
                                                          std::uint32_t limit) override;
  std::expected<Statistics, Error> statistics(TimePoint now) override;
  std::expected<std::vector<EngineInfo>, Error> engines() override;
  std::expected<std::vector<Finding>, Error> check(TimePoint now,
                                                   const std::function<void(std::string_view)>& progress) override;

  Counters counters() const override;

 private:
  // ---- write path (commit.cpp)
  // Does `work` in one transaction under the write lock: all of it or, when it throws Failed, nothing.
  std::expected<void, Error> write(const std::function<void()>& work);
  void transaction(const std::function<void()>& work);
  void roll_back();
  void poison(const Error& error);
  void checkpoint_if_due();
  void settle_heads_if_due();

  static const Owner& owner_of(const WriteBatch& batch);  // throws Failed if it has none
  void check_fence(const Owner& owner);
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
  void claim(Status from, Status to, std::uint32_t limit, const Claim& item, std::vector<InstanceInfo>& claimed);
  std::optional<Head> head_for_writing(InstanceKey instance);
  bool note_status(InstanceKey instance, const Entry& entry, std::int64_t seq, std::int64_t stored);
  void number_entries();
  bool is_to_be_paused(InstanceKey instance);

  // ---- new instances (create.cpp)
  struct NewRow;
  Created create(const WriteBatch& batch, const Create& item);
  void create_new(const WriteBatch& batch, std::span<const Create> ten, std::vector<Created>& results);
  Created created(InstanceKey key, const Create& item);

  // ---- lifecycle and removal (control.cpp)
  struct Target {
    InstanceKey key = 0;
    Status status{};
    OwnerId owner = 0;
    std::int64_t head = 0;  // its newest entry
    TimePoint updated{};
  };
  std::optional<Target> find_target(const std::string& workflow, const std::string& id);
  void append_to(const Target& target, const Entry& entry, std::optional<Notice::Kind> notice);
  void notify(const Target& target, Notice::Kind kind);
  void remove_generations(const std::string& workflow, const std::string& id);
  void remove_generations(std::int64_t workflow, std::string_view id, std::uint32_t up_to);
  InstanceKey begin_generation(const Target& old, const Restart& item, const Kept& kept);
  void remove_expired(TimePoint now, Collected& collected);
  void remove_rows(std::uint64_t limit, Collected& collected);
  std::uint64_t remove_rows(InstanceKey instance, std::int64_t head, std::uint64_t limit, std::int64_t greatest);

  // ---- histories from elsewhere (import.cpp)
  using EventIds = std::unordered_map<std::int64_t, std::int64_t>;  // here, by their ids where they came from
  EventIds import_inbox(InstanceKey key, const std::vector<InboxEvent>& inbox);
  std::int64_t take_imported(const EventIds& events, std::int64_t exported);

  // ---- owners (owners.cpp)
  struct DeadOwner {
    OwnerId id = 0;
    std::int64_t scan_from = 0;
  };
  std::vector<DeadOwner> dead_owners();
  void unlock(OwnerId owner);
  std::uint32_t replace_dead();
  bool is_current(const Owner& owner);  // if so, entries are numbered after what is there
  void give_back(OwnerId owner, std::int64_t scan_from);
  void settle(OwnerId owner, std::int64_t scan_from);

  // ---- read path (read.cpp)
  // Does `work` as of one moment of the database. May be nested.
  std::expected<void, Error> read(const std::function<void()>& work);
  Loaded read_loaded(InstanceKey key);
  std::int64_t newest_entry(InstanceKey instance, OwnerId owner, std::int64_t head);

  std::optional<Error> unusable() const;

  std::unique_ptr<Connection> connection_;
  std::unique_ptr<LockFile> locks_;
  Millis busy_timeout_;
  pid_t pid_;
  WorkflowNames names_;

  Owner owner_;  // opened by this Store; id 0: none
  Heads heads_;  // of instances of `owner_`
  JournalAppender journal_;
  std::uint64_t unsettled_entries_ = 0;  // appended since the heads were stored, roughly

  std::optional<ChangeNotice> notice_;  // once somebody has asked for it

  std::optional<Error> poisoned_;  // the first failed write (S44)
  std::uint64_t transactions_ = 0;
  std::int64_t data_version_ = 0;
  int last_wal_pages_ = 0;
  int checkpoint_at_pages_;
  std::set<std::string> list_sql_;  // statements are known by their address
};

}  // namespace workflows::storage::sqlite
