#pragma once
// The Store: where instances, journals, inboxes and owners are kept. Small, blocking, transactional; made for SQLite,
// memory and PostgreSQL alike. A Store is one connection: use it from one thread at a time. Several Stores, in one
// process or many, may share a database.
//
// Every failure is an Error: store_busy (try again later; nothing was written), store (I/O; after a failed write this
// Store refuses all further writes until reopened, S44), store_corrupt, store_version, or the code an item names.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <workflows/database_info.h>
#include <workflows/durability.h>
#include <workflows/error.h>
#include <workflows/instance_info.h>
#include <workflows/journal.h>

namespace workflows::storage {

using OwnerId = std::int64_t;  // 0: nobody

// An engine's right to write for the instances it owns (S42). It belongs to the Store that opened it: batches of this
// owner go through that Store, and if the Store goes without `close_owner`, the owner is dead at once.
struct Owner {
  OwnerId id = 0;
  std::int64_t epoch = 0;
};

// ---- items of a batch; each names what it needs. Results in the same order as items.

// Needs no owner. `owned`: the instance belongs to the batch's owner at once and is `running`; else it is queued for
// any engine that has the workflow.
struct Create {
  std::string workflow{};
  std::string id{};
  std::string params{};  // JSON
  std::string version{};
  TimePoint created{};
  bool owned = false;
  bool new_id = false;                   // the id was made up just now: it need not be looked for
  std::optional<Retention> retention{};  // absent: not known; who claims it says what its workflow says
};
struct Created {
  InstanceKey key = 0;
  bool existed = false;      // an instance with this id was there (nothing written) ...
  bool same_params = false;  // ... with params that say the same
  bool owned = false;        // it is new, and belongs to the batch's owner
};

// Any number, each with its own outcome, as a part that no batch is cut through.
struct CreateBatch {
  std::vector<Create> creates{};
};
struct CreatedBatch {
  std::vector<Created> created{};
};

// Requires: the batch's owner owns the instance; else nothing is written and the result is Lost: somebody has ended the
// instance meanwhile. So it is for every item with such a requirement. A terminal entry (kind >= 32) also sets the
// final status; `paused` sets status paused and gives the instance up, but
// one without a value does nothing, with the result Lost, if nobody asks for the pause any more; `instance_completed`
// does nothing either if the instance rolls back meanwhile; `rollback_started` sets status rollingBack.
struct AppendEntry {
  InstanceKey instance = 0;
  Entry entry;  // wait_taken also marks the inbox row as taken
};

struct Lost {};

// Requires: the batch's owner owns the instance. Status running, waiting or queued; an instance that is to be paused or
// rolls back keeps that status.
struct SetStatus {
  InstanceKey instance = 0;
  Status status{};
  std::optional<TimePoint> wake{};
  TimePoint at{};
  bool unload =
      false;  // the owner drops the instance from memory: the Store may forget what it keeps for writing to it
};

// Needs no owner.
struct SendEvent {
  std::string workflow{};
  std::string id{};
  std::string type{};
  std::string payload{};
  std::string event_id{};  // "": no deduplication
  TimePoint at{};
};
struct Sent {
  std::optional<ErrorCode> refused{};  // instance_not_found, instance_finished
  bool duplicate = false;
};

// A lifecycle call (S26). Needs no owner, and takes effect in this transaction whoever owns the instance: its owner is
// told by a notice, and what it writes for an instance that it lost is refused.
enum class Verb : std::uint8_t { pause, resume, terminate, roll_back, remove };
struct Control {
  std::string workflow{};
  std::string id{};
  Verb verb{};
  TimePoint at{};
};
// Ends the newest generation, if it has not ended, and begins the next one.
struct Kept {
  std::vector<Entry> entries{};       // the history that the new generation begins with
  std::vector<std::int64_t> taken{};  // events of the inbox that these entries took; the others are untaken again
};
struct Restart {
  std::string workflow{};
  std::string id{};
  TimePoint at{};
  // Decides from the old generation what the new one keeps, within the transaction; its error fails the batch. Absent:
  // nothing, no event either.
  std::function<std::expected<Kept, Error>(const struct Loaded&)> keep{};
};
struct Controlled {
  std::optional<ErrorCode> refused{};  // instance_not_found, invalid_transition
  Status found{};                      // before
  InstanceKey key = 0;                 // of the generation that there is now
};

// What happened to an instance of an owner by somebody else's doing.
struct Notice {
  enum class Kind : std::uint8_t { lost = 1, pause = 2, resume = 3, roll_back = 4 };
  std::int64_t id = 0;
  InstanceKey instance = 0;
  Kind kind{};
};
// Forgets the notices of the batch's owner up to this one.
struct Heard {
  std::int64_t last = 0;
};

// Takes unowned, unfinished instances of `workflows`, oldest first, for the batch's owner: up to `queued` queued ones,
// which become running, and those that roll back, and up to `waiting` waiting ones, which stay waiting.
struct Claim {
  std::vector<std::string> workflows{};
  std::string id{};                               // only instances of this id; "": of any
  std::map<std::string, Retention> retentions{};  // by workflow, for instances that were created without
  std::uint32_t queued = 0;
  std::uint32_t waiting = 0;
};
struct Claimed {
  std::vector<InstanceInfo> instances{};
};

// An instance with its history, as it was exported from another database (or this one): unowned, paused or finished,
// and without retention. Needs no owner. Events get ids of this database, entries places in its journal. An id that
// exists: nothing is written, `existed`.
struct Import {
  InstanceHistory history{};
};

// Gives an instance back: owner nobody, status queued.
struct Release {
  InstanceKey instance = 0;
};

// Extends the lease of the batch's owner to the database's now + lease.
struct Renew {
  Millis lease{};
};

struct Done {};

using Item = std::variant<Create, CreateBatch, AppendEntry, SetStatus, SendEvent, Control, Restart, Import, Heard,
                          Claim, Release, Renew>;
using ItemResult = std::variant<Done, Created, CreatedBatch, Lost, Sent, Controlled, Claimed>;

struct WriteBatch {
  std::optional<Owner> owner{};
  std::span<const Item> items{};
};

// ---- what reads return

struct Loaded {
  InstanceInfo info;
  std::string params{};
  std::vector<Entry> history{};     // of this generation, in commit order
  std::vector<InboxEvent> inbox{};  // in order of id, taken ones included
};

// A new inbox row of an instance that the asking owner owns.
struct Arrival {
  InstanceKey instance = 0;
  InboxEvent event;
};

class Store {
 public:
  virtual ~Store() = default;

