#include "engine/runtime/refusal.h"

namespace workflows::runtime {

std::optional<Error> conflict(const storage::Created& created, const CreateRequest& request) {
  if (!created.existed) return std::nullopt;
  const std::string instance = "workflow '" + request.workflow + "' has an instance '" + request.id + "' already";
  if (request.on_conflict == OnConflict::error) {
    return Error{ErrorCode::instance_exists,
                 instance + "; choose another id, or pass on_conflict=\"return\" to get that one"};
  }
  if (created.same_params) return std::nullopt;
  return Error{ErrorCode::instance_exists,
               instance + ", created with other params; pass the same params to get it, or choose another id"};
}

Error refusal(ErrorCode code, const std::string& workflow, const std::string& id) {
  const std::string instance = "instance '" + id + "' of workflow '" + workflow + "'";
  if (code == ErrorCode::instance_finished) { return {code, instance + " is finished and takes no more events"}; }
  return {code, "there is no " + instance + "; list the instances to see which ids exist"};
}

Error refusal(const storage::Controlled& done, const std::string& workflow, const std::string& id,
              std::string_view wanted) {
  if (*done.refused != ErrorCode::invalid_transition) return refusal(*done.refused, workflow, id);
  std::string message = "instance '" + id + "' of workflow '" + workflow + "' is " +
                        std::string(to_string(done.found)) + " and cannot be " + std::string(wanted);
  if (done.found == Status::rolling_back) {
    message += "; wait until its rollbacks have ended";
  } else if (is_finished(done.found)) {
    message += "; a finished instance can be restarted or deleted";
  } else {
    message += "; only a paused one can";
  }
  return {ErrorCode::invalid_transition, std::move(message)};
}

std::variant<InstanceRef, Error> outcome_of(const storage::Created& created, const CreateRequest& request) {
  if (auto error = conflict(created, request)) return std::move(*error);
  return InstanceRef{created.key, request.workflow, request.id};
}

}  // namespace workflows::runtime
