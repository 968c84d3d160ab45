#pragma once
// Step bodies on a bounded pool of threads. The loop hands over many bodies at once; threads take one after the other,
// so that none waits for long behind another while a thread is idle. What ended is collected; the loop is woken once
// for all that came since it looked.
//
// Bodies of less than some microseconds are carried out faster by few threads than by many that get into each other's
// way. So a thread that finds more than it takes does not call the next one at once: that one stands by, looks after
// 50 us and then ever more seldom, and joins if bodies take longer. It leaves when none has begun since its last look.
//
// A thread that has carried out a few bodies and finds no more watches for the next one for as long as a commit takes:
// a lone instance asks for it then.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/thread_pool.hpp>
#include <boost/lockfree/queue.hpp>

#include <workflows/step.h>

#include "engine/values/mutex.h"
#include "engine/values/recycled.h"

namespace workflows::detail {

// What a body has said and the loop has not heard yet.
struct Heartbeats {
  values::Mutex mutex;
  std::optional<std::string> latest GUARDED_BY(mutex);

  std::optional<std::string> take() {
    const values::MutexLock lock(mutex);
    return std::exchange(latest, std::nullopt);
  }
};

// One execution of a body, of a rollback, or of a delay function. The loop makes it, a thread of the pool carries it
// out, the loop takes it back.
struct Attempt : values::Recycled<Attempt> {
  Attempt(Run& owner, Operation& asked, std::uint32_t which) : run(owner), operation(asked), number(which) {}

  void cancel() {
    cancelled = true;
    stop.request_stop();
  }
  // On the body's thread.
  void beat(std::string details);

  static constexpr TimePoint kNotYet = TimePoint::max();

  Run& run;
  Operation& operation;  // stays where it is until the attempt was taken back
  const std::uint32_t number;
  std::atomic<bool> cancelled = false;  // if it has not begun, it need not
  std::atomic<TimePoint> began = kNotYet;
  std::stop_source stop{std::nostopstate};
  // Rare things are kept apart: there is one attempt for every step.
  std::unique_ptr<StepContext> context;          // if the body takes it
  std::unique_ptr<const Failure> failed;         // set: choose the delay after this failure, or roll back because of it
  const RetryDelay::Function* delay = nullptr;   // set: choose the delay
  const std::optional<Value>* output = nullptr;  // set: roll back the step that had this output, or none
  std::shared_ptr<bool> delay_chosen;            // by now; owned by the loop
  std::shared_ptr<Heartbeats> heartbeats;        // from the first one on
  std::variant<std::monostate, Value, std::unique_ptr<Failure>, Duration> outcome;  // nothing: it did not run
  Attempt* ended_before = nullptr;                                                  // in the list of those that ended
};

class Bodies {
 public:
  // `now` and `wake` are called on threads of the pool.
  Bodies(std::uint32_t threads, std::function<TimePoint()> now, std::function<void()> wake);
  ~Bodies();
  Bodies(const Bodies&) = delete;
  Bodies& operator=(const Bodies&) = delete;

  // ---- the loop's thread
  void start(std::unique_ptr<Attempt> attempt);
  // The threads begin with what was collected, at the latest. To be called once a turn.
  void hand_over();
  // In the order in which they ended; null: no further one.
  std::unique_ptr<Attempt> next_ended();
  // For what waits although no thread was called for it.
  void call_a_thread();
  // Waits without going to sleep for what is about to come: for a body to end, if a few were handed over just now;
  // until `committed`, if a few that had ended were taken. True: a body has ended.
  bool wait_briefly(const std::function<bool()>& committed);

  bool on_this_thread() const { return pool_.get_executor().running_in_this_thread(); }
  // Nothing may be running.
  void join() { pool_.join(); }

 private:
  bool take_place();
  void carry_out_waiting();
  bool watch();
  void call_a_stand_by();
  void stand_by();
  void carry_out(Attempt& attempt);

  const std::uint32_t threads_;
  const std::function<TimePoint()> now_;
  const std::function<void()> wake_;
  std::vector<std::unique_ptr<Attempt>> collected_;
  boost::lockfree::queue<Attempt*> waiting_{1024};  // owned
  std::atomic<Attempt*> ended_ = nullptr;           // the newest; owned
  Attempt* taken_ = nullptr;                        // of them by the loop, the oldest; owned
  std::atomic<std::uint32_t> busy_threads_ = 0;
  std::atomic<bool> has_stand_by_ = false;
  std::atomic<bool> has_watcher_ = false;   // a thread that takes the next body without being called
  std::atomic<std::uint64_t> begun_ = 0;    // bodies so far
  std::atomic<bool> loop_watches_ = false;  // and needs not be woken
  std::size_t handed_over_ = 0;             // since the last brief wait, as below
  std::size_t taken_back_ = 0;
  mutable boost::asio::thread_pool pool_;
};

}  // namespace workflows::detail
