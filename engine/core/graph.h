#pragma once
// The graph of declared steps of one run (S33-S37): formation, cycles, the ready set, failure, bounded concurrency.
// Pure: the host runs the steps; the graph says which and when. Not thread-safe.
//
// A node is a declared step. It runs at most once per run for all who depend on it. Its first direct call joins that
// run; every further direct call is a run of its own (S36), which `call` returns as a new node.

#include <cstdint>
#include <expected>
#include <functional>
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
  using CallIndex = std::uint32_t;
  using Position = std::uint32_t;  // of a node in the order of a call: each after all that it depends on

  enum class State : std::uint8_t { idle, started, completed, failed };

  struct Need {
    CallIndex call;
    Position position;
  };

  struct Step {
    std::string name;
    std::vector<Node> depends;
    std::vector<Node> dependents{};  // those that a call needs, until this node has ended
    std::vector<Need> needed_by{};   // until this node has ended
    std::uint32_t unfinished = 0;    // of depends, once fixed
    State state = State::idle;
    bool fixed = false;   // a call needs it: depends cannot change any more
    bool called = false;  // directly, so the shared run is taken
    bool doomed = false;  // a dependency failed: it is, or was, started only to fail
    std::uint64_t seen = 0;
  };

  struct Call {
    Node root = 0;
    std::uint32_t width = 0;
    std::uint32_t running = 0;  // of the nodes it needs, whichever call started them
    bool doomed = false;        // a node it needs failed, so it starts no more
    std::priority_queue<std::pair<Position, Node>, std::vector<std::pair<Position, Node>>, std::greater<>> ready{};
  };

  bool known(Node node) const { return node < steps_.size(); }
  bool is_finished(Node node) const { return steps_[node].state >= State::completed; }
  bool is_running(const Step& step) const { return step.state == State::started && !step.doomed; }

  std::expected<std::vector<Node>, Error> order_of(Node root);
  Error cycle_error(const std::vector<std::pair<Node, std::size_t>>& path, Node again) const;
  Node clone(Node node);
  void open_call(Node root, std::uint32_t width, const std::vector<Node>& order);
  void fix(Node node);
  void need(CallIndex call, Position position, Node node);
  void offer(Node node);
  void doom(Node node);
  bool is_awaited(const Step& step) const;
  void start_ready(Call& call, std::vector<Start>& starts);
  void start_doomed(std::vector<Start>& starts);
  const Node* failed_dependency(const Step& step) const;
  void release(Node node, bool ok);

  std::vector<Step> steps_;
  std::vector<Call> calls_;
  std::vector<Node> doomed_;    // to be started, so that they fail
  std::set<CallIndex> roused_;  // calls that may be able to start something
  std::uint64_t visit_ = 0;
};

}  // namespace workflows::core
