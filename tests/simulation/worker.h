#pragma once
// One life of an engine, and the interpreter that it is the host of: the real core and runtime, moved step by step from
// outside. What it does is up to whoever moves it; how programs go on is not.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <workflows/host.h>

#include "engine/runtime/host_access.h"
#include "tests/simulation/ledger.h"

namespace workflows::simulation {

// What a worker finds around it.
struct Surroundings {
  const Programs& programs;
  Ledger& ledger;
  Counters& counters;
  const Tables& data;
  bool is_patched = false;         // the code is the newer one
  std::size_t at_once = SIZE_MAX;  // instances in memory
};

// What an engine answers that has stopped.
inline bool is_of_stopped(ErrorCode code) { return code == ErrorCode::store || code == ErrorCode::engine_closed; }

class Worker {
 public:
  Worker(int life, Surroundings around, HostOptions options, std::shared_ptr<storage::Database> database,
         runtime::SteadyClock steady);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Host& host() { return *host_; }
  int life() const { return life_; }

  // ---- moves
  void write() { HostAccess::write(*host_); }
  bool act();   // carries out one action, or asks for new ones; false: there is nothing to do
  void turn();  // until there is nothing to do
  std::size_t open_bodies() const { return bodies_.size(); }
  void end_body(std::size_t index);
  std::size_t late_bodies() const { return late_.size(); }
  void end_late_body();
  bool confirm_eviction();

  void replay(InstanceHistory history);  // S41; holds the verdict against `match`

  const std::optional<Error>& stopped() const { return stopped_; }
  std::map<CallId, decltype(CallReply::result)> take_replies() { return std::exchange(replies_, {}); }

 private:
  struct Graph {
    std::vector<NodeId> nodes;
    std::set<std::uint32_t> running{};  // places
  };
  class Run;

  void handle(StartInstance& start);
  void handle(ResolveStep& resolve);
  void handle(RunStepBody& run);
  void handle(CancelStepBody& cancel);
  void handle(AttemptDue& due);
  void handle(ChooseRetryDelay& choose);
  void handle(StartNode& start);
  void handle(EvictInstance& evict);
  void handle(InstanceEnded& ended);
  void handle(CallReply& reply);
  void handle(LogRecord&) {}
  void handle(EngineStopped& stop) { stopped_ = stop.error; }
  void handle(RunRollback& rollback);

  Run* find(InstanceKey key);
  void check_places() const;
  void begin_body(const Body& body);
  void forget(InstanceKey key);
  bool release_stalled();
  bool owns(InstanceKey key) const;

  const int life_;
  const Surroundings around_;
  std::unique_ptr<Host> host_;
  const storage::OwnerId owner_;
  std::map<InstanceKey, std::unique_ptr<Run>> runs_;
  std::deque<Action> actions_;
  std::vector<Body> bodies_;
  std::vector<Body> late_;
  std::vector<InstanceKey> leaving_;  // told to be evicted
  std::map<CallId, decltype(CallReply::result)> replies_;
  std::optional<Error> stopped_;
  std::uint64_t acts_ = 0;
  InstanceKey replayed_ = 0;  // whose history is being replayed alone
};

}  // namespace workflows::simulation
