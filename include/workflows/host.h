#pragma once
// The seam between the engine and the languages that run workflow code on it. A host owns a loop (asyncio, asio); the
// engine never calls into it. The C++ API (engine.h) and the Python SDK are both ordinary users of this header.
//
// The loop of a host:
//   1. wait until `fd` is readable;
//   2. `poll()`: carry out the actions it returns, in order; each may make workflow code run, and that code asks verbs;
//   3. after a turn in which any verb was used, `poll()` again before waiting: it hands over what was collected, as one
//      batch, and returns what is to be done at once. Repeat until it returns nothing.
//
// Threads: every call from the one thread that owns the loop, except where a call says "any thread". No call blocks,
// except the constructor and `close`.
//
// Errors: verbs throw the WorkflowsError classes of error.h; then nothing has changed and nothing is recorded.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <workflows/client.h>
#include <workflows/durability.h>
#include <workflows/error.h>
#include <workflows/step_request.h>

namespace workflows {

// What becomes of an instance whose code no longer does what its history says (S39): it is paused with a report, it
// fails, or it goes on as well as it can.
enum class Determinism : std::uint8_t { pause, fail, ignore };

struct RegisteredWorkflow {
  std::string name{};
  std::string version{};
  Determinism determinism = Determinism::pause;
  Retention retention{};
};

struct HostOptions {
  std::string database{};  // a path, or ":memory:"
  Durability durability = Durability::full;
  std::vector<RegisteredWorkflow> workflows{};
  Duration hibernate_after = std::chrono::seconds(10);
  Duration lease = std::chrono::seconds(30);
  std::uint32_t step_limit = 10'000;           // S16
  std::uint64_t payload_limit = 1 << 20;       // bytes, S15; 0: none
  std::uint32_t max_concurrent_instances = 0;  // in memory at a time; 0: no bound
  std::string only_id{};           // of the instances that others made, it takes those of this id alone; "": of any
  std::shared_ptr<Clock> clock{};  // absent: the system's. One that is not, is advanced through `clock_moved`
};

// A small commit takes less on a usual disk, and a good part of it is what it costs to sleep and be woken: a host with
// nothing else to do may ask `signalled` for so long before it waits for `fd`.
inline constexpr std::chrono::microseconds kUsualCommit{250};

using CallId = std::uint64_t;
using NodeId = std::uint32_t;

// ---- actions: what the host is to do

// Begin to run the code of an instance (for the first time or, by replay, again).
struct StartInstance {
  InstanceKey instance;
  std::string workflow{};
  std::string id{};
  std::string params{};
  TimePoint created;
};
// The step's outcome is durable: hand it to the code that awaits it.
struct ResolveStep {
  InstanceKey instance;
  Ticket ticket;
  Outcome outcome;
};
struct RunStepBody {
  InstanceKey instance;
  Ticket ticket;
  std::uint32_t attempt;
};
// The attempt timed out or the run is over (S12). Cancel the body; report nothing unless it ends anyway.
struct CancelStepBody {
  InstanceKey instance;
  Ticket ticket;
  std::uint32_t attempt;
};
// The attempt's time is over if its body began `since`, when it was told to. But it may have waited for a thread:
// answer with `attempt_due`.
struct AttemptDue {
  InstanceKey instance;
  Ticket ticket;
  std::uint32_t attempt;
  TimePoint since;
};
// Call the user's delay function with this failure; answer with `delay_chosen` (S11).
struct ChooseRetryDelay {
  InstanceKey instance;
  Ticket ticket;
  std::uint32_t attempt;
  Failure failure;
};
// Ask `do_` for this declared node, or `do_failed` if a dependency failed; its end is reported by `node_finished`.
struct StartNode {
  InstanceKey instance;
  NodeId node;
  std::optional<NodeId> failed_dependency{};
};
// Compensate the `do` step `of`: call the rollback function that its request brought, with this error and the step's
// output, if it has one. Reported as a body: `body_finished(instance, ticket, attempt, ...)` (S31). Workflow code runs
// no more.
struct RunRollback {
  InstanceKey instance;
  Ticket ticket;
  std::uint32_t attempt;
  Ticket of;
  Failure error;
  std::optional<Value> output{};
};
// Every branch only waits and memory is wanted: drop the code's frames without running more of it than cleaning up
// needs, then call `evicted`. It comes back as StartInstance. Or call `keep` at once.
struct EvictInstance {
  InstanceKey instance;
};
// The run's end is durable (kept for `result`), or this engine no longer has the instance: it was paused, restarted,
// terminated or removed. Forget it: cancel its bodies, drop the code's frames without running more of it than cleaning
// up needs.
struct InstanceEnded {
  InstanceKey instance;
  InstanceStatus status;
};
// Answer to a call.
struct CallReply {
  CallId call;
  std::variant<std::monostate, InstanceRef, InstanceStatus, Error, BatchOutcome> result;
};
enum class LogLevel : std::uint8_t { debug, info, warning, error };
struct LogRecord {
  LogLevel level;
  std::string message{};
};
// The engine has stopped for good, by a failed write or a lost ownership (S42, S44). Running code is to be cancelled;
// every later verb throws this error.
struct EngineStopped {
  Error error;
};

using Action = std::variant<StartInstance, ResolveStep, RunStepBody, CancelStepBody, ChooseRetryDelay, StartNode,
                            EvictInstance, InstanceEnded, CallReply, LogRecord, EngineStopped, RunRollback, AttemptDue>;

class Host {
 public:
  // Opens the database, becomes an owner, takes over what nobody runs. Throws StoreError and its kin.
  explicit Host(HostOptions options);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  int fd() const noexcept;
  // Something was committed, or came, since the last `poll`. Costs no system call.
  bool signalled() const noexcept;
  // `room` is a result that was carried out: its memory is used again.
  std::vector<Action> poll(std::vector<Action> room = {});
  // A manual clock has moved: due timers come with the next poll.
  void clock_moved();
  // By the clock that attempts are timed with. Any thread.
  TimePoint now() const;

