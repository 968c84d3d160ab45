#pragma once
// What workflow code uses: the event it was started with and the steps it takes.
//
//   workflows::Workflow<Receipt> checkout(const workflows::Event& event, workflows::Step& step) {
//     auto order  = event.payload<Order>();
//     auto charge = step.do_("charge card", {.retries = {.limit = 3}}, [&] { return charge_card(order); });
//     auto ship   = step.do_("ship", workflows::depends(charge), [&](const Charge& paid) { return send(order, paid);
//     }); auto parcel = co_await ship;                      // runs "charge card" first co_await
//     step.sleep("cool-down", 30min); auto rating = co_await step.wait_for_event<int>("rating", "rated", {.timeout = "7
//     days"}); co_return Receipt{parcel, rating.payload};
//   }
//
// Declaring a step asks nothing; awaiting it does. An await goes on only when all that it started has ended, so a body
// may capture the function's locals by reference.
//
// Threads: all of it belongs to the engine's loop, except step bodies, which run on threads of the engine's pool.

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <workflows/codec.h>
#include <workflows/config.h>
#include <workflows/error.h>
#include <workflows/failure.h>
#include <workflows/step_request.h>
#include <workflows/time.h>
#include <workflows/workflow.h>

namespace workflows {

// ---------------------------------------------------------------- failures as exceptions

// What a failed step or workflow throws carries the failure as it was recorded.
class FailureCarrier {
 public:
  explicit FailureCarrier(Failure failure) : failure_(std::move(failure)) {}
  virtual ~FailureCarrier() = default;
  const Failure& failure() const noexcept { return failure_; }

 private:
  Failure failure_;
};

// A class of error.h, thrown for a recorded failure.
template <std::derived_from<WorkflowsError> Base>
class Recorded : public Base, public FailureCarrier {
 public:
  Recorded(std::string message, Failure failure) : Base(std::move(message)), FailureCarrier(std::move(failure)) {}
};

// A failure of user code: failure() has the type, message and cause of what the body threw.
using StepFailure = Recorded<StepError>;

// The failure that `error` carries, or null.
inline const Failure* failure_of(const std::exception& error) noexcept {
  const auto* carrier = dynamic_cast<const FailureCarrier*>(&error);
  return carrier ? &carrier->failure() : nullptr;
}

// ---------------------------------------------------------------- event

struct Event {
  std::string workflow_name;
  std::string instance_id;
  TimePoint timestamp{};    // of the creation; the same on every replay
  std::string params = {};  // JSON

  template <class T>
  T payload() const {
    return Codec<T>::decode(params);
  }
};

template <class T>
struct ReceivedEvent {
  std::string type;
  T payload;
  TimePoint timestamp;
};

// ---------------------------------------------------------------- options

// A fixed delay, or a function of the attempt that failed (1-based) and its failure. What the function returns is used
// as it is, without backoff; it runs on a thread of the pool and has five seconds (S11).
class RetryDelay {
 public:
  using Function = std::function<Duration(std::uint32_t attempt, const Failure& failure)>;

  template <class T>
    requires std::convertible_to<T, Duration>
  RetryDelay(T fixed) : fixed_(fixed) {}
  template <class F>
    requires std::is_invocable_r_v<Duration, F&, std::uint32_t, const Failure&>
  RetryDelay(F function) : function_(std::move(function)) {}

  Duration fixed() const noexcept { return fixed_; }
  const Function& function() const noexcept { return function_; }

 private:
  Duration fixed_ = std::chrono::seconds(1);
  Function function_;
};

struct RetryOptions {
  std::uint32_t limit = 5;  // attempts = limit + 1
  RetryDelay delay = std::chrono::seconds(1);
  Backoff backoff = Backoff::exponential;
  Duration max_delay = std::chrono::hours(1);
  double jitter = 0;  // 0..1, share of the delay that is random
};

enum class Sensitive : std::uint8_t { nothing, output };

struct StepOptions {
  RetryOptions retries{};
  Duration timeout = std::chrono::minutes(10);  // per attempt
  Sensitive sensitive = Sensitive::nothing;     // output: operators see [REDACTED]
  std::uint32_t max_concurrency = 0;            // of the steps that awaiting this one runs; 0: no bound
};

// Trivially destructible, so that it may stand inside a co_await expression.
struct WaitOptions {
  std::optional<Duration> timeout = Duration(std::chrono::hours(24));  // nullopt: for ever; zero: only look
};

// ---------------------------------------------------------------- context of a body

class StepContext {
 public:
  StepContext(std::string name, std::uint32_t count, std::uint32_t attempt, StepConfig config,
              std::string idempotency_key, std::stop_token stop)
      : name_(std::move(name)),
        count_(count),
        attempt_(attempt),
        config_(config),
        idempotency_key_(std::move(idempotency_key)),
        stop_(std::move(stop)) {}

