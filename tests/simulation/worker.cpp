#include "tests/simulation/worker.h"

#include <algorithm>
#include <utility>

#include "tests/simulation/evaluate.h"
#include "tests/simulation/invariants.h"

namespace workflows::simulation {
namespace {

constexpr std::uint64_t kMostActs = 100'000;  // of one life

// The code of an instance that is no longer here stands still; any other refusal is not what programs ask for.
template <class Verb>
auto ask(Verb verb) -> std::optional<decltype(verb())> {
  try {
    return verb();
  } catch (const WorkflowsError& error) {
    const bool is_gone = error.code() == ErrorCode::instance_finished || is_of_stopped(error.code());
    if (!is_gone) throw Violation(0, std::string("a verb was refused: ") + error.what());
    return std::nullopt;
  }
}

}  // namespace

// One life of an instance.
class Worker::Run final : public Leaves {
 public:
  Run(Worker& worker, InstanceKey key, InstanceKey known_as, const Op& program)
      : worker_(worker), key_(key), known_as_(known_as), program_(program) {}

  void go_on() {
    if (finished_) return;
    const End end = evaluate(program_, *this);
    if (!end || finished_) return;
    finished_ = true;
    worker_.host_->finish(key_, *end);
  }

  End step(const Op& op) override {
    const auto [leaf, is_new] = leaves_.try_emplace(op.place);
    if (is_new) begin(op, [&](Host& host) { return ask_for(host, op); });
    return leaf->second.end;
  }

  End graph(const Op& op) override {
    if (!graphs_.contains(op.place)) call_graph(op);
    const auto last = leaves_.find(op.children.back().place);
    return last == leaves_.end() ? End() : last->second.end;
  }

  bool patched(const Op& op) override {
    if (!worker_.around_.is_patched) return false;
    const auto [known, is_new] = patches_.try_emplace(op.place, false);
    if (is_new) known->second = ask([&] { return worker_.host_->patched(key_, op.name); }).value_or(false);
    if (is_new) worker_.around_.counters.sometimes(known->second ? "a patch was on" : "a patch was off");
    return known->second;
  }

  std::optional<std::size_t> winner(const Op& race, std::optional<std::size_t> first) override {
    const auto known = winners_.find(race.place);
    if (known != winners_.end()) return known->second;
    if (!first) return std::nullopt;
    const auto told =
        ask([&] { return worker_.host_->value(key_, {.name = "race", .value = {std::to_string(*first)}}); });
    if (!told) return std::nullopt;
    hold(13, told->json == std::to_string(*first), "a race was won by another one before");
    winners_[race.place] = *first;
    worker_.around_.ledger.won(known_as_, race, *first);
    if (race.cancels) cancel_losers(race);
    return first;
  }

  // ---- what the engine says
  void resolve(Ticket ticket, Outcome outcome) {
    const Op& op = *op_of(ticket);
    tell(op, ticket, outcome);
    go_on();
  }

  void start_node(NodeId node, bool has_failed_dependency) {
    const Op& op = *nodes_.at(node);
    const Op& whole = *graph_of_.at(node);
    check_parents(whole, op, has_failed_dependency);
    Graph& graph = graphs_.at(whole.place);
    if (!has_failed_dependency) {
      graph.running.insert(op.place);
      hold(11, whole.width == 0 || graph.running.size() <= whole.width, "more steps of a graph run than it may");
    }
    leaves_.try_emplace(op.place);
    begin(op, [&](Host& host) {
      DoRequest request = request_of(op);
      for (const auto other : op.depends) {
        const auto leaf = leaves_.find(whole.children[other].place);
        if (leaf != leaves_.end()) request.depends.push_back(leaf->second.ticket);
      }
      return has_failed_dependency ? host.do_failed(key_, std::move(request), dependency_error(op))
                                   : host.do_(key_, std::move(request));
    });
    go_on();
  }

  const Op* op_of(Ticket ticket) const {
    const auto found = by_ticket_.find(ticket);
    return found == by_ticket_.end() ? nullptr : found->second;
  }

 private:
  struct Leaf {
    Ticket ticket = 0;
    End end{};
  };

  static Failure dependency_error(const Op& op) {
    Failure failure = failure_of("DependencyError", op.place);
    failure.retryable = false;
    return failure;
  }

  Asked ask_for(Host& host, const Op& op) const {
    if (op.kind == Kind::sleep) return host.sleep(key_, {.name = op.name, .until = Duration(Millis(op.ms))});
    if (op.kind == Kind::do_) return host.do_(key_, request_of(op));
    WaitRequest request{.name = op.name, .type = op.type, .timeout = std::nullopt};
    if (op.ms >= 0) request.timeout = Duration(Millis(op.ms));
    return host.wait_for_event(key_, std::move(request));
  }

