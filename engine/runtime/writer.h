#pragma once
// The writer: the one thread of an engine that touches the store for it. It takes everything that was submitted,
// commits it as one transaction (group commit: while it commits, the next batch gathers), and posts the outcomes as one
// batch. Between commits it reads what the host asks for, notices what other processes did, and keeps the ownership
// alive.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <workflows/host.h>

#include "engine/runtime/mailbox.h"
#include "engine/runtime/wakeup.h"
#include "engine/values/mutex.h"
#include "storage/store.h"

namespace workflows::runtime {

// What to post when an item is durable.
struct TellNobody {};
struct TellStep {
  InstanceKey instance;
  Ticket ticket;
};
struct TellRun {
  InstanceKey instance;
};
struct TellCreate {
  CallId call;
};
struct TellSend {
  CallId call;
};
struct TellBatch {
  CallId call;
};
using Tell = std::variant<TellNobody, TellStep, TellRun, TellCreate, TellSend, TellBatch>;

// Items for the store, and what to tell when they are durable. Where memory ran out there may be a Tell more than
// items.
struct Submissions {
  std::vector<storage::Item> items;
  std::vector<Tell> tells;

  bool empty() const { return items.empty(); }
  void push(storage::Item&& item, Tell tell) {
    tells.resize(items.size());
    tells.push_back(tell);
    items.push_back(std::move(item));
  }
  void push(InstanceKey instance, Entry&& entry, Tell tell) {
    tells.resize(items.size());
    tells.push_back(tell);
    items.emplace_back(std::in_place_type<storage::AppendEntry>, instance, std::move(entry));
  }
  // Leaves `others` empty.
  void take(Submissions& others) {
    if (empty()) {
      std::swap(*this, others);
    } else {
      tells.resize(items.size());
      tells.insert(tells.end(), others.tells.begin(), others.tells.end());
      items.insert(items.end(), std::move_iterator(others.items.begin()), std::move_iterator(others.items.end()));
      others.clear();
    }
  }
  void clear() {
    items.clear();
    tells.clear();
  }
};

using SteadyTime = std::chrono::steady_clock::time_point;
using SteadyClock = std::function<SteadyTime()>;

class Writer {
 public:
  // Becomes an owner with this lease; throws when the store refuses. `mailbox` outlives the writer. With a `steady`
  // clock it has no thread: what that would do, `round` does.
  Writer(std::unique_ptr<storage::Store> store, Millis lease, Mailbox& mailbox, std::shared_ptr<const Clock> clock,
         SteadyClock steady = {});
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Any thread; order is kept. Leaves `submissions` empty.
  void submit(Submissions& submissions);
  void submit(storage::Item&& item, Tell tell);
  void load(InstanceKey instance);
  void watch(CallId call, InstanceKey instance);
  // Another connection has committed.
  void look() { wake(); }
  // Does what there is to do, without waiting. False when closing and nothing is left to commit. The writer's thread.
  bool round();

  // Commits what was submitted, gives the instances back and ends the thread. Idempotent.
  void close();

  storage::OwnerId owner() const { return owner_.id; }
  storage::Store::Counters store_counters() const;
  std::uint64_t loads() const { return loads_.load(std::memory_order_relaxed); }

 private:
  struct Watch {
    CallId call;
    InstanceKey instance;
  };
  struct Work {
    Submissions submissions;
    std::vector<InstanceKey> loads;
    std::vector<Watch> watches;
    bool empty() const { return submissions.empty() && loads.empty() && watches.empty(); }
  };

  void run();
  void wait_for_work();
  bool take_work();
  void end();
  bool has_loads_left() const { return next_load_ < work_.loads.size(); }
  void sleep();
  void wake();  // any thread
  void stay_awake();
  void commit(Submissions& submissions);
  bool commit_batch(Submissions& submissions, std::size_t first, std::size_t last);
  void tell(Tell tell, storage::Item& item, storage::ItemResult& result);
  void tell_step(TellStep step, Entry& entry);
  void load_instances();
  void answer_watches(const std::vector<Watch>& watches);
  void answer_ended(InstanceKey instance);
  void hear_notices();
  void collect_garbage();
  void look_around();
  void fetch_arrivals();
  void keep_ownership();
  void fail(Error error);
  void refuse(Tell tell);
  template <class T>
  std::optional<T> checked(std::expected<T, Error> result);

  std::unique_ptr<storage::Store> store_;
  const Millis lease_;
  Mailbox& mailbox_;
  std::shared_ptr<const Clock> clock_;
  const SteadyClock steady_;
  storage::Owner owner_;

  values::Mutex mutex_;
  Work incoming_ GUARDED_BY(mutex_);
  bool closing_ GUARDED_BY(mutex_) = false;
  std::atomic<bool> has_work_ = false;  // it came since the thread looked
  std::atomic<bool> asleep_ = false;
  Wakeup wakeup_;

  // The thread's own.
  Work work_;
  std::size_t next_load_ = 0;
  bool committed_few_ = false;  // in the last round
  std::vector<Message> outgoing_;
  std::unordered_multimap<InstanceKey, CallId> watches_;
  std::int64_t last_arrival_ = 0;
  bool arrivals_due_ = true;
  int looks_ = 0;              // since the kernel told that somebody has written, or since there was work
  bool kernel_tells_ = false;  // that somebody has written: it has done so for this file
  bool untaken_due_ = false;
  bool garbage_due_ = false;
  bool notices_due_ = false;
  std::optional<Error> failure_;
  SteadyTime next_renewal_;
  SteadyTime next_look_at_owners_;

  std::atomic<std::uint64_t> loads_ = 0;
  std::atomic<std::uint64_t> transactions_ = 0;
  std::atomic<std::uint64_t> statements_ = 0;
  std::thread thread_;
};

}  // namespace workflows::runtime
