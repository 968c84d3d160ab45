#pragma once
// The graph of declared steps of one run (S33-S37): formation, cycles, the ready set, failure, bounded concurrency.
// Pure: the host runs the steps; the graph says which and when. Not thread-safe.
//
// A node is a declared step. It runs at most once per run for all who depend on it. Its first direct call joins that
// run; every further direct call is a run of its own (S36), which `call` returns as a new node.

#include <cstdint>
#include <expected>
#include <functional>
#include <limits>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <workflows/error.h>

namespace workflows::core {

class Graph {
 public:
  using Node = std::uint32_t;

  // Start `node` now. If `failed` is set, do not run it: that dependency failed (S35).
  struct Start {
    Node node;
    bool has_failed_dependency = false;
    Node failed_dependency = 0;
  };

  Node declare(std::string name);
  // Sets what `node` depends on; possible until it is first called or depended on by a call.
  std::expected<void, Error> connect(Node node, std::vector<Node> depends);
  const std::vector<Node>& depends(Node node) const;
  const std::string& name(Node node) const;

  // A direct call: `node` and all it needs are to run, at most `width` (>= 1) of this call's nodes at a time; 0: no
  // bound. Returns the node whose completion answers the call. `fresh`: the call has arguments of its own, never join.
  // Error (dependency): a cycle (names the path, "a -> b -> a") or an unknown node; nothing has changed.
  std::expected<Node, Error> call(Node node, std::uint32_t width, bool fresh);

  // The nodes to start now, in a deterministic order; each is returned once.
  std::vector<Start> take_ready();
  // A started node ended. Dependents of a failed one come out of take_ready once, with the failure.
  void finished(Node node, bool ok);

 private:
  using LaneIndex = std::uint32_t;
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  enum class State : std::uint8_t { idle, started, completed, failed };

  struct Step {
    std::string name;
    std::vector<Node> depends;
    std::vector<Node> dependents{};  // of those that are fixed, until this node has ended
    std::uint32_t unfinished = 0;    // of depends, once fixed
    std::uint32_t needs = 0;         // calls of this node, and pending nodes that depend on it
    State state = State::idle;
    bool fixed = false;          // a call needed it: depends cannot change any more
    bool called = false;         // directly, so the shared run is taken
    bool doomed = false;         // a dependency failed: it is, or was, started only to fail
    LaneIndex lane = kNone;      // that has come across it, or that started it
    std::uint32_t turn = kNone;  // in its lane, when it has to wait there for its dependencies
    std::uint64_t seen = 0;
  };

  // What one call does: it walks down from its node, depth first, as long as it has a hand free, and starts what it
  // can. A node that another lane has come across is left to that one; only an unbounded lane leaves nothing to a
  // bounded one. So the walks of all calls together cross each dependency a few times at most, and no lane waits for
  // another's hands while it has work of its own.
  struct Lane {
    std::uint32_t width = 0;
    std::uint32_t running = 0;
    std::uint32_t turns = 0;
    std::vector<std::pair<Node, std::size_t>> path{};  // with the dependency to look at next
    std::priority_queue<std::pair<std::uint32_t, Node>, std::vector<std::pair<std::uint32_t, Node>>, std::greater<>>
        ready{};  // by turn
  };

  bool known(Node node) const { return node < steps_.size(); }
  // Somebody needs it, and it is still to be started.
  static bool is_pending(const Step& step) { return step.state == State::idle && !step.doomed && step.needs > 0; }

  // Forming
  std::expected<std::vector<Node>, Error> unneeded_below(Node root);
  Error cycle_error(const std::vector<std::pair<Node, std::size_t>>& path, Node again) const;
  Node clone(Node node);
  void fix(Node node);

  // Need and failure
  void need(Node node);
  void let_go(std::vector<Node> nodes);
  void doom(Node node);
  const Node* failed_dependency(const Step& step) const;
  void dependency_ended(Node node, bool ok);

  // Running
  void open_lane(Node root, std::uint32_t width);
  void claim(Node node, LaneIndex lane);
  bool may_claim(const Step& step, LaneIndex lane) const;
  void work(LaneIndex lane, std::vector<Start>& starts);
  void walk(LaneIndex lane, std::vector<Start>& starts);
  void start(Node node, LaneIndex lane, std::vector<Start>& starts);
  void start_doomed(std::vector<Start>& starts);

  std::vector<Step> steps_;
  std::vector<Lane> lanes_;
  std::vector<Node> doomed_;    // to be started, so that they fail
  std::set<LaneIndex> roused_;  // lanes that may be able to start something
  std::uint64_t visit_ = 0;
};

}  // namespace workflows::core
