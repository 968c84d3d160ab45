#pragma once
// Runs workflows in this process: one loop thread for workflow code, a bounded pool of threads for step bodies, one
// writer. Several engines, in one or several processes, may open the same database.
//
//   workflows::Engine engine({.database = "shop.db"});
//   engine.add("checkout", checkout);
//   engine.start();                                       // unfinished instances go on
//   auto instance = engine.create("checkout", order, {.id = "order-17"});
//   auto receipt  = instance.result<Receipt>();
//
// Threads: `add` and `start` come first, from one thread; every later call from any thread, except that a call which
// waits may not be made by workflow code (WrongLoopError); a step body may. Every call throws the WorkflowsError
// classes of error.h.

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <workflows/client.h>
#include <workflows/durability.h>
#include <workflows/host.h>
#include <workflows/step.h>
#include <workflows/subscription.h>

namespace workflows {

struct EngineOptions {
  std::string database{};  // a path, or ":memory:"
  Durability durability = Durability::full;
  Duration hibernate_after = std::chrono::seconds(10);  // an instance that waits for so long leaves memory
  Duration lease = std::chrono::seconds(30);            // an engine that stood still for so long is replaced (S42)
  std::uint32_t step_limit = 10'000;                    // steps per instance
  std::uint64_t payload_limit = 1 << 20;                // bytes of one value; 0: none
  std::uint32_t max_concurrent_instances = 0;           // in memory at a time; 0: no bound
  std::uint32_t pool_size = 0;                          // threads for step bodies; 0: one per core, at least 4
  std::shared_ptr<Clock> clock{};                       // absent: the system's
};

struct WorkflowOptions {
  std::string version{};  // of the code; recorded with every instance that it runs (S40)
  Retention retention{};  // of finished instances
  Determinism determinism = Determinism::pause;
};

struct CreateOptions {
  std::string id{};  // "": a UUID v7
  OnConflict on_conflict = OnConflict::error;
  std::optional<Retention> retention{};  // absent: as the workflow says
};

// One instance of a batch.
template <class Params>
struct NewInstance {
  std::string id{};  // "": a UUID v7
  Params params{};
  OnConflict on_conflict = OnConflict::error;
  std::optional<Retention> retention{};  // absent: as the workflow says
};

struct TerminateOptions {
  bool rollback = false;  // the steps that have begun are compensated first (S31)
};

// The step that a restart begins with. Results of steps that do not follow it are kept (S28).
struct RestartFrom {
  std::string from_step{};  // "": from the beginning, nothing is kept
  std::uint32_t count = 1;  // the n-th step of this name
  StepKind kind = StepKind::do_;
};

namespace detail {

class Loop;

struct NoParams {};

// The frame of a workflow function that has not begun.
struct Root {
  std::coroutine_handle<> frame;
  WorkflowPromise* promise = nullptr;
};
using WorkflowFunction = std::function<Root(const Event&, Step&)>;

template <class T>
Root release(Workflow<T> workflow) {
  auto frame = workflow.release();
  return {frame, &frame.promise()};
}

}  // namespace detail

// One instance, as its owner or an onlooker sees it. A value; it may outlive the engine (then: EngineClosedError).
// After a restart it speaks of the newest generation; when the instance was removed, every call throws
// InstanceNotFoundError.
//
//   instance.pause();                     // running bodies end, nothing new begins, timers stand still
//   instance.resume();                    // every timer gets the time that was left
//   instance.terminate({.rollback = true});
//   for (const auto& step : instance.restart({.from_step = "ship"})) std::cout << "kept " << step.name << '\n';
class InstanceHandle {
 public:
  InstanceHandle(std::shared_ptr<detail::Loop> loop, InstanceRef ref) : loop_(std::move(loop)), ref_(std::move(ref)) {}

  const std::string& id() const noexcept { return ref_.id; }
  const std::string& workflow() const noexcept { return ref_.workflow; }

  // Acknowledged after commit. With an event_id, a second event of the same id does nothing. InstanceFinishedError.
  template <class T = std::nullptr_t>
  void send_event(std::string_view type, const T& payload = {}, std::string_view event_id = "") const {
    send_json(type, to_json(payload), event_id);
  }

  InstanceStatus status() const;
  std::vector<StepInfo> steps() const;