  const std::string& name() const noexcept { return name_; }
  std::uint32_t count() const noexcept { return count_; }      // the n-th step of this name in this run
  std::uint32_t attempt() const noexcept { return attempt_; }  // 1-based
  const StepConfig& config() const noexcept { return config_; }
  // The same for every attempt and replay of this step, different for every other.
  const std::string& idempotency_key() const noexcept { return idempotency_key_; }
  // Stop is requested when the attempt has timed out or the engine closes; the sooner the body ends, the better.
  const std::stop_token& stop_token() const noexcept { return stop_; }
  bool cancelled() const noexcept { return stop_.stop_requested(); }

 private:
  std::string name_;
  std::uint32_t count_;
  std::uint32_t attempt_;
  StepConfig config_;
  std::string idempotency_key_;
  std::stop_token stop_;
};

// ---------------------------------------------------------------- machinery

namespace detail {

class Run;
class StepNode;
struct Attempt;

// One thing asked of the instance: a run of a declared step, a sleep or a wait. Stays where it is from the asking until
// its end was handed over.
struct Operation {
  using End = std::variant<std::monostate, Value, Failure, Received, Error>;

  bool done() const noexcept { return end.index() != 0; }
  bool failed() const noexcept { return std::holds_alternative<Failure>(end) || std::holds_alternative<Error>(end); }

  StepNode* step = nullptr;  // null: a sleep or a wait
  Waiter* waiter = nullptr;
  End end{};
  std::optional<Ticket> ticket{};
  bool begun = false;
  // Of a step's run: the attempt whose body is on the pool, and the one that is to follow it.
  Attempt* running = nullptr;
  std::uint32_t next_attempt = 0;
  // Of a run that belongs to the graph: its node, and whether the graph has started it.
  std::optional<std::uint32_t> node{};
  bool node_started = false;
  StepNode* failed_dependency = nullptr;
};

// Throws the exception that `end` stands for, if it stands for one.
void throw_if_failed(const Operation::End& end);
const std::string& value_of(const Operation::End& end);

// A declared step: what all its runs share, and its first run, which those that depend on it see.
class StepNode : public std::enable_shared_from_this<StepNode> {
 public:
  StepNode(Run& run, std::string name, const StepOptions& options, std::vector<std::shared_ptr<StepNode>> depends,
           bool takes_context);
  virtual ~StepNode() = default;
  StepNode(const StepNode&) = delete;
  StepNode& operator=(const StepNode&) = delete;

  // On a thread of the pool: the result as JSON, or what the body throws. `context` is null unless the body takes it.
  virtual std::string run_body(StepContext* context) = 0;

  // The first run's result as JSON, once it has completed.
  const std::string& value() const { return std::get<Value>(first.end).json; }

  Run& run;
  const std::string name;
  const StepConfig config;
  const RetryDelay::Function delay;
  const std::uint32_t max_concurrency;
  const std::vector<std::shared_ptr<StepNode>> depends;
  const bool takes_context;
  Operation first;
};

// To be called once for every new node.
void declare(StepNode& step);

// One await of a declared step.
class StepCall {
 public:
  explicit StepCall(std::shared_ptr<StepNode> node) noexcept : node_(std::move(node)) {}

  void begin();
  bool done() const noexcept { return operation_->done(); }
  void await_by(Waiter& waiter) noexcept { operation_->waiter = &waiter; }
  const std::string& value() const;

 private:
  std::shared_ptr<StepNode> node_;
  Operation* operation_ = nullptr;
  std::unique_ptr<Operation> own_;  // of a further run outside the graph
};

template <class R>
class TypedStepCall {
 public:
  explicit TypedStepCall(std::shared_ptr<StepNode> node) noexcept : call_(std::move(node)) {}

  void begin() { call_.begin(); }
  bool done() const noexcept { return call_.done(); }
  void await_by(Waiter& waiter) noexcept { call_.await_by(waiter); }
  R result() const { return Codec<R>::decode(call_.value()); }

  bool await_ready() {
    begin();
    return done();
  }
  void await_suspend(std::coroutine_handle<> code) noexcept {
    waiter_.code = code;
    await_by(waiter_);
  }
  R await_resume() const { return result(); }

 private:
  StepCall call_;
  Waiter waiter_;
};

// A sleep or a wait. Not to be moved once begun.
class Pause {
 public:
  using Request = std::variant<SleepRequest, WaitRequest>;
  Pause(Run& run, Request request) : run_(&run), request_(std::move(request)) {}

