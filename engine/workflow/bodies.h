#pragma once
// Step bodies on a bounded pool of threads. What ended is collected; the loop is woken once for all that came since it
// looked.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <variant>
#include <vector>

#include <boost/asio/thread_pool.hpp>

#include <workflows/step.h>

namespace workflows::detail {

// One execution of a body, or of a step's delay function. The loop makes it, a thread of the pool carries it out, the
// loop takes it back.
struct Attempt {
  Attempt(Run& owner, Operation& asked, std::uint32_t which) : run(owner), operation(asked), number(which) {}

  void cancel() {
    cancelled = true;
    stop.request_stop();
  }

  Run& run;
  Operation& operation;  // stays where it is until the attempt was taken back
  const std::uint32_t number;
  std::optional<StepContext> context;  // if the body takes it
  std::stop_source stop{std::nostopstate};
  std::optional<Failure> failed;                                   // set: choose the delay after this failure
  std::shared_ptr<bool> delay_chosen;                              // by now; owned by the loop
  std::atomic<bool> cancelled = false;                             // if it has not begun, it need not
  std::variant<std::monostate, Value, Failure, Duration> outcome;  // nothing: it did not run
};

class Bodies {
 public:
  // `wake` is called on a thread of the pool.
  Bodies(std::uint32_t threads, std::function<void()> wake);

  void start(std::unique_ptr<Attempt> attempt);
  std::vector<std::unique_ptr<Attempt>> take_ended();
  bool on_this_thread() const { return pool_.get_executor().running_in_this_thread(); }
  // Nothing may be running.
  void join() { pool_.join(); }

 private:
  void carry_out(std::unique_ptr<Attempt> attempt);

  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Attempt>> ended_;
  mutable boost::asio::thread_pool pool_;
};

}  // namespace workflows::detail