  // ---- verbs of a running instance
  Asked do_(InstanceKey instance, DoRequest request);
  Asked do_failed(InstanceKey instance, DoRequest request, Failure failure);  // a dependency failed: never runs (S35)
  Asked sleep(InstanceKey instance, SleepRequest request);
  Asked wait_for_event(InstanceKey instance, WaitRequest request);
  // A value that the code got from outside: the recorded one, or this one, which is recorded from now on.
  Value value(InstanceKey instance, ValueRequest request);
  // S40: whether this point was reached for the first time after the code got this patch.
  bool patched(InstanceKey instance, const std::string& id, Source source = nullptr);
  // The code's await was cancelled. The step goes on; its outcome is recorded.
  void abandon(InstanceKey instance, Ticket ticket);
  // The instance may be gone by now; then this does nothing.
  void body_finished(InstanceKey instance, Ticket ticket, std::uint32_t attempt, BodyOutcome outcome);
  // An attempt's time (S12) runs from its body's beginning; absent: it has not begun, and neither has its time.
  void attempt_due(InstanceKey instance, Ticket ticket, std::uint32_t attempt, std::optional<TimePoint> began);
  void delay_chosen(InstanceKey instance, Ticket ticket, std::uint32_t attempt, std::variant<Duration, Failure> delay);
  // A running body is well, and has come as far as `details` (JSON) say. The instance may be gone by now.
  void heartbeat(InstanceKey instance, Ticket ticket, std::uint32_t attempt, Value details);
  // What the attempt before this one said last.
  std::optional<Value> last_heartbeat(InstanceKey instance, Ticket ticket) const;
  void finish(InstanceKey instance, BodyOutcome outcome);
  void evicted(InstanceKey instance);
  // The code may wait for something else than steps, or be about to react to an outcome: what it would ask then would
  // be lost until something wakes it. Its eviction is asked for again a little later. False if that was put off for
  // long enough: it goes. `own_timer`: in so long a timer of the code's own goes off, and it is asked for again then,
  // however often.
  bool keep(InstanceKey instance, std::optional<Millis> own_timer = {});
  // The code does more than wait for steps. So whoever takes the instance over is to run it at once, not when what it
  // waits for has come.
  void goes_on(InstanceKey instance);
  // No branch of the code can go on and nothing runs: true if a recorded outcome was released out of order.
  bool release_stalled(InstanceKey instance);

