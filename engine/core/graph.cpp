#include "engine/core/graph.h"

#include <algorithm>
#include <stdexcept>

#include "engine/values/text.h"

namespace workflows::core {
namespace {

Error dependency_error(std::string message) { return {ErrorCode::dependency, std::move(message)}; }

}  // namespace

// ---- forming

Graph::Node Graph::declare(std::string name) {
  steps_.push_back({.name = std::move(name), .depends = {}});
  return static_cast<Node>(steps_.size() - 1);
}

std::expected<void, Error> Graph::connect(Node node, std::vector<Node> depends) {
  if (!known(node))
    return std::unexpected(dependency_error("Dependencies were given for a step that this run has not declared."));
  Step& step = steps_[node];
  if (step.fixed) {
    return std::unexpected(dependency_error("The dependencies of step " + values::quoted(step.name) +
                                            " cannot change any more: it was called already. Give them before."));
  }
  if (!std::ranges::all_of(depends, [&](Node other) { return known(other); })) {
    return std::unexpected(dependency_error("Step " + values::quoted(step.name) +
                                            " depends on a step that this run has not declared. Depend on steps of the "
                                            "same run, declared before."));
  }
  step.depends = std::move(depends);
  return {};
}

const std::vector<Graph::Node>& Graph::depends(Node node) const { return steps_.at(node).depends; }
const std::string& Graph::name(Node node) const { return steps_.at(node).name; }

// The unfinished nodes that `root` needs, each after all that it depends on; `root` comes last.
std::expected<std::vector<Graph::Node>, Error> Graph::order_of(Node root) {
  const std::uint64_t on_path = ++visit_;
  const std::uint64_t ordered = ++visit_;
  std::vector<Node> order;
  std::vector<std::pair<Node, std::size_t>> path = {{root, 0}};  // with the dependency to look at next
  steps_[root].seen = on_path;
  while (!path.empty()) {
    auto& [node, next] = path.back();
    const std::vector<Node>& dependencies = steps_[node].depends;
    if (next == dependencies.size()) {
      steps_[node].seen = ordered;
      order.push_back(node);
      path.pop_back();
      continue;
    }
    const Node dependency = dependencies[next++];
    Step& step = steps_[dependency];
    if (step.seen == on_path) return std::unexpected(cycle_error(path, dependency));
    if (step.seen == ordered || is_finished(dependency)) continue;
    if (step.state == State::idle) {
      step.seen = on_path;
      path.emplace_back(dependency, 0);
    } else {
      step.seen = ordered;
      order.push_back(dependency);
    }
  }
  return order;
}

Error Graph::cycle_error(const std::vector<std::pair<Node, std::size_t>>& path, Node again) const {
  std::string circle;
  auto at = std::ranges::find(path, again, &std::pair<Node, std::size_t>::first);
  for (; at != path.end(); ++at) circle += steps_[at->first].name + " -> ";
  return dependency_error("These steps depend on each other in a circle: " + circle + steps_[again].name +
                          ". Remove one of these dependencies.");
}

// ---- calling

std::expected<Graph::Node, Error> Graph::call(Node node, std::uint32_t width, bool fresh) {
  if (!known(node)) return std::unexpected(dependency_error("A step was called that this run has not declared."));
  auto order = order_of(node);
  if (!order) return std::unexpected(std::move(order.error()));
  const bool joins = !fresh && !steps_[node].called;
  if (joins) steps_[node].called = true;
  const Node root = joins ? node : clone(node);
  if (steps_[root].state == State::idle && !steps_[root].doomed) {
    order->back() = root;
    open_call(root, width, *order);
  }
  return root;
}

Graph::Node Graph::clone(Node node) {
  Step copy = {.name = steps_[node].name, .depends = steps_[node].depends};
  steps_.push_back(std::move(copy));
  return static_cast<Node>(steps_.size() - 1);
}

void Graph::open_call(Node root, std::uint32_t width, const std::vector<Node>& order) {
  const auto call = static_cast<CallIndex>(calls_.size());
  calls_.push_back({.root = root, .width = width});
  for (Position position = 0; position < order.size(); ++position) need(call, position, order[position]);
  roused_.insert(call);
}

// From now on the node hears of its dependencies' ends.
void Graph::fix(Node node) {
  Step& step = steps_[node];
  if (std::exchange(step.fixed, true)) return;
  for (const Node dependency : step.depends) {
    if (is_finished(dependency)) continue;
    steps_[dependency].dependents.push_back(node);
    ++step.unfinished;
  }
}

void Graph::need(CallIndex index, Position position, Node node) {
  fix(node);
  Step& step = steps_[node];
  Call& call = calls_[index];
  step.needed_by.push_back({index, position});
  if (step.doomed) {
    call.doomed = true;
  } else if (step.state == State::started) {
    ++call.running;
  } else if (failed_dependency(step) != nullptr) {
    doom(node);
  } else if (step.unfinished == 0) {
    call.ready.emplace(position, node);
  }
}

const Graph::Node* Graph::failed_dependency(const Step& step) const {
  const auto found =
      std::ranges::find_if(step.depends, [&](Node other) { return steps_[other].state == State::failed; });
  return found == step.depends.end() ? nullptr : &*found;
}

// ---- running

std::vector<Graph::Start> Graph::take_ready() {
  std::vector<Start> starts;
  start_doomed(starts);
  for (const CallIndex call : roused_) start_ready(calls_[call], starts);
  roused_.clear();
  return starts;
}

void Graph::start_doomed(std::vector<Start>& starts) {
  for (const Node node : std::exchange(doomed_, {})) {
    Step& step = steps_[node];
    step.state = State::started;
    starts.push_back({.node = node, .has_failed_dependency = true, .failed_dependency = *failed_dependency(step)});
  }
}

void Graph::start_ready(Call& call, std::vector<Start>& starts) {
  while (!call.doomed && !call.ready.empty() && (call.width == 0 || call.running < call.width)) {
    const Node node = call.ready.top().second;
    call.ready.pop();
    Step& step = steps_[node];
    if (step.state != State::idle) continue;  // another call was faster
    step.state = State::started;
    for (const Need& need : step.needed_by) ++calls_[need.call].running;
    starts.push_back({.node = node});
  }
}

void Graph::finished(Node node, bool ok) {
  if (!known(node) || steps_[node].state != State::started) {
    throw std::logic_error("A step was reported as finished that was not running.");
  }
  Step& step = steps_[node];
  const bool ran = is_running(step);
  step.state = ok ? State::completed : State::failed;
  for (const Need& need : step.needed_by) {
    Call& call = calls_[need.call];
    if (ran) --call.running;
    if (!ok) call.doomed = true;
    roused_.insert(need.call);
  }
  for (const Node dependent : std::exchange(step.dependents, {})) release(dependent, ok);
  for (const Need& need : std::exchange(step.needed_by, {})) {
    if (calls_[need.call].root == node) calls_[need.call].ready = {};
  }
}

// One of the node's dependencies has ended.
void Graph::release(Node node, bool ok) {
  Step& step = steps_[node];
  --step.unfinished;
  if (step.state != State::idle || step.doomed) return;
  if (!ok) {
    if (is_awaited(step)) doom(node);
  } else if (step.unfinished == 0) {
    offer(node);
  }
}

// All that the node depends on has ended: every call that needs it may start it.
void Graph::offer(Node node) {
  for (const Need& need : steps_[node].needed_by) {
    if (calls_[need.call].doomed) continue;
    calls_[need.call].ready.emplace(need.position, node);
    roused_.insert(need.call);
  }
}

// A dependency failed: the node is started only to fail, and so will all that need it.
void Graph::doom(Node node) {
  Step& step = steps_[node];
  step.doomed = true;
  doomed_.push_back(node);
  for (const Need& need : step.needed_by) calls_[need.call].doomed = true;
}

// A call that has no answer yet needs it.
bool Graph::is_awaited(const Step& step) const {
  return std::ranges::any_of(step.needed_by,
                             [&](const Need& need) { return steps_[calls_[need.call].root].state == State::idle; });
}

}  // namespace workflows::core
