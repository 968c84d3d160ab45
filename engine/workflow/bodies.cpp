#include "engine/workflow/bodies.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include "engine/workflow/exceptions.h"
#include "engine/workflow/run.h"

namespace workflows::detail {
namespace {

constexpr std::uint32_t kLeastThreads = 4;
constexpr std::size_t kCollected = 64;
constexpr std::size_t kFew = 4;
constexpr auto kAwake = std::chrono::microseconds(50);
constexpr auto kLongestLook = std::chrono::microseconds(800);
constexpr auto kBriskBody = std::chrono::microseconds(5);  // such bodies need no further thread

std::uint32_t pool_size(std::uint32_t wanted) {
  return wanted > 0 ? wanted : std::max(kLeastThreads, std::thread::hardware_concurrency());
}

// To be called while an exception is handled.
std::unique_ptr<Failure> failed() {
  try {
    return std::make_unique<Failure>(to_failure(std::current_exception()));
  } catch (const std::bad_alloc&) {  // then that is the failure
    return std::make_unique<Failure>(to_failure(std::current_exception()));
  }
}

decltype(Attempt::outcome) run_body(Attempt& attempt) {
  try {
    if (attempt.output != nullptr) {
      const std::string* output = *attempt.output ? &(*attempt.output)->json : nullptr;
      attempt.operation.step->run_rollback(*attempt.context, *attempt.failed, output);
      return Value{"null"};
    }
    return Value{attempt.operation.step->run_body(attempt.context.get())};
  } catch (...) { return failed(); }
}

decltype(Attempt::outcome) choose_delay(Attempt& attempt) {
  try {
    attempt.run.time_delay(attempt);
    return (*attempt.delay)(attempt.number, *attempt.failed);
  } catch (...) { return failed(); }
}

}  // namespace

Bodies::Bodies(std::uint32_t threads, std::function<TimePoint()> now, std::function<void()> wake)
    : threads_(pool_size(threads)), now_(std::move(now)), wake_(std::move(wake)), pool_(threads_) {
  collected_.reserve(kCollected);
}

Bodies::~Bodies() {
  pool_.join();
  waiting_.consume_all([](Attempt* attempt) { delete attempt; });
  while (next_ended()) {}
}

void Bodies::start(std::unique_ptr<Attempt> attempt) {
  collected_.push_back(std::move(attempt));
  if (collected_.size() == kCollected) hand_over();
}

void Bodies::hand_over() {
  if (collected_.empty()) return;
  handed_over_ += collected_.size();
  for (auto& attempt : collected_) {
    if (!attempt) continue;  // it was handed over before memory ran out
    waiting_.push(attempt.get());
    static_cast<void>(attempt.release());
  }
  collected_.clear();
  call_a_thread();
}

bool Bodies::take_place() {
  auto busy = busy_threads_.load();
  while (busy < threads_) {
    if (busy_threads_.compare_exchange_weak(busy, busy + 1)) return true;
  }
  return false;
}

void Bodies::call_a_thread() {
  if (has_watcher_.exchange(false) || !take_place()) return;
  try {
    boost::asio::post(pool_, [this] { carry_out_waiting(); });
  } catch (const std::bad_alloc&) {
    --busy_threads_;
    throw;
  }
}

void Bodies::carry_out_waiting() {
  std::size_t carried_out = 0;
  do {
    Attempt* attempt = nullptr;
    for (carried_out = 0; waiting_.pop(attempt); ++carried_out) {
      begun_.fetch_add(1, std::memory_order_relaxed);
      if (!waiting_.empty()) call_a_stand_by();
      carry_out(*attempt);
    }
    --busy_threads_;
    if (carried_out > 0 && carried_out <= kFew && watch()) continue;
  } while (!waiting_.empty() && take_place());  // what came between the look and the farewell
}

// True: it was called.
bool Bodies::watch() {
  if (has_watcher_.exchange(true)) return false;
  const auto end = std::chrono::steady_clock::now() + kUsualCommit;
  while (has_watcher_ && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return !has_watcher_.exchange(false);
}

void Bodies::call_a_stand_by() {
  if (has_stand_by_.exchange(true)) return;
  if (take_place()) {
    try {
      return boost::asio::post(pool_, [this] { stand_by(); });
    } catch (const std::bad_alloc&) { --busy_threads_; }  // then this thread carries them out
  }
  has_stand_by_ = false;
}

void Bodies::stand_by() {
  for (auto pause = kAwake;; pause = std::min(2 * pause, kLongestLook)) {
    const std::uint64_t before = begun_;
    std::this_thread::sleep_for(pause);
    const std::uint64_t begun = begun_ - before;
    if (begun == 0) break;
    if (!waiting_.empty() && begun < static_cast<std::uint64_t>(pause / kBriskBody)) break;
  }
  has_stand_by_ = false;
  carry_out_waiting();
}

void Bodies::carry_out(Attempt& attempt) {
  attempt.began = now_();
  if (!attempt.cancelled) attempt.outcome = attempt.delay != nullptr ? choose_delay(attempt) : run_body(attempt);
  Attempt* before = ended_.load();
  do { attempt.ended_before = before; } while (!ended_.compare_exchange_weak(before, &attempt));
  // From here on the attempt is the loop's.
  if (before == nullptr && !loop_watches_) wake_();
}

// To sleep and be woken takes longer than most bodies, and a good part of a commit.
bool Bodies::wait_briefly(const std::function<bool()>& committed) {
  const bool few_begun = handed_over_ > 0 && handed_over_ <= kFew;
  const bool few_ended = taken_back_ > 0 && taken_back_ <= kFew;
  handed_over_ = taken_back_ = 0;
  if (!few_begun && !few_ended) return false;
  loop_watches_ = true;
  const auto end = std::chrono::steady_clock::now() + (few_ended ? kUsualCommit : kAwake);
  while (ended_ == nullptr && !(few_ended && committed()) && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  loop_watches_ = false;
  return ended_ != nullptr;
}

std::unique_ptr<Attempt> Bodies::next_ended() {
  if (taken_ == nullptr) {
    for (Attempt* newest = ended_.exchange(nullptr); newest != nullptr;) {  // the order of the list is turned round
      Attempt* const before = std::exchange(newest->ended_before, taken_);
      taken_ = std::exchange(newest, before);
    }
  }
  Attempt* const oldest = taken_;
  if (oldest != nullptr) {
    taken_ = oldest->ended_before;
    ++taken_back_;
  }
  return std::unique_ptr<Attempt>(oldest);
}

}  // namespace workflows::detail
