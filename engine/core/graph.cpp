#include "engine/core/graph.h"

#include <algorithm>
#include <stdexcept>

#include "engine/testing/planted_bug.h"
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

// The pending nodes to be that nobody needs yet: `root` and those below it, each after all that it depends on.
std::expected<std::vector<Graph::Node>, Error> Graph::unneeded_below(Node root) {
  const std::uint64_t on_path = ++visit_;
  const std::uint64_t done = ++visit_;
  std::vector<Node> order;
  std::vector<std::pair<Node, std::size_t>> path;  // with the dependency to look at next
  const auto enter = [&](Node node) {
    Step& step = steps_[node];
    if (step.seen == done || step.state != State::idle || step.doomed || step.needs > 0) return;
    step.seen = on_path;
    path.emplace_back(node, 0);
  };
  enter(root);
  while (!path.empty()) {
    auto& [node, next] = path.back();
    const std::vector<Node>& dependencies = steps_[node].depends;
    if (next == dependencies.size()) {
      steps_[node].seen = done;
      order.push_back(node);
      path.pop_back();
      continue;
    }
    const Node dependency = dependencies[next++];
    if (steps_[dependency].seen == on_path) return std::unexpected(cycle_error(path, dependency));
    enter(dependency);
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
  const bool joins = !fresh && !steps_[node].called;
  const Node root = joins ? node : clone(node);
  const auto order = unneeded_below(root);
  if (!order) {
    if (!joins) steps_.pop_back();
    return std::unexpected(order.error());
  }
  if (joins) steps_[node].called = true;
  if (steps_[root].state != State::idle || steps_[root].doomed) return root;
  for (const Node needed : *order) need(needed);
  ++steps_[root].needs;
  for (const Node needed : *order) {
    if (is_pending(steps_[needed]) && failed_dependency(steps_[needed]) != nullptr) doom(needed);
  }
  open_lane(root, width);
  return root;
}

Graph::Node Graph::clone(Node node) {
  Step copy = {.name = steps_[node].name, .depends = steps_[node].depends};
  steps_.push_back(std::move(copy));
  return static_cast<Node>(steps_.size() - 1);
}

// The node needs what it depends on, and hears of its end.
void Graph::need(Node node) {
  fix(node);
  for (const Node dependency : steps_[node].depends) ++steps_[dependency].needs;
}

void Graph::fix(Node node) {
  Step& step = steps_[node];
  if (std::exchange(step.fixed, true)) return;
  for (const Node dependency : step.depends) {
    if (steps_[dependency].state >= State::completed) continue;
    steps_[dependency].dependents.push_back(node);
    ++step.unfinished;
  }
}

// ---- failing

// A dependency failed: the node is started only to fail, and needs nothing any more.
void Graph::doom(Node node) {
  steps_[node].doomed = true;
  doomed_.push_back(node);
  let_go(steps_[node].depends);
}

// Each of the nodes is needed once less. What nobody needs any more is not started, and needs nothing itself.
void Graph::let_go(std::vector<Node> nodes) {
  while (!nodes.empty()) {
    Step& step = steps_[nodes.back()];
    nodes.pop_back();
    const bool was_pending = is_pending(step);
    --step.needs;
    if (!was_pending || is_pending(step)) continue;
    step.lane = kNone;
    nodes.insert(nodes.end(), step.depends.begin(), step.depends.end());
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
  for (const LaneIndex lane : std::exchange(roused_, {})) work(lane, starts);
  return starts;
}

void Graph::start_doomed(std::vector<Start>& starts) {
  for (const Node node : std::exchange(doomed_, {})) {
    Step& step = steps_[node];
    step.state = State::started;
    starts.push_back({.node = node, .has_failed_dependency = true, .failed_dependency = *failed_dependency(step)});
  }
}

void Graph::open_lane(Node root, std::uint32_t width) {
  const auto lane = static_cast<LaneIndex>(lanes_.size());
  lanes_.push_back({.width = width});
  claim(root, lane);
  roused_.insert(lane);
}

void Graph::claim(Node node, LaneIndex lane) {
  steps_[node].lane = lane;
  steps_[node].turn = kNone;
  lanes_[lane].path.emplace_back(node, 0);
}

bool Graph::may_claim(const Step& step, LaneIndex lane) const {
  return is_pending(step) && (step.lane == kNone || (lanes_[lane].width == 0 && lanes_[step.lane].width != 0));
}

void Graph::work(LaneIndex index, std::vector<Start>& starts) {
  Lane& lane = lanes_[index];
  while (lane.width == 0 || lane.running < lane.width) {
    if (!lane.ready.empty()) {
      const Node node = lane.ready.top().second;
      lane.ready.pop();
      if (is_pending(steps_[node])) start(node, index, starts);
    } else if (!lane.path.empty()) {
      walk(index, starts);
    } else {
      return;
    }
  }
}

// One step of the walk.
void Graph::walk(LaneIndex index, std::vector<Start>& starts) {
  Lane& lane = lanes_[index];
  auto& [node, next] = lane.path.back();
  Step& step = steps_[node];
  if (is_pending(step) && next < step.depends.size()) {
    const Node dependency = step.depends[next++];
    if (may_claim(steps_[dependency], index)) claim(dependency, index);
    return;
  }
  const Node walked = node;
  lane.path.pop_back();
  if (!is_pending(step)) return;
  if (step.unfinished == 0) {
    start(walked, index, starts);
  } else if (step.lane == index) {
    step.turn = lane.turns++;
  }
}

void Graph::start(Node node, LaneIndex lane, std::vector<Start>& starts) {
  steps_[node].state = State::started;
  steps_[node].lane = lane;
  ++lanes_[lane].running;
  starts.push_back({.node = node});
}

void Graph::finished(Node node, bool ok) {
  if (!known(node) || steps_[node].state != State::started) {
    throw std::logic_error("A step was reported as finished that was not running.");
  }
  Step& step = steps_[node];
  step.state = ok ? State::completed : State::failed;
  if (!step.doomed) {
    --lanes_[step.lane].running;
    roused_.insert(step.lane);
  }
  for (const Node dependent : std::exchange(step.dependents, {})) dependency_ended(dependent, ok);
}

void Graph::dependency_ended(Node node, bool ok) {
  Step& step = steps_[node];
  --step.unfinished;
  if (!is_pending(step)) return;
  if (!ok) {
    doom(node);
  } else if ((step.unfinished == 0 || WORKFLOWS_PLANTED(node_after_one_parent)) && step.lane != kNone) {
    if (step.turn != kNone) lanes_[step.lane].ready.emplace(step.turn, node);
    roused_.insert(step.lane);
  }
}

}  // namespace workflows::core