  template <class Verb>
  void begin(const Op& op, Verb verb) {
    auto asked = ask([&] { return verb(*worker_.host_); });
    if (!asked) return;
    leaves_.at(op.place).ticket = asked->ticket;
    by_ticket_[asked->ticket] = &op;
    const bool is_replay_alone = key_ != known_as_;
    // What the code of a replaced owner asks for is written nowhere.
    if (is_replay_alone || worker_.owns(key_)) worker_.around_.ledger.asked(known_as_, asked->ticket, op);
    if (asked->state == Asked::State::run) worker_.begin_body({key_, asked->ticket, asked->attempt, &op, false});
    if (asked->state == Asked::State::resolved) tell(op, asked->ticket, *asked->outcome);
  }

  void tell(const Op& op, Ticket ticket, const Outcome& outcome) {
    worker_.around_.ledger.told(known_as_, ticket, op, outcome, worker_.around_.data);
    Leaf& leaf = leaves_.at(op.place);
    hold(5, !leaf.end, "an outcome was told twice");
    const auto* event = std::get_if<Received>(&outcome);
    const auto* value = std::get_if<Value>(&outcome);
    leaf.end = event != nullptr   ? BodyOutcome(Value{event->payload})
               : value != nullptr ? BodyOutcome(*value)
                                  : BodyOutcome(std::get<Failure>(outcome));
    for (const auto& [node, of] : nodes_) {
      if (of != &op) continue;
      graphs_.at(graph_of_.at(node)->place).running.erase(op.place);
      worker_.host_->node_finished(key_, node, value != nullptr);
    }
  }

  void cancel_losers(const Op& race) {
    for (const Op& racer : race.children) {
      const Leaf& leaf = leaves_.at(racer.place);
      if (leaf.end || by_ticket_.count(leaf.ticket) == 0) continue;
      worker_.host_->abandon(key_, leaf.ticket);
      worker_.around_.counters.sometimes("an await was cancelled");
    }
  }

  void call_graph(const Op& op) {
    Graph& graph = graphs_[op.place];
    ask([&] {
      for (const Op& child : op.children) {
        graph.nodes.push_back(worker_.host_->declare(key_, child.name));
        nodes_[graph.nodes.back()] = &child;
        graph_of_[graph.nodes.back()] = &op;
      }
      for (std::size_t i = 0; i < op.children.size(); ++i) {
        std::vector<NodeId> depends;
        for (const auto other : op.children[i].depends) depends.push_back(graph.nodes[other]);
        worker_.host_->connect(key_, graph.nodes[i], depends);
      }
      return worker_.host_->call_node(key_, graph.nodes.back(), op.width, false);
    });
  }

  void check_parents(const Op& whole, const Op& op, bool has_failed_dependency) const {
    std::size_t failed = 0;
    std::size_t completed = 0;
    for (const auto other : op.depends) {
      const auto leaf = leaves_.find(whole.children[other].place);
      if (leaf == leaves_.end() || !leaf->second.end) continue;
      ++(std::holds_alternative<Failure>(*leaf->second.end) ? failed : completed);
    }
    if (has_failed_dependency) {
      hold(8, failed > 0, "a node was started as failed, and none of its parents had failed");
    } else {
      hold(8, completed == op.depends.size(), "a node was started before all of its parents had completed");
    }
  }

