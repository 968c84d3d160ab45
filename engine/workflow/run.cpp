#include "engine/workflow/run.h"

#include <algorithm>
#include <new>
#include <random>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>

#include "engine/workflow/exceptions.h"
#include "engine/workflow/loop.h"

namespace workflows::detail {
namespace {

// What a step that depends on `failed` fails with. Its cause is what went wrong first.
Failure dependency_failure(const StepNode& step, const StepNode& failed, const Failure& reason) {
  const bool handed_on = reason.type == "DependencyError" && reason.cause;
  const Failure& origin = handed_on ? *reason.cause : reason;
  Failure failure;
  failure.type = "DependencyError";
  failure.message = fmt::format("step '{}' did not run, because step '{}', which it depends on, failed: {}", step.name,
                                failed.name, describe(origin));
  failure.retryable = false;
  failure.cause = std::make_shared<const Failure>(origin);
  return failure;
}

// Why no delay could be had (S11); `original` is the failure that it was asked for.
Failure delay_failure(const StepNode& step, std::string_view why, const Failure& original) {
  Failure failure;
  failure.type = "StepError";
  failure.message =
      fmt::format("the delay function of step '{}' {}; the step is not tried again. It had failed with {}", step.name,
                  why, describe(original));
  failure.retryable = false;
  failure.cause = std::make_shared<const Failure>(original);
  return failure;
}

bool is_running(const Operation& operation) { return operation.begun && !operation.done(); }

// Something that `step` depends on, near or far, was started and has not ended.
bool dependencies_run(const StepNode& step) {
  std::unordered_set<const StepNode*> seen;
  std::vector<const StepNode*> open = {&step};
  while (!open.empty()) {
    const StepNode* next = open.back();
    open.pop_back();
    for (const auto& dependency : next->depends) {
      if (!seen.insert(dependency.get()).second) continue;
      if (is_running(dependency->first)) return true;
      open.push_back(dependency.get());
    }
  }
  return false;
}

double random_share() {
  std::random_device device;
  return std::generate_canonical<double, 53>(device);
}

std::string random_uuid() { return boost::uuids::to_string(boost::uuids::random_generator()()); }

}  // namespace

Run::Run(Loop& loop, StartInstance start)
    : loop_(loop),
      instance_(start.instance),
      event_{.workflow_name = std::move(start.workflow),
             .instance_id = std::move(start.id),
             .timestamp = start.created,
             .params = std::move(start.params)},
      step_(*this) {}

Run::~Run() {
  if (root_.frame) root_.frame.destroy();
}

void Run::start(const WorkflowFunction& code) {
  try {
    root_ = code(event_, step_);
  } catch (const std::bad_alloc&) {
    return loop_.memory_ran_out();
  } catch (...) {  // a plain function that threw before it had a Workflow to return
    return finish(to_failure(std::current_exception()));
  }
  resume(root_.frame);
}

void Run::resume(std::coroutine_handle<> code) {
  code.resume();
  if (finished_ || !root_.frame.done()) return;
  try {
    finish(Value{root_.promise->encode_result()});
  } catch (const std::bad_alloc&) {  // tells nothing about the workflow: it will run again
    loop_.memory_ran_out();
  } catch (...) { finish(to_failure(std::current_exception())); }
}

void Run::finish(BodyOutcome outcome) {
  finished_ = true;
  loop_.host().finish(instance_, std::move(outcome));
}

void Run::retire() {
  retired_ = true;
  held_.clear();
  for (Operation* operation : asked_) {
    if (operation == nullptr) continue;
    operation->next_attempt = 0;
    if (operation->running != nullptr) operation->running->cancel();
  }
}

bool Run::replaying() const { return loop_.host().replaying(instance_); }

void Run::log(std::string_view message) const {
  if (!replaying()) loop_.log().info("{}/{}: {}", event_.workflow_name, event_.instance_id, message);
}

// ---------------------------------------------------------------- declared steps

void Run::declare(StepNode& step) {
  check_step_name(step.name);
  step.config.check();
  if (step.rollback) step.rollback->config.step.check();
  if (step.depends.empty()) return;  // it joins the graph when something depends on it
  std::vector<NodeId> depends;
  for (const auto& dependency : step.depends) {
    if (&dependency->run != this) {
      throw DependencyError(fmt::format("step '{}' depends on step '{}' of another instance; declare both in one run",
                                        step.name, dependency->name));
    }
    join_graph(*dependency);
    depends.push_back(*dependency->first.node);
  }
  join_graph(step);
  loop_.host().connect(instance_, *step.first.node, depends);
}

void Run::join_graph(StepNode& step) {
  if (step.first.node) return;
  const NodeId id = loop_.host().declare(instance_, step.name);
  put_node(id, step, nullptr);
  // It was awaited before it was part of the graph: that await was its first direct call.
  if (step.first.begun) loop_.host().call_node(instance_, id, 0, false);
}

void Run::put_node(NodeId id, StepNode& step, std::unique_ptr<Operation> further) {
  if (graph_.size() <= id) graph_.resize(id + std::size_t{1});
  graph_[id] = {step.shared_from_this(), std::move(further)};
  graph_[id].operation().node = id;
}

Operation& Run::call(StepNode& step, std::unique_ptr<Operation>& own) {
  if (!step.first.node) {
    if (step.first.begun) own = std::make_unique<Operation>(Operation{.step = &step});
    Operation& operation = own ? *own : step.first;
    begin(operation);
    return operation;
  }
  const NodeId id = loop_.host().call_node(instance_, *step.first.node, step.max_concurrency, false);
  if (graph_.size() <= id || !graph_[id].step) {
    put_node(id, step, std::make_unique<Operation>(Operation{.step = &step}));
  }
  return graph_[id].operation();
}

void Run::start_node(NodeId id, std::optional<NodeId> failed_dependency) {
  Operation& operation = graph_.at(id).operation();
  operation.node_started = true;
  if (operation.begun) {
    if (operation.done()) loop_.host().node_finished(instance_, id, !operation.failed());
  } else if (failed_dependency) {
    operation.failed_dependency = graph_.at(*failed_dependency).step.get();
    failing_.push_back(&operation);
    begin_failed();
  } else {
    begin(operation);
  }
}

void Run::begin_failed() {
  while (true) {
    const auto ready =
        std::ranges::find_if(failing_, [](const Operation* failing) { return !dependencies_run(*failing->step); });
    if (ready == failing_.end()) return;
    Operation& operation = **ready;
    failing_.erase(ready);
    fail(operation);
  }
}

// ---------------------------------------------------------------- asking

template <class Ask>
void Run::ask(Operation& operation, Ask verb) {
  try {
    ask_host(operation, verb);
  } catch (const std::bad_alloc&) { loop_.memory_ran_out(); }  // the code stays where it is
}

template <class Ask>
void Run::ask_host(Operation& operation, Ask& verb) {
  operation.begun = true;
  Asked answer;
  try {
    answer = verb(loop_.host());
  } catch (const WorkflowsError& error) {
    // The code stays where it is: it will run again elsewhere, or its end is about to be told.
    const bool goes_on = !is_fatal(error.code()) && error.code() != ErrorCode::instance_finished;
    if (goes_on) conclude(operation, Error{error.code(), error.what()});
    return;
  }
  operation.ticket = answer.ticket;
  if (operation.step != nullptr && operation.step->rollback) {
    compensable_.emplace(answer.ticket, operation.step->shared_from_this());
  }
  if (asked_.size() <= answer.ticket) asked_.resize(answer.ticket + std::size_t{1});
  if (answer.state == Asked::State::resolved) {
    return std::visit([&](auto& outcome) { conclude(operation, std::move(outcome)); }, *answer.outcome);
  }
  asked_[answer.ticket] = &operation;
  if (answer.state == Asked::State::run) launch(operation, answer.attempt);
}

DoRequest Run::request_of(const StepNode& step) const {
  DoRequest request{.name = step.name, .config = step.config, .source = loop_.sources().at(step.place)};
  if (step.rollback) request.rollback = step.rollback->config;
  for (const auto& dependency : step.depends) {
    if (dependency->first.ticket) request.depends.push_back(*dependency->first.ticket);
  }
  return request;
}

void Run::begin(Operation& operation) {
  ask(operation, [&](Host& host) { return host.do_(instance_, request_of(*operation.step)); });
}

void Run::fail(Operation& operation) {
  const StepNode& failed = *operation.failed_dependency;
  if (const auto* error = std::get_if<Error>(&failed.first.end)) {  // it was never recorded
    operation.begun = true;
    return conclude(operation, *error);
  }
  Failure failure = dependency_failure(*operation.step, failed, std::get<Failure>(failed.first.end));
  ask(operation,
      [&](Host& host) { return host.do_failed(instance_, request_of(*operation.step), std::move(failure)); });
}

void Run::pause(Operation& operation, Pause::Request request, const std::source_location& place) {
  std::visit([&](auto& what) { what.source = loop_.sources().at(place); }, request);
  ask(operation, [&](Host& host) {
    if (auto* sleep = std::get_if<SleepRequest>(&request)) return host.sleep(instance_, std::move(*sleep));
    return host.wait_for_event(instance_, std::move(std::get<WaitRequest>(request)));
  });
}

// ---------------------------------------------------------------- values from outside

Value Run::value(std::string name, std::string json, const std::source_location& place) {
  return loop_.host().value(instance_,
                            {.name = std::move(name), .value = {std::move(json)}, .source = loop_.sources().at(place)});
}

TimePoint Run::now(const std::source_location& place) {
  const Value ms = value("now", to_json(loop_.host().now().time_since_epoch().count()), place);
  return TimePoint(Millis(Codec<Millis::rep>::decode(ms.json)));
}

double Run::random(const std::source_location& place) {
  return Codec<double>::decode(value("random", to_json(random_share()), place).json);
}

std::string Run::uuid4(const std::source_location& place) {
  return Codec<std::string>::decode(value("uuid4", to_json(random_uuid()), place).json);
}

bool Run::patched(std::string_view id, const std::source_location& place) {
  return loop_.host().patched(instance_, std::string(id), loop_.sources().at(place));
}

// ---------------------------------------------------------------- outcomes

void Run::resolve(Ticket ticket, Outcome&& outcome) {
  Operation* operation = find(ticket);
  if (retired_ || operation == nullptr) return;
  if (operation->running != nullptr) warn_of_deaf_body(*operation);
  if (operation->race != nullptr) win(*operation);
  if (held_.empty() && !is_blocked(*operation)) return deliver(*operation, std::move(outcome));
  held_.push_back({.ticket = ticket, .outcome = std::move(outcome)});
}

void Run::deliver_held() {
  while (!held_.empty() && !retired_) {
    const Race* race = held_.front().race;
    if (race != nullptr ? !is_at_rest(*race) : is_blocked(*find(held_.front().ticket))) return;
    Held next = std::move(held_.front());
    held_.pop_front();
    if (next.race != nullptr) {
      go_on(*next.race);
    } else {
      deliver(*find(next.ticket), std::move(next.outcome));
    }
  }
}

void Run::deliver(Operation& operation, Outcome&& outcome) {
  asked_[*operation.ticket] = nullptr;
  std::visit([&](auto& value) { conclude(operation, std::move(value)); }, outcome);
}

void Run::conclude(Operation& operation, Operation::End&& end) {
  operation.end = std::move(end);
  Waiter* waiter = operation.waiter;
  if (operation.node_started) loop_.host().node_finished(instance_, *operation.node, !operation.failed());
  if (!failing_.empty()) begin_failed();
  if (operation.race != nullptr) {
    win(operation);
    return go_on(*operation.race);
  }
  if (waiter != nullptr) resume(waiter->one_ended());
}

// ---------------------------------------------------------------- bodies

void Attempt::beat(std::string details) {
  if (!heartbeats) heartbeats = std::make_shared<Heartbeats>();
  {
    const values::MutexLock lock(heartbeats->mutex);
    if (std::exchange(heartbeats->latest, std::move(details))) return;  // the loop is about to look
  }
  run.hear(*this);
}

void Run::hear(const Attempt& attempt) const {
  loop_.post([&loop = loop_, instance = instance_, ticket = *attempt.operation.ticket, number = attempt.number,
              heartbeats = attempt.heartbeats] {
    if (auto details = heartbeats->take()) loop.host().heartbeat(instance, ticket, number, {std::move(*details)});
  });
}

void Run::run_body(Ticket ticket, std::uint32_t attempt) {
  Operation* operation = find(ticket);
  if (retired_) return;
  if (lost_.contains(ticket) || (operation != nullptr && has_lost(*operation))) return answer_for_lost(ticket, attempt);
  if (operation == nullptr) return;
  if (operation->running == nullptr) return launch(*operation, attempt);
  operation->next_attempt = attempt;  // never two at a time (S43)
  warn_of_deaf_body(*operation);
}

void Run::cancel_body(Ticket ticket, std::uint32_t attempt) {
  Operation* operation = find(ticket);
  if (operation == nullptr) return;
  if (rollback_to_begin_ && rollback_to_begin_->ticket == ticket) rollback_to_begin_.reset();
  if (operation->next_attempt == attempt) {
    operation->next_attempt = 0;
  } else if (operation->running != nullptr) {
    operation->running->cancel();
  }
}

// What waits for an attempt before it that does not end, has no time beyond its own: the step is not to hang for good.
void Run::attempt_due(const AttemptDue& due) {
  const Operation* operation = find(due.ticket);
  const Attempt* attempt = operation == nullptr ? nullptr : operation->running;
  std::optional<TimePoint> began = due.since;
  if (attempt != nullptr && attempt->number == due.attempt) {
    began = attempt->began;
    if (began == Attempt::kNotYet) began.reset();
  }
  loop_.host().attempt_due(instance_, due.ticket, due.attempt, began);
}

void Run::choose_delay(Ticket ticket, std::uint32_t number, Failure failure) {
  Operation* operation = find(ticket);
  if (!retired_ && lost_.contains(ticket)) return loop_.host().delay_chosen(instance_, ticket, number, failure);
  if (retired_ || operation == nullptr) return;
  auto attempt = std::make_unique<Attempt>(*this, *operation, number);
  attempt->delay_chosen = std::make_shared<bool>(false);
  attempt->delay = undos_.contains(ticket) ? &operation->step->rollback->delay : &operation->step->delay;
  attempt->failed = std::make_unique<const Failure>(std::move(failure));
  launch(std::move(attempt));
}

void Run::time_delay(const Attempt& attempt) {
  loop_.post([this, &attempt, chosen = attempt.delay_chosen] {
    if (*chosen) return;  // and the attempt is gone, perhaps the run
    loop_.when_delay_is_late([this, &attempt, chosen] {
      if (std::exchange(*chosen, true)) return;
      loop_.host().delay_chosen(instance_, *attempt.operation.ticket, attempt.number,
                                delay_failure(*attempt.operation.step, "took longer than 5 seconds", *attempt.failed));
    });
  });
}

void Run::launch(Operation& operation, std::uint32_t number) {
  auto attempt = std::make_unique<Attempt>(*this, operation, number);
  if (operation.step->takes_context) give_context(*attempt);
  launch(std::move(attempt));
}

void Run::give_context(Attempt& attempt) const {
  const Host& host = loop_.host();
  const Ticket ticket = *attempt.operation.ticket;
  attempt.stop = std::stop_source();
  AttemptFacts facts{.name = attempt.operation.step->name,
                     .count = host.occurrence(instance_, ticket),
                     .attempt = attempt.number,
                     .config = host.step_config(instance_, ticket),
                     .idempotency_key = host.idempotency_key(instance_, ticket),
                     .stop = attempt.stop.get_token(),
                     .heartbeat = [&attempt](std::string details) { attempt.beat(std::move(details)); }};
  if (auto last = host.last_heartbeat(instance_, ticket)) facts.last_heartbeat = std::move(last->json);
  attempt.context = std::make_unique<StepContext>(std::move(facts));
}

void Run::launch(std::unique_ptr<Attempt> attempt) {
  ++bodies_;
  attempt->operation.running = attempt.get();
  loop_.bodies().start(std::move(attempt));
}

void Run::body_ended(Attempt& attempt) {
  --bodies_;
  attempt.operation.running = nullptr;
  if (attempt.delay_chosen) {
    report_delay(attempt);
  } else {
    report(attempt);
  }
  if (retired_) return;
  if (attempt.operation.next_attempt != 0) launch(attempt.operation, std::exchange(attempt.operation.next_attempt, 0));
  deliver_held();
  begin_rollback();
}

void Run::report(Attempt& attempt) {
  const Ticket ticket = *attempt.operation.ticket;
  if (attempt.heartbeats) report_heartbeat(attempt);
  // What a body does that was told to stop because the engine closes tells nothing about the step.
  const bool cut_short = retired_ && attempt.context != nullptr;
  if (auto* value = std::get_if<Value>(&attempt.outcome); value && !cut_short) {
    loop_.host().body_finished(instance_, ticket, attempt.number, std::move(*value));
  } else if (auto* failure = std::get_if<std::unique_ptr<Failure>>(&attempt.outcome); failure && !retired_) {
    if (has_lost(attempt.operation)) (*failure)->retryable = false;
    loop_.host().body_finished(instance_, ticket, attempt.number, std::move(**failure));
  }
}

// The last one may not have been heard yet; it is for the attempt that follows.
void Run::report_heartbeat(Attempt& attempt) {
  if (auto details = attempt.heartbeats->take()) {
    loop_.host().heartbeat(instance_, *attempt.operation.ticket, attempt.number, {std::move(*details)});
  }
}

void Run::report_delay(Attempt& attempt) {
  if (std::exchange(*attempt.delay_chosen, true) || retired_) return;
  const StepNode& step = *attempt.operation.step;
  std::variant<Duration, Failure> answer = Duration(Millis(0));
  if (const auto* failure = std::get_if<std::unique_ptr<Failure>>(&attempt.outcome)) {
    answer = delay_failure(step, "threw " + describe(**failure), *attempt.failed);
  } else if (const Duration delay = std::get<Duration>(attempt.outcome);
             delay.millis() < Millis(0) || delay.millis() > kMaxDuration) {
    answer = delay_failure(step, fmt::format("returned {} ms; accepted are 0 to 10 years", delay.millis().count()),
                           *attempt.failed);
  } else {
    answer = delay;
  }
  loop_.host().delay_chosen(instance_, *attempt.operation.ticket, attempt.number, std::move(answer));
}

void Run::warn_of_deaf_body(const Operation& operation) const {
  loop_.log().warn(
      "{}/{}: attempt {} of step '{}' is over, but its body still runs; the workflow goes on when it returns. Let the "
      "body look at StepContext::stop_token",
      event_.workflow_name, event_.instance_id, operation.running->number, operation.step->name);
}

// ---------------------------------------------------------------- rollback

void Run::roll_back(RunRollback action) {
  if (retired_) return;
  rollback_to_begin_ = std::move(action);
  begin_rollback();
}

void Run::begin_rollback() {
  if (!rollback_to_begin_ || !quiet() || retired_) return;
  const RunRollback action = std::move(*rollback_to_begin_);
  rollback_to_begin_.reset();
  Undo* undo = undo_for(action);
  if (undo == nullptr) {
    Failure failure;
    failure.type = "StepError";
    failure.message = "the code of the workflow has no rollback function for this step any more";
    failure.retryable = false;
    return loop_.host().body_finished(instance_, action.ticket, action.attempt, std::move(failure));
  }
  auto attempt = std::make_unique<Attempt>(*this, undo->operation, action.attempt);
  attempt->failed = std::make_unique<const Failure>(undo->error);
  attempt->output = &undo->output;
  give_context(*attempt);
  launch(std::move(attempt));
}

Run::Undo* Run::undo_for(const RunRollback& action) {
  const auto step = compensable_.find(action.of);
  if (step == compensable_.end()) return nullptr;
  auto [undo, is_new] = undos_.try_emplace(action.ticket);
  if (is_new) {
    undo->second = {{.step = step->second.get(), .ticket = action.ticket}, action.error, action.output};
    if (asked_.size() <= action.ticket) asked_.resize(action.ticket + std::size_t{1});
    asked_[action.ticket] = &undo->second.operation;
  }
  return &undo->second;
}

}  // namespace workflows::detail
