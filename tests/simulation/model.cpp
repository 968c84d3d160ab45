#include "tests/simulation/model.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "tests/simulation/evaluate.h"

namespace workflows::simulation {
namespace {

constexpr std::int64_t kNeverMs = 3'600'000;

bool gets_event(const Op& wait) { return wait.ms < 0; }
std::string event_for(const Op& wait) { return std::to_string(1'000 + wait.place); }

void list_events(const Op& op, boost::json::array& events) {
  if (op.kind == Kind::wait && gets_event(op))
    events.push_back({{"type", op.type}, {"payload", boost::json::parse(event_for(op))}});
  for (const Op& child : op.children) list_events(child, events);
}

class Rules final : public Leaves {
 public:
  End step(const Op& op) override {
    if (op.kind == Kind::sleep) return op.ms < kNeverMs ? End(Value{"null"}) : End();
    if (op.kind == Kind::wait) return gets_event(op) ? End(Value{event_for(op)}) : failed("WaitTimeoutError", op);
    return ends_.try_emplace(op.place, do_(op)).first->second;
  }

  End graph(const Op& op) override { return node(op, op.children.back()); }
  bool patched(const Op& /*op*/) override { return true; }
  std::optional<std::size_t> winner(const Op& /*race*/, std::optional<std::size_t> first) override { return first; }

  boost::json::array compensated() const {
    std::vector<std::string> names;
    for (const auto& [place, name] : undoable_) names.push_back(name);
    std::ranges::sort(names);
    return boost::json::array(names.begin(), names.end());
  }

 private:
  static End failed(std::string type, const Op& op) { return failure_of(std::move(type), op.place); }

  BodyOutcome do_(const Op& op) {
    if (op.rollback) undoable_.emplace(op.place, op.name);
    for (std::uint32_t attempt = 1;; ++attempt) {
      BodyOutcome end = body_outcome(op, attempt);
      const auto* failure = std::get_if<Failure>(&end);
      if (failure == nullptr || !failure->retryable || attempt > op.limit) return end;
    }
  }

  End node(const Op& graph, const Op& op) {
    for (const auto other : op.depends) {
      if (std::holds_alternative<Failure>(*node(graph, graph.children[other]))) return failed("DependencyError", op);
    }
    return step(op);
  }

  std::map<std::uint32_t, BodyOutcome> ends_;
  std::map<std::uint32_t, std::string> undoable_;
};

}  // namespace

Op calm(Op program) {
  Op& op = program;
  op.delay_ms = 0;
  op.chooses_delay = false;
  op.timeout_ms = Op{}.timeout_ms;
  op.rollback_fails = 0;
  op.cancels = false;
  if (op.kind == Kind::sleep) op.ms %= 3;
  if (op.kind == Kind::wait) {
    op.type = "t" + std::to_string(op.place);
    op.ms = op.place % 2 == 0 ? 1 : -1;
  }
  for (Op& child : op.children) {
    child = calm(std::move(child));
    if (op.kind == Kind::graph) child.rollback = false;  // whether a node begins beside one that fails is open
  }
  if (op.kind == Kind::race)
    op.children.back() = {.kind = Kind::sleep, .place = op.children.back().place, .name = "s", .ms = kNeverMs};
  return program;
}

boost::json::object predict(const Op& calm_program) {
  Rules rules;
  const BodyOutcome end = *evaluate(calm_program, rules);
  boost::json::array events;
  list_events(calm_program, events);
  boost::json::object told = {{"program", to_json(calm_program)}, {"events", std::move(events)}};
  if (const auto* value = std::get_if<Value>(&end)) {
    told["status"] = "complete";
    told["output"] = boost::json::parse(value->json);
    told["compensated"] = boost::json::array();
  } else {
    told["status"] = "errored";
    told["error"] = std::get<Failure>(end).type;
    told["compensated"] = rules.compensated();
  }
  return told;
}

}  // namespace workflows::simulation