  void begin();
  bool done() const noexcept { return operation_.done(); }
  void await_by(Waiter& waiter) noexcept { operation_.waiter = &waiter; }

  bool await_ready() {
    begin();
    return done();
  }
  void await_suspend(std::coroutine_handle<> code) noexcept {
    waiter_.code = code;
    await_by(waiter_);
  }

 protected:
  const Operation::End& end() const noexcept { return operation_.end; }

 private:
  Run* run_;
  Request request_;
  Operation operation_;
  Waiter waiter_;
};

enum class BodyForm : std::uint8_t { results, results_context, context_results, nothing, context, invalid };

template <class Body, class... Results>
constexpr BodyForm body_form() {
  if constexpr (std::is_invocable_v<Body&, Results...>)
    return BodyForm::results;
  else if constexpr (std::is_invocable_v<Body&, Results..., StepContext&>)
    return BodyForm::results_context;
  else if constexpr (std::is_invocable_v<Body&, StepContext&, Results...>)
    return BodyForm::context_results;
  else if constexpr (std::is_invocable_v<Body&>)
    return BodyForm::nothing;
  else if constexpr (std::is_invocable_v<Body&, StepContext&>)
    return BodyForm::context;
  else
    return BodyForm::invalid;
}

template <class Body, class... Results>
decltype(auto) call_body(Body& body, [[maybe_unused]] StepContext* context, Results&&... results) {
  constexpr BodyForm form = body_form<Body, Results...>();
  static_assert(form != BodyForm::invalid,
                "a step body takes the results of its dependencies, in order and without those that are void, or "
                "nothing; and, first or last, StepContext& if it likes");
  if constexpr (form == BodyForm::results)
    return body(std::forward<Results>(results)...);
  else if constexpr (form == BodyForm::results_context)
    return body(std::forward<Results>(results)..., *context);
  else if constexpr (form == BodyForm::context_results)
    return body(*context, std::forward<Results>(results)...);
  else if constexpr (form == BodyForm::nothing)
    return body();
  else if constexpr (form == BodyForm::context)
    return body(*context);
}

template <class Body, class... Results>
constexpr bool takes_context() {
  constexpr BodyForm form = body_form<Body, Results...>();
  return form == BodyForm::results_context || form == BodyForm::context_results || form == BodyForm::context;
}

// One entry of `depends`: the nodes behind it and, on the pool, the arguments that it gives to the body.
template <class R>
struct Dependency {
  std::shared_ptr<StepNode> node;

  void add_to(std::vector<std::shared_ptr<StepNode>>& nodes) const { nodes.push_back(node); }
  auto arguments() const {
    if constexpr (std::is_void_v<R>)
      return std::tuple<>();
    else
      return std::tuple<R>(Codec<R>::decode(node->value()));
  }
};

template <class R>
struct Dependencies {
  std::vector<std::shared_ptr<StepNode>> nodes;

  void add_to(std::vector<std::shared_ptr<StepNode>>& all) const { all.insert(all.end(), nodes.begin(), nodes.end()); }
  auto arguments() const {
    if constexpr (std::is_void_v<R>) {
      return std::tuple<>();
    } else {
      std::vector<R> results;
      results.reserve(nodes.size());
      for (const auto& node : nodes) results.push_back(Codec<R>::decode(node->value()));
      return std::tuple<std::vector<R>>(std::move(results));
    }
  }
};

template <class... Parts>
std::vector<std::shared_ptr<StepNode>> nodes_of(const std::tuple<Parts...>& parts) {
  std::vector<std::shared_ptr<StepNode>> nodes;
  std::apply([&](const auto&... part) { (part.add_to(nodes), ...); }, parts);
  return nodes;
}

template <class Body, class Arguments>
struct BodyTraits;
template <class Body, class... Results>
struct BodyTraits<Body, std::tuple<Results...>> {
  using Result = RecordedAs<decltype(call_body(std::declval<Body&>(), nullptr, std::declval<Results>()...))>;
  static constexpr bool takes_context = detail::takes_context<Body, Results...>();
};

template <class Body, class... Parts>
class TypedStep final : public StepNode {
 public:
  using Arguments = decltype(std::tuple_cat(std::declval<const Parts&>().arguments()...));
  using Traits = BodyTraits<Body, Arguments>;
  using Result = typename Traits::Result;

  TypedStep(Run& owner, std::string step_name, const StepOptions& options, std::tuple<Parts...> parts, Body body)
      : StepNode(owner, std::move(step_name), options, nodes_of(parts), Traits::takes_context),
        parts_(std::move(parts)),
        body_(std::move(body)) {}