  bool replaying(InstanceKey instance) const;
  StepConfig step_config(InstanceKey instance, Ticket ticket) const;  // as first recorded
  std::string idempotency_key(InstanceKey instance, Ticket ticket) const;
  std::uint32_t occurrence(InstanceKey instance, Ticket ticket) const;

  // ---- the graph of declared steps of a running instance (S33 to S36)
  NodeId declare(InstanceKey instance, const std::string& name);
  void connect(InstanceKey instance, NodeId node, const std::vector<NodeId>& depends);
  // Returns the node whose end answers the call; StartNode actions follow, for it and all that it needs, at most
  // `max_concurrency` of them at a time (0: no bound). `fresh`: the call has arguments of its own and joins no run.
  NodeId call_node(InstanceKey instance, NodeId node, std::uint32_t max_concurrency, bool fresh);
  void node_finished(InstanceKey instance, NodeId node, bool ok);

  // ---- calls; any thread. The answer is a CallReply.
  CallId create(CreateRequest request);                      // InstanceRef
  CallId create_batch(std::vector<CreateRequest> requests);  // BatchOutcome; one transaction (S29)
  CallId send_event(SendEventRequest request);               // nothing
  CallId watch(InstanceKey instance);                        // InstanceStatus, when its newest generation is finished
  // S41, from the loop's thread: runs the code of the workflow over this history, without effects. InstanceStatus whose
  // `reason` is "match: ...", "incomplete: ...", or "diverged: ..." with the report.
  CallId replay(InstanceHistory history);

  // Everything else; any thread; blocking (one short transaction). Call `look` after one that changes an instance.
  Client& client();
  // Another connection has committed: look what it changed, at once.
  void look();

  struct Counters {
    std::uint64_t transactions = 0;  // committed
    std::uint64_t statements = 0;
    std::uint64_t loads = 0;                 // instances read from the store
    std::uint64_t wakeups = 0;               // times that `fd` was made readable by the writer
    std::uint64_t loaded_instances = 0;      // in memory now
    std::uint64_t hibernated_instances = 0;  // owned, with nothing in memory but a timer
  };
  Counters counters() const;

  // Commits what is collected, gives the instances back, joins the threads. Idempotent. Bodies that still run are the
  // host's to end first.
  void close();

 private:
  friend class HostAccess;
  class Runtime;
  explicit Host(std::unique_ptr<Runtime> runtime);

  std::unique_ptr<Runtime> runtime_;
};

// A clock that stands still until it is told to move; for tests.
class ManualClock : public Clock {
 public:
  explicit ManualClock(TimePoint start);
  ~ManualClock() override;
  TimePoint now() const override;
  void advance(Millis by);
  void set(TimePoint to);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The errors that tell user code what it asked wrongly; hosts use them to check before they ask.
void check_workflow_name(std::string_view name);  // InvalidNameError (S1)
void check_instance_id(std::string_view id);      // InvalidNameError (S2)
void check_step_name(std::string_view name);      // InvalidNameError (S8)
void check_event_type(std::string_view type);     // InvalidNameError (S21)
std::string make_instance_id(TimePoint now);      // UUID v7
// There are few places in a program, and each is asked for often: it is kept once, for good. Any thread.
Source source(std::string_view place);

}  // namespace workflows
