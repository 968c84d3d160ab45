#include "storage/lifecycle.h"

#include "engine/values/json.h"

namespace workflows::storage {
namespace {

using Kind = Transition::Kind;

Transition pause(Status from, bool owned) {
  switch (from) {
    case Status::queued:
    case Status::running:
    case Status::waiting:
      if (!owned) return {.kind = Kind::append, .entry = EntryKind::paused};
      return {.kind = Kind::set_status, .status = Status::waiting_for_pause, .notice = Notice::Kind::pause};
    case Status::waiting_for_pause:
    case Status::paused:
      return {.kind = Kind::nothing};
    default:
      return {};
  }
}

Transition resume(Status from, bool owned) {
  if (from == Status::paused) return {.kind = Kind::append, .entry = EntryKind::resumed};
  if (from != Status::waiting_for_pause || !owned) return {};
  return {.kind = Kind::set_status, .status = Status::running, .notice = Notice::Kind::resume};
}

Transition terminate(bool owned) {
  const auto notice = owned ? std::optional(Notice::Kind::lost) : std::nullopt;
  return {.kind = Kind::append, .entry = EntryKind::instance_terminated, .notice = notice};
}

Transition roll_back(bool owned, bool fresh) {
  if (owned) return {.kind = Kind::set_status, .status = Status::rolling_back, .notice = Notice::Kind::roll_back};
  return fresh ? terminate(owned) : Transition{.kind = Kind::append, .entry = EntryKind::rollback_started};
}

}  // namespace

Transition transition(Status from, Verb verb, bool owned, bool fresh) {
  if (from == Status::rolling_back) return {};
  if (verb == Verb::remove)
    return {.kind = Kind::remove, .notice = owned ? std::optional(Notice::Kind::lost) : std::nullopt};
  if (is_finished(from)) return {};
  switch (verb) {
    case Verb::pause:
      return pause(from, owned);
    case Verb::resume:
      return resume(from, owned);
    case Verb::terminate:
      return terminate(owned);
    default:
      return roll_back(owned, fresh);
  }
}

namespace {

// The text of a string, anything else as it is.
std::string member(std::string_view object, std::string_view key) {
  const std::string_view value = values::raw_member(object, key);
  return values::is_json_string(value) ? values::decode_json_string(value) : std::string(value);
}

}  // namespace

InstanceStatus outcome_of(Status status, const Entry& last) {
  InstanceStatus outcome{.status = status};
  if (last.kind == EntryKind::instance_completed) outcome.output = last.value;
  if (last.kind == EntryKind::instance_errored) outcome.failure = Failure::from_json(last.value);
  if (is_finished(status)) outcome.rollback = member(last.detail, "rollback");
  if (status == Status::paused && last.kind == EntryKind::paused && !last.value.empty())
    outcome.reason = member(last.value, "reason") + ": " + member(last.value, "message");
  return outcome;
}

}  // namespace workflows::storage
