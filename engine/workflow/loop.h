#pragma once
// The thread that runs workflow code: it carries out what the Host says and tells it what bodies produced.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <spdlog/logger.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <workflows/engine.h>
#include <workflows/host.h>

#include "engine/values/mutex.h"
#include "engine/workflow/bodies.h"
#include "engine/workflow/calls.h"
#include "engine/workflow/run.h"
#include "engine/workflow/sources.h"

namespace workflows::detail {

class Loop {
 public:
  using Functions = std::unordered_map<std::string, WorkflowFunction>;

  // Opens the database.
  Loop(HostOptions options, Functions functions, std::uint32_t pool_size);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Once.
  void run();

  // ---- any thread but the loop's, which would wait for itself
  InstanceRef create(CreateRequest request);
  BatchOutcome create_batch(std::vector<CreateRequest> requests);
  void send_event(SendEventRequest request);
  // Absent: `timeout` has passed first.
  std::optional<InstanceStatus> result(InstanceKey instance, std::optional<Millis> timeout);
  // S41; the status whose `reason` tells.
  InstanceStatus replay(InstanceHistory history);
  Client& client();
  // A call of the client that changes instances: the engine hears of it at once.
  template <class Change>
  auto change(Change make) {
    check_thread();
    Client& through = client();
    if constexpr (std::is_void_v<decltype(make(through))>) {
      make(through);
      look();
    } else {
      auto result = make(through);
      look();
      return result;
    }
  }
  Host::Counters counters();
  void clock_moved();
  void close();
  // Carried out on the loop's thread, before its next turn. Bodies may call this as well.
  template <class What>
  void post(What what) {
    boost::asio::post(io_, [this, what = std::move(what)] {
      what();
      turn();
    });
  }

  // ---- for runs, on the loop's thread
  Host& host() { return host_; }
  Bodies& bodies() { return bodies_; }
  spdlog::logger& log() { return *log_; }
  Sources& sources() { return sources_; }
  // Memory ran out where the code of a workflow would be told, which must not go on with that.
  void memory_ran_out() { give_up_ = true; }
  // Calls `late` once the time that a delay function has (S11) is over.
  void when_delay_is_late(std::function<void()> late);

 private:
  void check_thread() const;
  void look();
  void run_handlers();
  void wake();  // any thread
  void wait_for_host();
  void turn();
  void look_ahead(std::size_t next) const;
  bool carry_out_actions();  // false: there were none
  void take_ended_bodies();
  bool release_stalled();
  Run* find(InstanceKey instance) const;

  void handle(StartInstance& action);
  void handle(ResolveStep& action);
  void handle(RunStepBody& action);
  void handle(CancelStepBody& action);
  void handle(AttemptDue& action);
  void handle(ChooseRetryDelay& action);
  void handle(StartNode& action);
  void handle(EvictInstance& action);
  void handle(InstanceEnded& action);
  void handle(CallReply& action);
  void handle(LogRecord& action);
  void handle(EngineStopped& action);
  void handle(RunRollback& action);

  enum class Leave : std::uint8_t { for_good, until_called_back };
  enum class State : std::uint8_t { open, closing, closed };
  struct Retiring {
    std::unique_ptr<Run> run;
    Leave leave{};
  };

  // Takes the run out of use; it goes when no body of it runs.
  void retire(InstanceKey instance, Leave leave);
  void retire_all();
  void let_go(Run& run);
  void stop(const Error& error);
  void give_up();
  void begin_close();
  void end_close();

  const std::shared_ptr<spdlog::logger> log_;
  Functions functions_;
  Host host_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  boost::asio::posix::stream_descriptor readable_;
  std::vector<Action> actions_;  // of this turn
  Bodies bodies_;
  Calls calls_;
  Sources sources_;

  boost::unordered_flat_map<InstanceKey, std::unique_ptr<Run>> runs_;
  std::unordered_map<const Run*, Retiring> retiring_;
  std::vector<InstanceKey> replaying_;
  State state_ = State::open;
  bool give_up_ = false;

  values::Mutex closing_mutex_;  // who closes second waits for the first
  std::atomic<std::thread::id> thread_id_{};
  std::thread thread_ GUARDED_BY(closing_mutex_);
};

}  // namespace workflows::detail
