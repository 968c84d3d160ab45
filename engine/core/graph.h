#pragma once
// The graph of declared steps of one run (S33-S37): formation, cycles, the ready set, failure, bounded concurrency.
// Pure: the host runs the steps; the graph says which and when. Not thread-safe.
//
// A node is a declared step. It runs at most once per run for all who depend on it. Its first direct call joins that run;
// every further direct call is a run of its own (S36), which `call` returns as a new node.

#include <cstdint>
#include <expected>
#include <string>
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

  // A direct call: `node` and all it needs are to run, at most `width` (>= 1) of this call's nodes at a time; 0: no bound.
  // Returns the node whose completion answers the call. `fresh`: the call has arguments of its own, never join.
  // Error (dependency): a cycle (names the path, "a -> b -> a") or an unknown node; nothing has changed.
  std::expected<Node, Error> call(Node node, std::uint32_t width, bool fresh);

  // The nodes to start now, in a deterministic order; each is returned once.
  std::vector<Start> take_ready();
  // A started node ended. Dependents of a failed one come out of take_ready once, with the failure.
  void finished(Node node, bool ok);
};

}  // namespace workflows::core
