#pragma once
// What a Host is made of: the loaded instances, their timers, the way to the writer and back. Everything here belongs
// to the thread of the host's loop, except what is marked.

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <workflows/host.h>

#include "engine/core/graph.h"
#include "engine/core/instance.h"
#include "engine/runtime/mailbox.h"
#include "engine/runtime/running_bodies.h"
#include "engine/runtime/timers.h"
#include "engine/runtime/wakeup.h"
#include "engine/runtime/writer.h"
#include "engine/values/mutex.h"
#include "engine/values/recycled.h"

namespace workflows {

class Host::Runtime {
 public:
  explicit Runtime(HostOptions options);
  Runtime(HostOptions options, std::shared_ptr<storage::Database> database, runtime::SteadyClock steady);

  // An instance in memory.
  struct Slot : values::Recycled<Slot> {
    Slot(InstanceKey its_key, core::Instance&& its_machine) : key(its_key), machine(std::move(its_machine)) {}

    InstanceKey key;
    bool dirty = false;                    // in dirty_
    bool resolved = false;                 // in resolved_
    bool waits = false;                    // the status on disk is `waiting`
    bool evicting = false;                 // the host drops the code's frames
    std::uint8_t kept = 0;                 // so often in a row instead
    bool awakened = false;                 // in awakened_
    bool stirred = false;                  // something came for it meanwhile
    bool lost = false;                     // somebody else has ended it
    bool to_be_paused = false;             // once it is evicted
    bool claimed_again = false;            // it was paused and resumed before it was forgotten
    CallId replay = 0;                     // the call that this run answers; it is in no store
    std::vector<runtime::TimerId> timers;  // by ticket
    core::Instance machine;
    runtime::TimerId idle;          // until the instance is hibernated
    std::optional<TimePoint> wake;  // on disk, while it waits
    core::Graph graph;
  };

  // The loaded instance that a verb is for, marked for collection; throws when there is none.
  Slot& asked(InstanceKey instance);
  // The same for reports that may come too late: nothing then.
  Slot* reported(InstanceKey instance);
  const Slot& loaded(InstanceKey instance) const;

  template <class T>
  T checked(std::expected<T, Error> result);
  // A verb that memory ran out for is half done, and nothing of it may be written: the engine stops.
  template <class Verb>
  auto whole(Verb verb) {
    try {
      return verb();
    } catch (const std::bad_alloc&) {
      stop(storage::out_of_memory());
      wakeup_.signal();
      throw_error(storage::out_of_memory());
    }
  }
  Asked answer(InstanceKey instance, std::expected<Asked, Error> asked);
  void check_usable() const;  // any thread
  bool usable() const { return !unusable_.load(std::memory_order_acquire); }
  void check_payload(std::string_view what, const std::string& payload) const;
  void start_ready_nodes(Slot& slot);

  std::vector<Action> poll(std::vector<Action>&& room);
  void evicted(InstanceKey instance);
  bool keep(InstanceKey instance, std::optional<Millis> own_timer);
  void goes_on(InstanceKey instance);
  CallId create(CreateRequest request);
  CallId create_batch(std::vector<CreateRequest> requests);
  CallId send_event(SendEventRequest request);
  CallId replay(InstanceHistory history);
  void submit(storage::Item&& item, runtime::Tell tell = runtime::TellNobody{});
  void close();

  TimePoint now() const { return clock_->now(); }
  bool forked() const;

  HostOptions options_;
  std::shared_ptr<Clock> clock_;
  const int pid_;
  const std::uint32_t forks_;
  runtime::Wakeup wakeup_;
  runtime::Mailbox mailbox_;
  std::shared_ptr<storage::Database> database_;
  Client client_;
  std::unique_ptr<runtime::Writer> writer_;
  std::atomic<std::thread::id> loop_thread_{};  // that polled last
  std::atomic<CallId> last_call_ = 0;
  std::atomic<std::uint32_t> occupied_ = 0;    // instances loaded, loading or being created here
  std::atomic<std::uint64_t> hibernated_ = 0;  // size of asleep_

  boost::unordered_flat_map<InstanceKey, std::unique_ptr<Slot>> slots_;
  runtime::RunningBodies bodies_;

 private:
  // Tickets of timers that are not a step's.
  static constexpr Ticket kAsleep = 0xffff'ffff;  // a hibernated instance is due
  static constexpr Ticket kIdle = 0xffff'fffe;    // a loaded one has waited long enough

  // An instance whose status on disk is still `waiting`, worth correcting if it still runs at `at`.
  struct Awakened {
    TimePoint at;
    InstanceKey instance;
  };
  struct Due {
    InstanceKey instance;
    Ticket ticket;
  };

