#include "engine/workflow/calls.h"

namespace workflows::detail {

std::shared_future<Calls::Result> Calls::expect(CallId call, std::optional<InstanceKey> watched) {
  Waiting& waiting = waiting_[call];
  waiting.watched = watched;
  std::shared_future<Result> future = waiting.promise.get_future().share();
  if (watched) watches_[*watched] = future;
  return future;
}

void Calls::answer(CallReply reply) {
  const values::MutexLock lock(mutex_);
  const auto found = waiting_.find(reply.call);
  if (found == waiting_.end()) return;
  if (found->second.watched) watches_.erase(*found->second.watched);
  found->second.promise.set_value(std::move(reply.result));
  waiting_.erase(found);
}

void Calls::refuse(const Error& error) {
  const values::MutexLock lock(mutex_);
  refusal_ = error;
  for (auto& [call, waiting] : waiting_) waiting.promise.set_value(error);
  waiting_.clear();
  watches_.clear();
}

}  // namespace workflows::detail
