#pragma once
// One instance in memory: the frames of its code, what they asked for and wait for, its graph of declared steps.
// Lives on the loop's thread.
//
// Code goes on only when no body that it started can still use its locals. Hence: an outcome waits for the body of its
// step to return, and so do all later outcomes of the instance, for replay delivers them in the same order; a step
// whose dependency failed waits for its other dependencies to end; frames are destroyed when no body runs;
// a rollback begins when no body runs, for one that does may be at work on what is to be undone.

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <workflows/engine.h>
#include <workflows/host.h>
#include <workflows/step.h>

#include "engine/values/recycled.h"
#include "engine/workflow/bodies.h"

namespace workflows::detail {

class Run : public values::Recycled<Run> {
 public:
  Run(Loop& loop, StartInstance start);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  InstanceKey instance() const { return instance_; }
  const Event& event() const { return event_; }

  void start(const WorkflowFunction& code);
  // From now on no code runs; bodies are asked to stop.
  void retire();
  bool retired() const { return retired_; }
  // No body runs: the frames may be destroyed.
  bool quiet() const { return bodies_ == 0; }
  bool replaying() const;
  // The call that waits for this step; null if none does.
  Operation* find(Ticket ticket) const { return ticket < asked_.size() ? asked_[ticket] : nullptr; }

  // ---- actions
  void resolve(Ticket ticket, Outcome&& outcome);
  void run_body(Ticket ticket, std::uint32_t attempt);
  void cancel_body(Ticket ticket, std::uint32_t attempt);
  void attempt_due(const AttemptDue& due);
  void choose_delay(Ticket ticket, std::uint32_t attempt, Failure failure);
  void start_node(NodeId node, std::optional<NodeId> failed_dependency);
  void roll_back(RunRollback action);
  void body_ended(Attempt& attempt);

  // On the thread of a body: it has given a sign of life; the time of a delay function begins.
  void hear(const Attempt& attempt) const;
  void time_delay(const Attempt& attempt);

  // ---- asked by code
  void declare(StepNode& step);
  // The run of `step` whose end answers this call; `own` keeps it if nothing else does.
  Operation& call(StepNode& step, std::unique_ptr<Operation>& own);
  void pause(Operation& operation, Pause::Request request, const std::source_location& place);
  void log(std::string_view message) const;
  TimePoint now(const std::source_location& place);
  double random(const std::source_location& place);
  std::string uuid4(const std::source_location& place);
  bool patched(std::string_view id, const std::source_location& place);
  bool begin_race(Race& race);
  std::size_t end_race(Race& race);

 private:
  struct Node {
    std::shared_ptr<StepNode> step;
    std::unique_ptr<Operation> further;  // absent: the step's first run
    Operation& operation() const { return further ? *further : step->first; }
  };

  // An outcome that waits for bodies to return; or a race that was decided without one.
  struct Held {
    Ticket ticket = 0;
    Outcome outcome{};
    Race* race = nullptr;
  };
  // The rollback of one step, in all its attempts.
  struct Undo {
    Operation operation{};
    Failure error{};
    std::optional<Value> output{};
  };

  void join_graph(StepNode& step);
  void put_node(NodeId id, StepNode& step, std::unique_ptr<Operation> further);

  template <class Ask>
  void ask(Operation& operation, Ask verb);
  template <class Ask>
  void ask_host(Operation& operation, Ask& verb);
  DoRequest request_of(const StepNode& step) const;
  void begin(Operation& operation);
  void fail(Operation& operation);
  void begin_failed();
  void conclude(Operation& operation, Operation::End&& end);
  void deliver(Operation& operation, Outcome&& outcome);
  void deliver_held();
  Value value(std::string name, std::string json, const std::source_location& place);

  // Races (race.cpp)
  static bool is_free(const Operation& operation);
  static bool has_lost(const Operation& operation);
  static bool is_at_rest(const Race& race);
  static bool is_over(const Race& race);
  static bool is_blocked(const Operation& operation);
  void win(Operation& operation);
  void go_on(Race& race);
  void leave(Operation& loser);
  void answer_for_lost(Ticket ticket, std::uint32_t attempt);
  void resume(std::coroutine_handle<> code);
  void finish(BodyOutcome outcome);

  void launch(Operation& operation, std::uint32_t attempt);
  void launch(std::unique_ptr<Attempt> attempt);
  void give_context(Attempt& attempt) const;
  void begin_rollback();
  Undo* undo_for(const RunRollback& action);
  void report(Attempt& attempt);
  void report_heartbeat(Attempt& attempt);
  void report_delay(Attempt& attempt);
  void warn_of_deaf_body(const Operation& operation) const;

  Loop& loop_;
  const InstanceKey instance_;
  const Event event_;
  Step step_;
  Root root_;
  bool finished_ = false;
  bool retired_ = false;
  std::uint32_t bodies_ = 0;
  std::vector<Operation*> asked_;    // by ticket; null: ended
  std::vector<Node> graph_;          // by node
  std::vector<Operation*> failing_;  // a dependency has failed, others have not ended
  std::list<Held> held_;             // nearly always empty
  std::unordered_set<Ticket> lost_;  // steps that a race has left alone
  // Steps that can be rolled back, kept for that: when it comes to it, the frames may be gone.
  std::unordered_map<Ticket, std::shared_ptr<StepNode>> compensable_;
  std::unordered_map<Ticket, Undo> undos_;  // by the rollback's ticket
  std::optional<RunRollback> rollback_to_begin_;
};

}  // namespace workflows::detail