  void carried_out();
  void turn();
  void receive();
  void receive_all();
  void look_ahead(const runtime::StepsDurable& message, std::size_t next) const;
  void handle(runtime::StepsDurable& message);
  void handle(runtime::RunDurable& message);
  void handle(runtime::CreateDone& message);
  void handle(runtime::Answered& message);
  void handle(runtime::EventArrived& message);
  void handle(runtime::WriterFailed& message);
  void handle(runtime::WriterLog& message);

  void fire_timers();
  void record_lingering();
  void record_awakened();
  void collect();
  void collect(Slot& slot);
  void note_waiting(Slot& slot);
  void note_running(Slot& slot);
  void carry_out(Slot& slot, core::Effect& effect);
  void arm_wakeup();
  void mark(Slot& slot);
  void make_unusable(Error why);
  void stop(Error why);

  storage::Create to_item(CreateRequest& request, TimePoint created, bool here) const;
  const RegisteredWorkflow* registered(std::string_view workflow) const;
  core::Limits limits_of(const RegisteredWorkflow* workflow) const;

  // runtime_memory.cpp
  void handle(runtime::InstancesClaimed& message);
  void handle(runtime::OthersCommitted& message);
  void handle(runtime::EventsUntaken& message);
  void handle(runtime::InstanceLoaded& message);
  void handle(runtime::InstanceGone& message);
  void claim();
  std::uint32_t room() const;
  void start_created(const storage::Created& created, CreateRequest& request, TimePoint moment);
  Slot& start(InstanceKey key, core::Instance&& machine, std::string params);
  void fall_asleep(InstanceKey instance, std::optional<TimePoint> wake);
  void forget_sleeper(InstanceKey instance);
  void wake_up(InstanceKey instance);  // load it, or let it be loaded once it is evicted
  void issue_loads();
  bool has_place() const;
  void hurry();
  void end_load(InstanceKey instance);
  void give_up_place();
  void rest(Slot& slot);
  void evict(Slot& slot);
  void drop(Slot& slot);

  // runtime_control.cpp
  void handle(runtime::Noticed& message);
  void handle(runtime::BatchCreated& message);
  void heard_lost(InstanceKey instance);
  void heard_pause(InstanceKey instance);
  void heard_resume(InstanceKey instance);
  void heard_roll_back(InstanceKey instance);
  void park(InstanceKey instance);
  void reload(Slot& slot);

  struct Creating {
    CreateRequest request;
    TimePoint created;
    bool here;
  };

  struct CreatingBatch {
    std::vector<CreateRequest> requests;
    std::vector<std::optional<Error>> refused;  // before they got to the store
    TimePoint created;
    std::uint32_t here = 0;
  };

  mutable values::Mutex mutex_;
  std::unordered_map<CallId, Creating> creating_ GUARDED_BY(mutex_);
  std::unordered_map<CallId, CreatingBatch> creating_batch_ GUARDED_BY(mutex_);
  std::optional<Error> unusable_because_ GUARDED_BY(mutex_);  // set once, before unusable_
  std::atomic<bool> unusable_ = false;                        // closed, or stopped by a failure

  std::vector<runtime::Message> received_;
  std::size_t next_received_ = 0;  // of received_, to be handled
  runtime::Timers<Due> timers_;
  std::deque<Awakened> awakened_;
  std::vector<InstanceKey> dirty_;
  std::vector<InstanceKey> collected_;       // those of dirty_ that are being collected
  std::vector<InstanceKey> resolved_;        // have Resolves in the actions of the last poll
  std::vector<InstanceKey> starting_nodes_;  // have StartNodes in actions_
  std::vector<InstanceKey> started_nodes_;   // ... in those of the last poll
  runtime::Submissions outgoing_;
  std::vector<Action> actions_;
  std::vector<core::Effect> effects_;             // of the instance that is being collected
  std::vector<std::vector<core::Effect>> rooms_;  // for effects, empty: lent to instances that are marked
  std::deque<InstanceKey> to_load_;
  boost::unordered_flat_set<InstanceKey> loading_;  // in to_load_, or asked for
  std::uint32_t loads_issued_ = 0;
  boost::unordered_flat_map<InstanceKey, runtime::TimerId>
      asleep_;                               // hibernated; the timer is none when only an event helps
  std::atomic<std::uint32_t> claiming_ = 0;  // places kept for what the Claim on its way may bring
  bool claim_under_way_ = false;
  bool claim_again_ = false;
  bool crowded_ = false;  // instances are queued for want of room
  bool closed_ = false;
};

}  // namespace workflows
