#pragma once
// Workflow<T>: what a workflow function returns. A coroutine that starts when the engine, or another workflow function
// that awaits it, lets it; whoever holds the Workflow owns the frame. Not thread-safe: it runs on the engine's loop.
//
//   workflows::Workflow<int> add(int a, int b, workflows::Step& step);     // part of a workflow
//   int sum = co_await add(1, 2, step);

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include <workflows/codec.h>

namespace workflows {

template <class T>
class Workflow;

namespace detail {

// Code that waits for one or several things; it goes on when the last of them has ended.
struct Waiter {
  std::coroutine_handle<> code{};
  std::size_t remaining = 1;

  std::coroutine_handle<> one_ended() noexcept {
    return --remaining == 0 ? code : static_cast<std::coroutine_handle<>>(std::noop_coroutine());
  }
};

class WorkflowPromise {
 public:
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      Waiter* next = ended.promise().waiter;
      return next ? next->one_ended() : static_cast<std::coroutine_handle<>>(std::noop_coroutine());
    }
    void await_resume() const noexcept {}
  };

  virtual ~WorkflowPromise() = default;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  // Once ended: the result as JSON; throws what the code threw.
  virtual std::string encode_result() const = 0;

  Waiter* waiter = nullptr;

 protected:
  void rethrow_error() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
};

template <class T>
class TypedPromise : public WorkflowPromise {
 public:
  Workflow<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  std::string encode_result() const override {
    rethrow_error();
    return Codec<T>::encode(*value_);
  }
  T result() {
    rethrow_error();
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class TypedPromise<void> : public WorkflowPromise {
 public:
  Workflow<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  std::string encode_result() const override {
    rethrow_error();
    return Codec<void>::encode();
  }
  void result() const { rethrow_error(); }
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Workflow {
 public:
  using promise_type = detail::TypedPromise<T>;
  using Frame = std::coroutine_handle<promise_type>;

  explicit Workflow(Frame frame) noexcept : frame_(frame) {}
  Workflow(Workflow&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  Workflow& operator=(Workflow&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~Workflow() {
    if (frame_) frame_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(Frame frame) noexcept : frame_(frame) {}
    bool await_ready() const noexcept { return frame_.done(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> code) noexcept {
      waiter_.code = code;
      frame_.promise().waiter = &waiter_;
      return frame_;
    }
    T await_resume() { return frame_.promise().result(); }

   private:
    Frame frame_;
    detail::Waiter waiter_;
  };
  Awaiter operator co_await() const noexcept { return Awaiter(frame_); }

  // For when_all and the engine.
  void begin() { frame_.resume(); }
  bool done() const noexcept { return frame_.done(); }
  void await_by(detail::Waiter& waiter) noexcept { frame_.promise().waiter = &waiter; }
  T result() { return frame_.promise().result(); }
  Frame release() noexcept { return std::exchange(frame_, {}); }

 private:
  Frame frame_;
};

namespace detail {

template <class T>
Workflow<T> TypedPromise<T>::get_return_object() noexcept {
  return Workflow<T>(std::coroutine_handle<TypedPromise<T>>::from_promise(*this));
}

inline Workflow<void> TypedPromise<void>::get_return_object() noexcept {
  return Workflow<void>(std::coroutine_handle<TypedPromise<void>>::from_promise(*this));
}

}  // namespace detail
}  // namespace workflows
