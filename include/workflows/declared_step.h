#pragma once
// What the verbs of a Step (step.h) return, to be awaited: declared steps, sleeps and waits.
//
// Threads: all of it belongs to the engine's loop, except step bodies, which run on threads of the engine's pool.

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <workflows/codec.h>
#include <workflows/config.h>
#include <workflows/error.h>
#include <workflows/event.h>
#include <workflows/failure.h>
#include <workflows/rollback.h>
#include <workflows/step_context.h>
#include <workflows/step_failure.h>
#include <workflows/step_options.h>
#include <workflows/step_request.h>
#include <workflows/workflow.h>

namespace workflows {

// ---------------------------------------------------------------- machinery

namespace detail {

class Run;
class StepNode;
struct Attempt;
struct Operation;

// Several things of which the first to end decides. Stays where it is until it is over.
struct Race {
  std::vector<Operation*> racers{};
  std::optional<std::size_t> winner{};
  std::coroutine_handle<> code{};  // goes on when it is over
};

// One thing asked of the instance: a run of a declared step, a sleep or a wait. Stays where it is from the asking until
// its end was handed over.
struct Operation {
  using End = std::variant<std::monostate, Value, Failure, Received, Error>;

  bool done() const noexcept { return end.index() != 0; }
  bool failed() const noexcept { return std::holds_alternative<Failure>(end) || std::holds_alternative<Error>(end); }

  StepNode* step = nullptr;  // null: a sleep or a wait
  Waiter* waiter = nullptr;
  Race* race = nullptr;  // that awaits it
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
  struct Declaration {
    Run& run;
    std::string name;
    const StepOptions& options;
    std::vector<std::shared_ptr<StepNode>> depends;
    std::source_location place;
    std::optional<RollbackOptions> rollback;
  };
  struct Compensation {
    RollbackConfig config;
    RetryDelay::Function delay;
  };

  StepNode(Declaration declaration, bool takes_context);
  virtual ~StepNode() = default;
  StepNode(const StepNode&) = delete;
  StepNode& operator=(const StepNode&) = delete;

  // On a thread of the pool: the result as JSON, or what the body throws. `context` is null unless the body takes it.
  virtual std::string run_body(StepContext* context) = 0;
  // The same for its rollback, if it has one; `output` is JSON, or null.
  virtual void run_rollback(const StepContext& context, const Failure& error, const std::string* output) = 0;

  // The first run's result as JSON, once it has completed.
  const std::string& value() const { return std::get<Value>(first.end).json; }

  Run& run;
  const std::string name;
  const StepConfig config;
  const RetryDelay::Function delay;
  const std::uint32_t max_concurrency;
  const std::vector<std::shared_ptr<StepNode>> depends;
  const std::source_location place;
  const std::optional<Compensation> rollback;
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
  Operation& operation() noexcept { return *operation_; }
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
  Operation& operation() noexcept { return call_.operation(); }
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
  Pause(Run& run, Request request, std::source_location place)
      : run_(&run), request_(std::move(request)), place_(place) {}

  void begin();
  bool done() const noexcept { return operation_.done(); }
  void await_by(Waiter& waiter) noexcept { operation_.waiter = &waiter; }
  Operation& operation() noexcept { return operation_; }

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
  std::source_location place_;
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

// A rollback function, called with what it takes.
template <class R, class Function>
void call_rollback(Function& function, const StepContext& context, const Failure& error, const std::string* output) {
  if constexpr (std::is_invocable_v<Function&>) {
    function();
  } else {
    using Context = RollbackContext<R>;
    static_assert(std::is_invocable_v<Function&, const Context&>,
                  "a rollback function takes const RollbackContext<R>&, where R is what the step returns, or nothing");
    std::optional<typename Context::Output> result;
    if constexpr (std::is_void_v<R>) {
      if (output != nullptr) result.emplace();
    } else {
      if (output != nullptr) result = Codec<R>::decode(*output);
    }
    function(Context(context, error, std::move(result)));
  }
}

template <class Body, class Undo, class... Parts>
class TypedStep final : public StepNode {
 public:
  using Arguments = decltype(std::tuple_cat(std::declval<const Parts&>().arguments()...));
  using Traits = BodyTraits<Body, Arguments>;
  using Result = typename Traits::Result;

  TypedStep(Declaration declaration, std::tuple<Parts...> parts, Body body, Undo undo)
      : StepNode(std::move(declaration), Traits::takes_context),
        parts_(std::move(parts)),
        body_(std::move(body)),
        undo_(std::move(undo)) {}

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

  void run_rollback([[maybe_unused]] const StepContext& context, [[maybe_unused]] const Failure& error,
                    [[maybe_unused]] const std::string* output) override {
    if constexpr (!std::is_same_v<Undo, NoRollback>) call_rollback<Result>(undo_.function, context, error, output);
  }

 private:
  std::tuple<Parts...> parts_;
  Body body_;
  [[no_unique_address]] Undo undo_;
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

}  // namespace workflows