  Worker& worker_;
  const InstanceKey key_;
  const InstanceKey known_as_;  // to the ledger
  const Op& program_;
  std::map<std::uint32_t, Leaf> leaves_;  // by place
  std::map<Ticket, const Op*> by_ticket_;
  std::map<std::uint32_t, bool> patches_;
  std::map<std::uint32_t, std::size_t> winners_;
  std::map<std::uint32_t, Graph> graphs_;
  std::map<NodeId, const Op*> nodes_;
  std::map<NodeId, const Op*> graph_of_;
  bool finished_ = false;
};

Worker::Worker(int life, Surroundings around, HostOptions options, std::shared_ptr<storage::Database> database,
               runtime::SteadyClock steady)
    : life_(life),
      around_(around),
      host_(HostAccess::open(std::move(options), std::move(database), std::move(steady))),
      owner_(around.data.last_owner) {}

Worker::~Worker() = default;

Worker::Run* Worker::find(InstanceKey key) {
  const auto found = runs_.find(key);
  return found == runs_.end() ? nullptr : found->second.get();
}

bool Worker::owns(InstanceKey key) const {
  const auto found = around_.data.instances.find(key);
  if (found == around_.data.instances.end()) return false;
  return found->second.info.owner == owner_ && around_.data.owners.contains(owner_);
}

// ---------------------------------------------------------------- moves

bool Worker::act() {
  hold(16, ++acts_ < kMostActs, "an engine never comes to rest");
  if (actions_.empty()) {
    for (Action& action : host_->poll()) actions_.push_back(std::move(action));
    if (actions_.empty()) return release_stalled();
  }
  Action action = std::move(actions_.front());
  actions_.pop_front();
  std::visit([this](auto& what) { handle(what); }, action);
  check_places();
  return true;
}

// Whether code runs, the host knows best; what the engine keeps in memory for it, the engine.
void Worker::check_places() const {
  hold(11, runs_.size() <= around_.at_once, "more instances run than may run at once");
  hold(17, host_->counters().loaded_instances <= around_.at_once, "more instances are in memory than may be");
}

void Worker::turn() {
  while (act()) {}
}

bool Worker::release_stalled() {
  bool released = false;
  for (const auto& [key, run] : runs_) {
    const bool is_quiet = std::ranges::none_of(bodies_, [&, k = key](const Body& body) { return body.key == k; });
    if (is_quiet && host_->replaying(key)) released |= host_->release_stalled(key);
  }
  return released;
}

void Worker::end_body(std::size_t index) {
  const Body body = bodies_.at(index);
  bodies_.erase(bodies_.begin() + static_cast<std::ptrdiff_t>(index));
  host_->body_finished(
      body.key, body.ticket, body.attempt,
      body.is_rollback ? rollback_outcome(*body.op, body.attempt) : body_outcome(*body.op, body.attempt));
}

void Worker::end_late_body() {
  const Body body = late_.back();
  late_.pop_back();
  around_.counters.sometimes("a body ended after its attempt was over");
  host_->body_finished(body.key, body.ticket, body.attempt, Value{"\"late\""});
}

bool Worker::confirm_eviction() {
  if (leaving_.empty()) return false;
  const InstanceKey key = leaving_.back();
  leaving_.pop_back();
  host_->evicted(key);
  return true;
}

void Worker::replay(InstanceHistory history) {
  replayed_ = history.info.key;
  const CallId call = host_->replay(std::move(history));
  while (!replies_.contains(call)) hold(13, act(), "a replay alone stands still");
  const auto status = std::get<InstanceStatus>(replies_.extract(call).mapped());
  hold(13, status.reason.starts_with("match"), "replay of a history by the code that made it: " + status.reason);
  turn();
  around_.counters.sometimes("a history was replayed alone");
}

// ---------------------------------------------------------------- actions

void Worker::begin_body(const Body& body) {
  const auto is_same = [&](const Body& other) { return other.key == body.key && other.ticket == body.ticket; };
  hold(3, std::ranges::none_of(bodies_, is_same), "a body runs twice at once");
  hold(13, body.key > 0, "a replay alone ran a body");
  around_.ledger.body_began(body, life_, owns(body.key));
  bodies_.push_back(body);
}

void Worker::forget(InstanceKey key) {
  const auto is_its = [key](const Body& body) { return body.key == key; };
  std::erase_if(bodies_, is_its);
  std::erase_if(late_, is_its);
  runs_.erase(key);
}

void Worker::handle(StartInstance& start) {
  const InstanceKey known_as = start.instance < 0 ? replayed_ : start.instance;
  if (start.instance > 0) around_.counters.sometimes("an instance was started");
  auto& run = runs_[start.instance] =
      std::make_unique<Run>(*this, start.instance, known_as, around_.programs.at(start.workflow));
  run->go_on();
}

void Worker::handle(ResolveStep& resolve) {
  if (Run* run = find(resolve.instance)) run->resolve(resolve.ticket, std::move(resolve.outcome));
}

void Worker::handle(RunStepBody& body) {
  if (Run* run = find(body.instance)) {
    begin_body({body.instance, body.ticket, body.attempt, run->op_of(body.ticket), false});
  }
}

void Worker::handle(CancelStepBody& cancel) {
  for (auto body = bodies_.begin(); body != bodies_.end(); ++body) {
    if (body->key != cancel.instance || body->ticket != cancel.ticket) continue;
    late_.push_back(*body);
    bodies_.erase(body);
    return;
  }
}

void Worker::handle(AttemptDue& due) {
  const bool waits = (due.ticket + due.attempt) % 4 == 0;
  if (waits) around_.counters.sometimes("a body waited for a thread");
  host_->attempt_due(due.instance, due.ticket, due.attempt, waits ? std::nullopt : std::optional(due.since));
}

void Worker::handle(ChooseRetryDelay& choose) {
  around_.counters.sometimes("a delay was chosen by a function");
  host_->delay_chosen(choose.instance, choose.ticket, choose.attempt, Duration(Millis(10 * choose.attempt)));
}

void Worker::handle(StartNode& start) {
  if (Run* run = find(start.instance)) run->start_node(start.node, start.failed_dependency.has_value());
}

void Worker::handle(EvictInstance& evict) {
  around_.counters.sometimes("an instance was hibernated");
  forget(evict.instance);
  leaving_.push_back(evict.instance);
}

void Worker::handle(InstanceEnded& ended) { forget(ended.instance); }

void Worker::handle(CallReply& reply) { replies_[reply.call] = std::move(reply.result); }

void Worker::handle(RunRollback& rollback) {
  Run* run = find(rollback.instance);
  if (run == nullptr) return;
  around_.counters.sometimes("a compensation ran");
  begin_body({rollback.instance, rollback.ticket, rollback.attempt, run->op_of(rollback.of), true});
}

}  // namespace workflows::simulation
