#pragma once
// What other threads ask of the engine and wait for.

#include <future>
#include <optional>
#include <unordered_map>
#include <utility>

#include <workflows/host.h>

#include "engine/values/mutex.h"

namespace workflows::detail {

// Thread-safe.
class Calls {
 public:
  using Result = decltype(CallReply::result);

  // `ask` makes the call and returns its id. Throws the error that the engine refuses calls with.
  template <class Ask>
  std::shared_future<Result> issue(Ask ask) {
    const values::MutexLock lock(mutex_);
    check();
    return expect(ask(), std::nullopt);
  }

  // One watch per instance, however many wait for it.
  template <class Ask>
  std::shared_future<Result> watch(InstanceKey instance, Ask ask) {
    const values::MutexLock lock(mutex_);
    check();
    const auto known = watches_.find(instance);
    return known != watches_.end() ? known->second : expect(ask(), instance);
  }

  // Does something that needs an engine which is not refusing.
  template <class Use>
  auto use(Use action) {
    const values::MutexLock lock(mutex_);
    check();
    return action();
  }

  void answer(CallReply reply);
  // Answers all that wait, and all that will ask, with `error`.
  void refuse(const Error& error);

 private:
  struct Waiting {
    std::promise<Result> promise;
    std::optional<InstanceKey> watched;
  };

  void check() const REQUIRES(mutex_) {
    if (refusal_) throw_error(*refusal_);
  }
  std::shared_future<Result> expect(CallId call, std::optional<InstanceKey> watched) REQUIRES(mutex_);

  values::Mutex mutex_;
  std::unordered_map<CallId, Waiting> waiting_ GUARDED_BY(mutex_);
  std::unordered_map<InstanceKey, std::shared_future<Result>> watches_ GUARDED_BY(mutex_);
  std::optional<Error> refusal_ GUARDED_BY(mutex_);
};

}  // namespace workflows::detail
