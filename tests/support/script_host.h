#pragma once
// A host whose workflow code is a list of operations: the smallest user of include/workflows/host.h. Bodies end at once
// with a given value, unless the test ends them itself.

#include <poll.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <workflows/host.h>

namespace workflows::testing {

struct Op {
  enum class Kind { do_, sleep, wait } kind;
  std::string name;
  std::string argument{};  // do: the body's result; wait: the event type
  Duration duration = std::chrono::milliseconds(0);
  StepConfig config{};
};
using Program = std::vector<Op>;

inline Op do_op(std::string name, std::string result = "1") {
  return {Op::Kind::do_, std::move(name), std::move(result)};
}
inline Op sleep_op(std::string name, Duration duration) { return {Op::Kind::sleep, std::move(name), {}, duration}; }
inline Op wait_op(std::string name, std::string type) {
  return {Op::Kind::wait, std::move(name), std::move(type), std::chrono::hours(24)};
}

class ScriptHost {
 public:
  ScriptHost(HostOptions options, std::map<std::string, Program> programs)
      : programs_(std::move(programs)), host_(with_workflows(std::move(options), programs_)) {}

  Host& host() { return host_; }

  // Carries out everything that can be done without waiting.
  void turn() {
    for (auto actions = host_.poll(); !actions.empty(); actions = host_.poll()) {
      for (Action& action : actions) {
        std::visit([this](auto& a) { handle(a); }, action);
      }
    }
  }

  // Turns until `done`; throws after ten seconds, so that a bug fails a test instead of hanging it.
  void run_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (turn(); !done(); turn()) {
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error("ScriptHost: nothing more happens");
      pollfd fd{host_.fd(), POLLIN, 0};
      ::poll(&fd, 1, 100);
    }
  }

  InstanceRef create(const std::string& workflow, const std::string& id) {
    return std::get<InstanceRef>(reply(host_.create({.workflow = workflow, .id = id})));
  }
  InstanceStatus result(InstanceKey instance) { return std::get<InstanceStatus>(reply(host_.watch(instance))); }
  decltype(CallReply::result) reply(CallId call) {
    run_until([&] { return replies_.contains(call); });
    return replies_.extract(call).mapped();
  }

  // --- what happened
  std::map<std::string, int> bodies;  // runs by step name
  int finished = 0;                   // runs whose code has ended
  std::map<InstanceKey, InstanceStatus> ended;
  std::map<InstanceKey, int> starts;  // StartInstance actions, replays included
  std::vector<InstanceKey> evictions;
  std::vector<Ticket> rollbacks{};
  std::vector<LogRecord> logs;
  std::optional<Error> stopped;
  bool hold_bodies = false;  // bodies stay open

  void forget_what_happened() {
    bodies.clear();
    ended.clear();
    starts.clear();
    evictions = {};
    logs = {};
    replies_.clear();
  }

 private:
  struct Run {
    const Program* program;
    std::size_t next = 0;
    Ticket awaited = 0;
    std::string output = "[";
  };

  static HostOptions with_workflows(HostOptions options, const std::map<std::string, Program>& programs) {
    for (const auto& [name, program] : programs) options.workflows.push_back({name, "1"});
    return options;
  }

  void go_on(InstanceKey instance) {
    Run& run = runs_.at(instance);
    while (run.next < run.program->size()) {
      const Op& op = (*run.program)[run.next];
      const Asked asked = ask(instance, op);
      run.awaited = asked.ticket;
      if (asked.state == Asked::State::run) run_body(instance, asked.ticket, asked.attempt);
      if (asked.state != Asked::State::resolved) return;
      take(run, *asked.outcome);
    }
    run.output.back() = run.output.size() == 1 ? '[' : ' ';
    ++finished;
    host_.finish(instance, Value{run.output + "]"});
  }

  Asked ask(InstanceKey instance, const Op& op) {
    switch (op.kind) {
      case Op::Kind::do_:
        return host_.do_(instance, {.name = op.name, .config = op.config});
      case Op::Kind::sleep:
        return host_.sleep(instance, {.name = op.name, .until = op.duration});
      case Op::Kind::wait:
        return host_.wait_for_event(instance, {.name = op.name, .type = op.argument, .timeout = op.duration});
    }
    throw std::logic_error("unknown op");
  }

  static void take(Run& run, const Outcome& outcome) {
    if (const auto* value = std::get_if<Value>(&outcome)) run.output += value->json;
    if (const auto* event = std::get_if<Received>(&outcome)) run.output += event->payload;
    if (const auto* failure = std::get_if<Failure>(&outcome)) run.output += '"' + failure->type + '"';
    run.output += ',';
    ++run.next;
  }

  void run_body(InstanceKey instance, Ticket ticket, std::uint32_t attempt) {
    const Op& op = (*runs_.at(instance).program)[runs_.at(instance).next];
    ++bodies[op.name];
    if (!hold_bodies) host_.body_finished(instance, ticket, attempt, Value{op.argument});
  }

  void handle(StartInstance& start) {
    ++starts[start.instance];
    runs_[start.instance] = Run{.program = &programs_.at(start.workflow)};
    go_on(start.instance);
  }
  void handle(ResolveStep& resolve) {
    take(runs_.at(resolve.instance), resolve.outcome);
    go_on(resolve.instance);
  }
  void handle(RunStepBody& run) { run_body(run.instance, run.ticket, run.attempt); }
  void handle(CancelStepBody&) {}
  void handle(AttemptDue& due) { host_.attempt_due(due.instance, due.ticket, due.attempt, due.since); }
  void handle(ChooseRetryDelay&) {}
  void handle(StartNode&) {}
  void handle(EvictInstance& evict) {
    evictions.push_back(evict.instance);
    runs_.erase(evict.instance);
    host_.evicted(evict.instance);
  }
  void handle(InstanceEnded& end) {
    runs_.erase(end.instance);
    ended[end.instance] = std::move(end.status);
  }
  void handle(CallReply& call) { replies_[call.call] = std::move(call.result); }
  void handle(LogRecord& log) { logs.push_back(std::move(log)); }
  void handle(EngineStopped& stop) { stopped = std::move(stop.error); }
  void handle(RunRollback& rollback) {
    rollbacks.push_back(rollback.ticket);
    host_.body_finished(rollback.instance, rollback.ticket, rollback.attempt, Value{"null"});
  }

  std::map<std::string, Program> programs_;
  std::map<InstanceKey, Run> runs_;
  std::map<CallId, decltype(CallReply::result)> replies_;
  Host host_;
};

}  // namespace workflows::testing