  // One transaction; all items or none. A batch with an owner whose epoch is no longer current fails with code `store`
  // and a message that says that the ownership was lost; nothing is written, ever again, for that owner.
  virtual std::expected<std::vector<ItemResult>, Error> commit(const WriteBatch& batch) = 0;

  // A new owner row with epoch and lease; `dead` owners found (their process is gone, or their lease has run out) are
  // fenced and replaced in the same transaction: all their unfinished instances become unowned (running ones queued,
  // those that were to be paused paused). Requires: this Store has no owner, or one that was fenced.
  virtual std::expected<Owner, Error> open_owner(Millis lease) = 0;
  // The same for owners that died since; returns how many were replaced.
  virtual std::expected<std::uint32_t, Error> replace_dead_owners() = 0;
  // Gives back everything that `owner` owns (as replacing does) and removes its row. Allowed for a fenced owner (then
  // it does nothing).
  virtual std::expected<void, Error> close_owner(const Owner& owner) = 0;

  // Removes finished instances that have expired, and what removed ones left, at most about `limit` rows, in one
  // transaction. Needs no owner.
  struct Collected {
    std::uint64_t rows = 0;
    bool more = false;  // there is more to be removed at once
  };
  virtual std::expected<Collected, Error> collect_garbage(TimePoint now, std::uint64_t limit) = 0;