  std::string run_body(StepContext* context) override {
    auto arguments = std::apply([](const auto&... part) { return std::tuple_cat(part.arguments()...); }, parts_);
    auto call = [&](auto&&... results) -> decltype(auto) {
      return call_body(body_, context, std::forward<decltype(results)>(results)...);
    };
    if constexpr (std::is_void_v<Result>) {
      std::apply(call, std::move(arguments));
      return Codec<void>::encode();
    } else {
      return Codec<Result>::encode(std::apply(call, std::move(arguments)));
    }
  }

 private:
  std::tuple<Parts...> parts_;
  Body body_;
};

}  // namespace detail

// ---------------------------------------------------------------- declared steps

// A step that is known by name and body, and runs when it is awaited or when a step that depends on it is awaited. Its
// first await joins a run that a dependent began; every further await is a step of its own (S36). A handle: copies are
// the same step. It is awaited as an lvalue only, because a body that is a temporary of a co_await expression does not
// survive every compiler.
template <class R>
class [[nodiscard]] DeclaredStep {
 public:
  using Result = R;

  explicit DeclaredStep(std::shared_ptr<detail::StepNode> node) noexcept : node_(std::move(node)) {}

  detail::TypedStepCall<R> operator co_await() const& { return detail::TypedStepCall<R>(node_); }
  void operator co_await() const&& = delete;

  const std::string& name() const noexcept { return node_->name; }
  const std::shared_ptr<detail::StepNode>& node() const noexcept { return node_; }

 private:
  std::shared_ptr<detail::StepNode> node_;
};

template <class... Parts>
struct Depends {
  std::tuple<Parts...> parts;
};

namespace detail {

template <class R>
Dependency<R> dependency(const DeclaredStep<R>& step) {
  return {step.node()};
}
template <class R>
Dependencies<R> dependency(const std::vector<DeclaredStep<R>>& steps) {
  Dependencies<R> all;
  all.nodes.reserve(steps.size());
  for (const auto& step : steps) all.nodes.push_back(step.node());
  return all;
}

}  // namespace detail

// What a step needs: declared steps, or vectors of them. The body gets their results in this order, a vector for a
// vector.
template <class... Steps>
auto depends(const Steps&... steps) {
  return Depends<decltype(detail::dependency(steps))...>{{detail::dependency(steps)...}};
}

class [[nodiscard]] Sleep : public detail::Pause {
 public:
  using Pause::Pause;
  void result() const { detail::throw_if_failed(end()); }
  void await_resume() const { result(); }
};

template <class T>
class [[nodiscard]] Wait : public detail::Pause {
 public:
  using Pause::Pause;
  ReceivedEvent<T> result() const {
    detail::throw_if_failed(end());
    const auto& received = std::get<Received>(end());
    return {received.type, Codec<T>::decode(received.payload), received.at};
  }
  ReceivedEvent<T> await_resume() const { return result(); }
};

// ---------------------------------------------------------------- step

// The verbs of a workflow. A verb throws, when awaited and before anything is recorded, InvalidNameError,
// InvalidDurationError, InvalidConfigError or StepLimitError for what was asked wrongly.
class Step {
 public:
  explicit Step(detail::Run& run) noexcept : run_(&run) {}
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  // Awaited, it gives what the body returns, or throws: StepFailure for what the body threw, StepTimeoutError,
  // SerializationError, PayloadTooLargeError, NonRetryableError, DependencyError.
  template <class Body>
  auto do_(std::string name, Body body) {
    return declare(std::move(name), Depends<>{}, StepOptions{}, std::move(body));
  }
  template <class Body>
  auto do_(std::string name, const StepOptions& options, Body body) {
    return declare(std::move(name), Depends<>{}, options, std::move(body));
  }
  template <class... Parts, class Body>
  auto do_(std::string name, Depends<Parts...> on, Body body) {
    return declare(std::move(name), std::move(on), StepOptions{}, std::move(body));
  }
  template <class... Parts, class Body>
  auto do_(std::string name, Depends<Parts...> on, const StepOptions& options, Body body) {
    return declare(std::move(name), std::move(on), options, std::move(body));
  }

  Sleep sleep(std::string name, Duration duration) { return {*run_, SleepRequest{std::move(name), duration}}; }
  // Any time of the system clock; fractions of a millisecond round up. A time that has passed returns at once.
  template <class TimeUnit>
  Sleep sleep_until(std::string name, std::chrono::sys_time<TimeUnit> time) {
    return {*run_, SleepRequest{std::move(name), std::chrono::ceil<Millis>(time)}};
  }

