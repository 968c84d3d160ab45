#include "engine/workflow/bodies.h"

#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include "engine/workflow/exceptions.h"

namespace workflows::detail {
namespace {

constexpr std::uint32_t kLeastThreads = 4;

std::uint32_t pool_size(std::uint32_t wanted) {
  return wanted > 0 ? wanted : std::max(kLeastThreads, std::thread::hardware_concurrency());
}

decltype(Attempt::outcome) run_body(Attempt& attempt) {
  try {
    return Value{attempt.operation.step->run_body(attempt.context ? &*attempt.context : nullptr)};
  } catch (...) { return to_failure(std::current_exception()); }
}

decltype(Attempt::outcome) choose_delay(Attempt& attempt) {
  try {
    return attempt.operation.step->delay(attempt.number, *attempt.failed);
  } catch (...) { return to_failure(std::current_exception()); }
}

}  // namespace

Bodies::Bodies(std::uint32_t threads, std::function<void()> wake) : wake_(std::move(wake)), pool_(pool_size(threads)) {}

void Bodies::start(std::unique_ptr<Attempt> attempt) {
  boost::asio::post(pool_, [this, attempt = std::move(attempt)]() mutable { carry_out(std::move(attempt)); });
}

void Bodies::carry_out(std::unique_ptr<Attempt> attempt) {
  if (!attempt->cancelled) attempt->outcome = attempt->failed ? choose_delay(*attempt) : run_body(*attempt);
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    first = ended_.empty();
    ended_.push_back(std::move(attempt));
  }
  if (first) wake_();
}

std::vector<std::unique_ptr<Attempt>> Bodies::take_ended() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(ended_, {});
}

}  // namespace workflows::detail