  // True if another connection has committed since the last call: cheap (microseconds), never blocks.
  virtual std::expected<bool, Error> changed() = 0;
  // A descriptor that becomes readable soon after another connection has committed, until `changed` is called. It may
  // be readable for nothing, and there may be none (-1): so `changed` is to be asked now and then as well.
  virtual int change_fd() { return -1; }
  // Inbox rows with id > `after` for instances of `owner`, oldest first, at most `limit`; and the greatest row id seen.
  // Taken ones included.
  struct Arrivals {
    std::vector<Arrival> events;
    std::int64_t last = 0;  // pass as `after` next time
  };
  virtual std::expected<Arrivals, Error> arrivals(OwnerId owner, std::int64_t after, std::uint32_t limit) = 0;
  // Instances of `owner` that have untaken events, each once, ordered by key.
  virtual std::expected<std::vector<InstanceKey>, Error> with_untaken_events(OwnerId owner) = 0;
  // In order; they stay until an item Heard forgets them.
  virtual std::expected<std::vector<Notice>, Error> notices(OwnerId owner) = 0;

  // The reads that `reads` does see one moment of the database, and cost less than alone.
  virtual std::expected<void, Error> together(const std::function<void()>& reads) = 0;
  // instance_not_found: no such key. So does `status`.
  virtual std::expected<Loaded, Error> load(InstanceKey key) = 0;
  virtual std::expected<std::optional<InstanceInfo>, Error> find(const std::string& workflow,
                                                                 const std::string& id) = 0;
  virtual std::expected<std::optional<InstanceInfo>, Error> find(InstanceKey key) = 0;
  virtual std::expected<InstanceStatus, Error> status(InstanceKey key) = 0;
  // Every generation, newest first.
  virtual std::expected<std::vector<InstanceInfo>, Error> generations(const std::string& workflow,
                                                                      const std::string& id) = 0;
  // Entries with a cursor above `after`, in commit order.
  virtual std::expected<std::vector<RecordedEntry>, Error> entries(InstanceKey key, std::int64_t after) = 0;
  // The key of the newest generation of this one's instance; instance_not_found.
  virtual std::expected<InstanceKey, Error> newest_generation(InstanceKey key) = 0;
  // By key, ascending.
  virtual std::expected<std::vector<InstanceInfo>, Error> list(const ListQuery& query) = 0;

  // ---- for people who look after a database (workflows/maintenance.h)
  // The newest generation of this id in every workflow that has one, by name of the workflow.
  virtual std::expected<std::vector<InstanceInfo>, Error> find_everywhere(const std::string& id);
  // Entries of all instances in commit order: those with a cursor above `after`, or the newest; at most `limit`.
  virtual std::expected<std::vector<JournalEntry>, Error> journal(std::optional<std::int64_t> after,
                                                                  std::uint32_t limit);
  virtual std::expected<Statistics, Error> statistics(TimePoint now);
  // Owners that were neither closed nor replaced. Takes no lock that an engine could meet.
  virtual std::expected<std::vector<EngineInfo>, Error> engines();
  // What is wrong in the database: nothing, for a backend that cannot be damaged. `progress` is told what is looked at.
  virtual std::expected<std::vector<Finding>, Error> check(TimePoint now,
                                                           const std::function<void(std::string_view)>& progress);

  // Counters since opening, for tests and reports: what was asked of the disk.
  struct Counters {
    std::uint64_t transactions = 0;  // that wrote, and were committed
    std::uint64_t statements = 0;    // run, reads included; the begin and end of a transaction and `changed` are not
  };
  virtual Counters counters() const = 0;
};

// `location`: a path, or ":memory:" (a database of this process that lives while a Database handle to it does).
struct OpenOptions {
  std::string location{};
  Durability durability = Durability::full;
  bool create = true;  // false: a missing file is an error
  bool read_only = false;
};

// A database; thread-safe. `connect` gives each thread its own Store.
class Database {
 public:
  virtual ~Database() = default;
  virtual std::expected<std::unique_ptr<Store>, Error> connect() = 0;
};
// Checks that the file is ours, of a version we know, on a local file system (S45); migrates older ones.
std::expected<std::shared_ptr<Database>, Error> open_database(const OpenOptions& options);

// What a store, and an engine, says that is not used any further because memory ran out.
Error out_of_memory();

}  // namespace workflows::storage
