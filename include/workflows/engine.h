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
// Threads: every call from any thread, except that a call which waits may not be made by workflow code
// (WrongLoopError); a step body may. Every call throws the WorkflowsError classes of error.h.

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <workflows/client.h>
#include <workflows/durability.h>
#include <workflows/host.h>
#include <workflows/step.h>

namespace workflows {

struct EngineOptions {
  std::string database{};  // a path, or ":memory:"
  Durability durability = Durability::full;
  Duration hibernate_after = std::chrono::seconds(10);
  Duration lease = std::chrono::seconds(30);
  std::uint32_t step_limit = 10'000;           // steps per instance
  std::uint64_t payload_limit = 1 << 20;       // bytes of one value; 0: none
  std::uint32_t max_concurrent_instances = 0;  // in memory at a time; 0: no bound
  std::uint32_t pool_size = 0;                 // threads for step bodies; 0: one per core, at least 4
  std::shared_ptr<Clock> clock{};              // absent: the system's
};

struct CreateOptions {
  std::string id{};  // "": a UUID v7
  OnConflict on_conflict = OnConflict::error;
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

  // Blocks until the instance has finished. WorkflowFailedError (failure_of() has the cause), WorkflowTerminatedError;
  // WaitTimeoutError: `timeout` has passed first, and nothing has changed.
  template <class T = void>
  T result(std::optional<Duration> timeout = std::nullopt) const {
    return Codec<T>::decode(output(timeout));
  }

 private:
  void send_json(std::string_view type, std::string payload, std::string_view event_id) const;
  std::string output(std::optional<Duration> timeout) const;

  std::shared_ptr<detail::Loop> loop_;
  InstanceRef ref_;
};

class Engine {
 public:
  explicit Engine(EngineOptions options);
  ~Engine();  // closes
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Before start. `function` is called as Workflow<T>(const Event&, Step&); a functor or lambda is kept as long as the
  // engine, so its captures may be used throughout. InvalidNameError, InvalidConfigError (the name is taken).
  template <class Function>
  void add(std::string name, Function function, std::string version = "") {
    add_function({std::move(name), std::move(version)},
                 [function = std::move(function)](const Event& event, Step& step) mutable {
                   return detail::release(function(event, step));
                 });
  }

  // Opens the database and resumes every unfinished instance of the workflows added. StoreError and its kin.
  void start();

  // Acknowledged after commit. InstanceExistsError: the id is taken (or its params differ, with return_existing).
  template <class Params = detail::NoParams>
  InstanceHandle create(std::string_view workflow, const Params& params = {}, CreateOptions options = {}) {
    if constexpr (std::same_as<Params, detail::NoParams>)
      return create_json(workflow, "{}", std::move(options));
    else
      return create_json(workflow, to_json(params), std::move(options));
  }

  // InstanceNotFoundError.
  InstanceHandle get(std::string_view workflow, std::string_view id);
  bool exists(std::string_view workflow, std::string_view id);
  std::vector<InstanceInfo> list(const ListQuery& query = {});
  // Everything else that needs no workflow code.
  Client& client();

  Host::Counters counters();
  // A clock that was given to the engine and is advanced by hand has moved.
  void clock_moved();

  // Idempotent. Bodies that run are asked to stop and waited for; what they return is still recorded. Instances go on
  // when an engine starts again.
  void close();

 private:
  void add_function(RegisteredWorkflow workflow, detail::WorkflowFunction function);
  InstanceHandle create_json(std::string_view workflow, std::string params, CreateOptions options);
  detail::Loop& loop() const;

  EngineOptions options_;
  std::vector<std::pair<RegisteredWorkflow, detail::WorkflowFunction>> workflows_;
  std::shared_ptr<detail::Loop> loop_;
};

}  // namespace workflows