  // Throws WaitTimeoutError when no event has come in time.
  template <class T>
  Wait<T> wait_for_event(std::string name, std::string type, WaitOptions options = {}) {
    return {*run_, WaitRequest{std::move(name), std::move(type), options.timeout}};
  }

  // The code runs over what it did before. For what should happen once only, use a step.
  bool replaying() const;
  // To the logger "workflows"; silent while replaying.
  void log(std::string_view message) const;

 private:
  template <class... Parts, class Body>
  auto declare(std::string name, Depends<Parts...> on, const StepOptions& options, Body body) {
    using Node = detail::TypedStep<Body, Parts...>;
    auto node = std::make_shared<Node>(*run_, std::move(name), options, std::move(on.parts), std::move(body));
    detail::declare(*node);
    return DeclaredStep<typename Node::Result>(std::move(node));
  }

  detail::Run* run_;
};

// ---------------------------------------------------------------- when_all

namespace detail {

template <class R>
TypedStepCall<R> part(const DeclaredStep<R>& step) {
  return TypedStepCall<R>(step.node());
}
template <class R>
void part(const DeclaredStep<R>&& step) = delete;
inline Sleep part(Sleep&& sleep) { return std::move(sleep); }
template <class T>
Wait<T> part(Wait<T>&& wait) {
  return std::move(wait);
}
template <class T>
Workflow<T> part(Workflow<T>&& workflow) {
  return std::move(workflow);
}

template <class T>
concept Joinable = requires(T&& awaitable) { part(std::forward<T>(awaitable)); };

template <class Part>
auto result_of(Part& part) {
  if constexpr (std::is_void_v<decltype(part.result())>) {
    part.result();
    return std::monostate();
  } else {
    return part.result();
  }
}

template <class... Parts>
class WhenAll {
 public:
  explicit WhenAll(Parts&&... parts) : parts_(std::move(parts)...) {}

  bool await_ready() {
    std::apply([](auto&... part) { (part.begin(), ...); }, parts_);
    return std::apply([](auto&... part) { return (part.done() && ...); }, parts_);
  }
  void await_suspend(std::coroutine_handle<> code) noexcept {
    waiter_ = {code, 0};
    std::apply([this](auto&... part) { (this->join(part), ...); }, parts_);
  }
  auto await_resume() {
    return std::apply([](auto&... part) { return std::tuple{result_of(part)...}; }, parts_);
  }

 private:
  void join(auto& part) noexcept {
    if (part.done()) return;
    ++waiter_.remaining;
    part.await_by(waiter_);
  }

  std::tuple<Parts...> parts_;
  Waiter waiter_;
};

template <class Part>
class WhenAllOf {
 public:
  explicit WhenAllOf(std::vector<Part> parts) : parts_(std::move(parts)) {}

  bool await_ready() {
    bool done = true;
    for (auto& part : parts_) part.begin();
    for (auto& part : parts_) done = done && part.done();
    return done;
  }
  void await_suspend(std::coroutine_handle<> code) noexcept {
    waiter_ = {code, 0};
    for (auto& part : parts_) {
      if (part.done()) continue;
      ++waiter_.remaining;
      part.await_by(waiter_);
    }
  }
  auto await_resume() {
    std::vector<decltype(result_of(parts_.front()))> results;
    results.reserve(parts_.size());
    for (auto& part : parts_) results.push_back(result_of(part));
    return results;
  }

 private:
  std::vector<Part> parts_;
  Waiter waiter_;
};

}  // namespace detail

// Awaits several things at the same time: declared steps (lvalues), sleeps, waits, workflows. Gives a tuple of their
// results, std::monostate for void. Goes on when all have ended; if some failed, it throws what the first of them, in
// the order given here, threw.
template <class... Awaitables>
  requires(detail::Joinable<Awaitables> && ...)
auto when_all(Awaitables&&... awaitables) {
  return detail::WhenAll<decltype(detail::part(std::forward<Awaitables>(awaitables)))...>(
      detail::part(std::forward<Awaitables>(awaitables))...);
}

// The same for any number of one kind: a vector of their results.
template <class R>
auto when_all(const std::vector<DeclaredStep<R>>& steps) {
  std::vector<detail::TypedStepCall<R>> parts;
  parts.reserve(steps.size());
  for (const auto& step : steps) parts.push_back(detail::part(step));
  return detail::WhenAllOf<detail::TypedStepCall<R>>(std::move(parts));
}
template <class T>
auto when_all(std::vector<Workflow<T>> branches) {
  return detail::WhenAllOf<Workflow<T>>(std::move(branches));
}

}  // namespace workflows