  // Lifecycle (S26). When a call returns it is on disk; the engine that runs the instance, in whatever process, follows
  // within milliseconds. InvalidTransitionError tells the status that was found.
  void pause() const;
  void resume() const;
  void terminate(TerminateOptions options = {}) const;
  // The same id, params and creation time. Returns what is kept of the steps so far. InvalidConfigError: there is no
  // such step to start from.
  std::vector<StepInfo> restart(const RestartFrom& from = {}) const;
  // All generations, with their events.
  void remove() const;

  // Entries of the newest generation, those so far and then live; see subscription.h.
  Subscription subscribe(std::int64_t after = 0) const;

  // Blocks until the instance has finished. WorkflowFailedError (failure_of() has the cause), WorkflowTerminatedError;
  // WaitTimeoutError: `timeout` has passed first, and nothing has changed.
  template <class T = void>
  T result(std::optional<Duration> timeout = std::nullopt) const {
    return Codec<T>::decode(output(timeout));
  }

 private:
  void send_json(std::string_view type, std::string payload, std::string_view event_id) const;
  std::string output(std::optional<Duration> timeout) const;
  std::optional<InstanceStatus> end(std::optional<Duration> timeout) const;

  std::shared_ptr<detail::Loop> loop_;
  InstanceRef ref_;
};

// What became of one instance of a batch.
using Created = std::variant<InstanceHandle, Error>;

class Engine {
 public:
  explicit Engine(EngineOptions options);
  ~Engine();  // closes
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Before start. `function` is called as Workflow<T>(const Event&, Step&); a functor or lambda is kept as long as the
  // engine, so its captures may be used throughout. InvalidNameError, InvalidConfigError (the name is taken).
  template <class Function>
  void add(std::string name, Function function, WorkflowOptions options = {}) {
    add_function({.name = std::move(name),
                  .version = std::move(options.version),
                  .determinism = options.determinism,
                  .retention = options.retention},
                 [function = std::move(function)](const Event& event, Step& step) mutable {
                   return detail::release(function(event, step));
                 });
  }

  // Opens the database and resumes every unfinished instance of the workflows added. Once: InvalidConfigError.
  // StoreError and its kin.
  void start();

  // Acknowledged after commit. InstanceExistsError: the id is taken (or its params differ, with return_existing).
  template <class Params = detail::NoParams>
  InstanceHandle create(std::string_view workflow, const Params& params = {}, CreateOptions options = {}) {
    if constexpr (std::same_as<Params, detail::NoParams>)
      return create_json(workflow, "{}", std::move(options));
    else
      return create_json(workflow, to_json(params), std::move(options));
  }

  // One transaction, however many; each with its own outcome, in their order (S29).
  //
  //   engine.create_batch<Order>("checkout", {{.id = "order-17", .params = a}, {.id = "order-18", .params = b}});
  template <class Params>
  std::vector<Created> create_batch(std::string_view workflow, const std::vector<NewInstance<Params>>& instances) {
    std::vector<CreateRequest> requests;
    requests.reserve(instances.size());
    for (const auto& instance : instances) {
      requests.push_back({.workflow = std::string(workflow),
                          .params = to_json(instance.params),
                          .id = instance.id,
                          .on_conflict = instance.on_conflict,
                          .retention = instance.retention});
    }
    return create_requested(std::move(requests));
  }
  // One transaction; absent: removed.
  std::vector<std::optional<Error>> remove_batch(std::string_view workflow, const std::vector<std::string>& ids);

  // InstanceNotFoundError.
  InstanceHandle get(std::string_view workflow, std::string_view id);
  bool exists(std::string_view workflow, std::string_view id);
  std::vector<InstanceInfo> list(const ListQuery& query = {});
  // Everything else that needs no workflow code.
  Client& client();

  Host::Counters counters();
  // A clock that was given to the engine and is advanced by hand has moved.
  void clock_moved();

  // Idempotent. Bodies that run are asked to stop, and waited for however long they take. What one returns that cannot
  // hear it, for it takes no StepContext, is still recorded; the step of another one runs again. Instances go on when
  // another engine is started on the database. WrongLoopError: called by a step body, too.
  void close();

 private:
  void add_function(RegisteredWorkflow workflow, detail::WorkflowFunction function);
  InstanceHandle create_json(std::string_view workflow, std::string params, CreateOptions options);
  std::vector<Created> create_requested(std::vector<CreateRequest> requests);
  detail::Loop& loop() const;

  EngineOptions options_;
  std::vector<std::pair<RegisteredWorkflow, detail::WorkflowFunction>> workflows_;
  std::shared_ptr<detail::Loop> loop_;
};

}  // namespace workflows
