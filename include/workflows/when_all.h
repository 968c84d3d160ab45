#pragma once
// Awaiting several things at the same time.

#include <coroutine>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <workflows/declared_step.h>
#include <workflows/workflow.h>

namespace workflows {

namespace detail {

template <class R>
TypedStepCall<R> part(const DeclaredStep<R>& step) {
  return TypedStepCall<R>(step.node());
}
template <class R>
void part(const DeclaredStep<R>&& step) = delete;
inline Sleep part(Sleep&& sleep) { return std::move(sleep); }
template <class T>
Wait<T> part(Wait<T>&& wait) {
  return std::move(wait);
}
template <class T>
Workflow<T> part(Workflow<T>&& workflow) {
  return std::move(workflow);
}

template <class T>
concept Joinable = requires(T&& awaitable) { part(std::forward<T>(awaitable)); };

template <class Part>
auto result_of(Part& part) {
  if constexpr (std::is_void_v<decltype(part.result())>) {
    part.result();
    return std::monostate();
  } else {
    return part.result();
  }
}

template <class... Parts>
class WhenAll {
 public:
  explicit WhenAll(Parts&&... parts) : parts_(std::move(parts)...) {}

  bool await_ready() {
    std::apply([](auto&... part) { (part.begin(), ...); }, parts_);
    return std::apply([](auto&... part) { return (part.done() && ...); }, parts_);
  }
  void await_suspend(std::coroutine_handle<> code) noexcept {
    waiter_ = {code, 0};
    std::apply([this](auto&... part) { (this->join(part), ...); }, parts_);
  }
  auto await_resume() {
    return std::apply([](auto&... part) { return std::tuple{result_of(part)...}; }, parts_);
  }

 private:
  void join(auto& part) noexcept {
    if (part.done()) return;
    ++waiter_.remaining;
    part.await_by(waiter_);
  }

  std::tuple<Parts...> parts_;
  Waiter waiter_;
};

template <class Part>
class WhenAllOf {
 public:
  explicit WhenAllOf(std::vector<Part> parts) : parts_(std::move(parts)) {}

  bool await_ready() {
    bool done = true;
    for (auto& part : parts_) part.begin();
    for (auto& part : parts_) done = done && part.done();
    return done;
  }
  void await_suspend(std::coroutine_handle<> code) noexcept {
    waiter_ = {code, 0};
    for (auto& part : parts_) {
      if (part.done()) continue;
      ++waiter_.remaining;
      part.await_by(waiter_);
    }
  }
  auto await_resume() {
    std::vector<decltype(result_of(parts_.front()))> results;
    results.reserve(parts_.size());
    for (auto& part : parts_) results.push_back(result_of(part));
    return results;
  }

 private:
  std::vector<Part> parts_;
  Waiter waiter_;
};

}  // namespace detail

// Awaits several things at the same time: declared steps (lvalues), sleeps, waits, workflows. Gives a tuple of their
// results, std::monostate for void. Goes on when all have ended; if some failed, it throws what the first of them, in
// the order given here, threw.
template <class... Awaitables>
  requires(detail::Joinable<Awaitables> && ...)
auto when_all(Awaitables&&... awaitables) {
  return detail::WhenAll<decltype(detail::part(std::forward<Awaitables>(awaitables)))...>(
      detail::part(std::forward<Awaitables>(awaitables))...);
}

// The same for any number of one kind: a vector of their results.
template <class R>
auto when_all(const std::vector<DeclaredStep<R>>& steps) {
  std::vector<detail::TypedStepCall<R>> parts;
  parts.reserve(steps.size());
  for (const auto& step : steps) parts.push_back(detail::part(step));
  return detail::WhenAllOf<detail::TypedStepCall<R>>(std::move(parts));
}
template <class T>
auto when_all(std::vector<Workflow<T>> branches) {
  return detail::WhenAllOf<Workflow<T>>(std::move(branches));
}

}  // namespace workflows
