#pragma once
// The verbs of workflow code.
//
//   workflows::Workflow<Receipt> checkout(const workflows::Event& event, workflows::Step& step) {
//     auto order  = event.payload<Order>();
//     auto charge = step.do_("charge card", {.retries = {.limit = 3}}, [&] { return charge_card(order); });
//     auto ship   = step.do_("ship", workflows::depends(charge), [&](const Charge& paid) { return send(paid); });
//     auto parcel = co_await ship;  // runs "charge card" first
//
//     co_await step.sleep("cool-down", 30min);
//     auto rating = co_await step.wait_for_event<int>("rating", "rated", {.timeout = "7 days"});
//     co_return Receipt{parcel, rating.payload};
//   }
//
// Declaring a step asks nothing; awaiting it does. An await goes on only when all that it started has ended, so a body
// may capture the function's locals by reference.
//
// Threads: all of it belongs to the engine's loop, except step bodies, which run on threads of the engine's pool.

#include <chrono>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include <workflows/declared_step.h>
#include <workflows/event.h>
#include <workflows/race.h>
#include <workflows/rollback.h>
#include <workflows/when_all.h>

namespace workflows {

// The verbs of a workflow. A verb throws, when awaited and before anything is recorded, InvalidNameError,
// InvalidDurationError, InvalidConfigError or StepLimitError for what was asked wrongly.
class Step {
 public:
  explicit Step(detail::Run& run) noexcept : run_(&run) {}
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  using Place = std::source_location;  // where in the source: recorded, for reports

  // Awaited, it gives what the body returns, or throws: StepFailure for what the body threw, StepTimeoutError,
  // SerializationError, PayloadTooLargeError, NonRetryableError, DependencyError. `undo`: see rollback.h.
  template <class Body, detail::MaybeRollback Undo = NoRollback>
  auto do_(std::string name, Body body, Undo undo = {}, Place place = Place::current()) {
    return declare(std::move(name), Depends<>{}, StepOptions{}, std::move(body), std::move(undo), place);
  }
  template <class Body, detail::MaybeRollback Undo = NoRollback>
  auto do_(std::string name, const StepOptions& options, Body body, Undo undo = {}, Place place = Place::current()) {
    return declare(std::move(name), Depends<>{}, options, std::move(body), std::move(undo), place);
  }
  template <class... Parts, class Body, detail::MaybeRollback Undo = NoRollback>
  auto do_(std::string name, Depends<Parts...> on, Body body, Undo undo = {}, Place place = Place::current()) {
    return declare(std::move(name), std::move(on), StepOptions{}, std::move(body), std::move(undo), place);
  }
  template <class... Parts, class Body, detail::MaybeRollback Undo = NoRollback>
  auto do_(std::string name, Depends<Parts...> on, const StepOptions& options, Body body, Undo undo = {},
           Place place = Place::current()) {
    return declare(std::move(name), std::move(on), options, std::move(body), std::move(undo), place);
  }

  Sleep sleep(std::string name, Duration duration, Place place = Place::current()) {
    return {*run_, SleepRequest{std::move(name), duration}, place};
  }
  // Any time of the system clock; fractions of a millisecond round up. A time that has passed returns at once.
  template <class TimeUnit>
  Sleep sleep_until(std::string name, std::chrono::sys_time<TimeUnit> time, Place place = Place::current()) {
    return {*run_, SleepRequest{std::move(name), std::chrono::ceil<Millis>(time)}, place};
  }

  // Throws WaitTimeoutError when no event has come in time.
  template <class T>
  Wait<T> wait_for_event(std::string name, std::string type, WaitOptions options = {}, Place place = Place::current()) {
    return {*run_, WaitRequest{std::move(name), std::move(type), options.timeout}, place};
  }

  // Awaits several declared steps (lvalues), sleeps or waits, and gives the result of the first that ends, as a variant
  // whose index says which (std::monostate for void), or throws what it failed with. Which one it was is recorded.
  //
  //   auto first = co_await step.race(charge, step.sleep("patience", 30s));
  //   if (first.index() == 1) ...  // too slow
  //
  // The others are left alone: their outcomes are recorded, but reach nobody; a sleep or wait goes on, so such a wait
  // still takes the next event of its type. A body that runs is asked to stop, and the code goes on only when it has
  // returned, so that bodies may capture locals by reference; what it throws then is final. A step that depends on
  // others, or that others depend on, is not left: the race is over when it has ended too.
  template <class... Racers>
    requires(detail::Racing<Racers> && ...)
  auto race(Racers&&... racers) {
    return detail::RaceOf<decltype(detail::part(std::forward<Racers>(racers)))...>(
        *run_, detail::part(std::forward<Racers>(racers))...);
  }

  // Recorded, and the same on every replay. Each counts as a step of kind `value`.
  TimePoint now(Place place = Place::current());
  double random(Place place = Place::current());      // in [0, 1)
  std::string uuid4(Place place = Place::current());  // "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"

  // For code that changes while instances run (S40): true for an instance that had not passed this point when the
  // change came, and then for ever; false for one that had. InvalidNameError.
  //
  //   if (step.patched("check the address first")) co_await check;
  bool patched(std::string_view id, Place place = Place::current());

  // The code runs over what it did before. For what should happen once only, use a step.
  bool replaying() const;
  // To the logger "workflows"; silent while replaying.
  void log(std::string_view message) const;

 private:
  template <class... Parts, class Body, class Undo>
  auto declare(std::string name, Depends<Parts...> on, const StepOptions& options, Body body, Undo undo, Place place) {
    using Node = detail::TypedStep<Body, Undo, Parts...>;
    detail::StepNode::Declaration declaration{.run = *run_,
                                              .name = std::move(name),
                                              .options = options,
                                              .depends = detail::nodes_of(on.parts),
                                              .place = place,
                                              .rollback = detail::plan_of(undo)};
    auto node = std::make_shared<Node>(std::move(declaration), std::move(on.parts), std::move(body), std::move(undo));
    detail::declare(*node);
    return DeclaredStep<typename Node::Result>(std::move(node));
  }

  detail::Run* run_;
};

}  // namespace workflows
