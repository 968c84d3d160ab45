#include "convert.h"

#include <memory>
#include <utility>

namespace workflows::python {
namespace {

py::object number_or_none(const std::optional<TimePoint>& time) {
  return time ? py::object(py::int_(to_number(*time))) : py::object(py::none());
}

py::tuple attempt_to_python(const AttemptInfo& attempt) {
  return py::make_tuple(attempt.number, number_or_none(attempt.began), number_or_none(attempt.ended),
                        to_python(attempt.failure));
}

// What a CallReply holds: nothing, an instance, its status, or an error as (code, message).
struct ReplyToPython {
  py::object operator()(std::monostate) const { return py::none(); }
  py::object operator()(const InstanceRef& ref) const { return to_python(ref); }
  py::object operator()(const InstanceStatus& status) const { return to_python(status); }
  py::object operator()(const Error& error) const {
    return py::make_tuple(to_text(to_string(error.code)), to_text(error.message));
  }
  py::object operator()(const BatchOutcome& outcomes) const { return to_python(outcomes); }
};

}  // namespace

py::str to_text(std::string_view text) {
  PyObject* decoded = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (decoded == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

py::bytes to_bytes(std::string_view bytes) { return py::bytes(bytes.data(), bytes.size()); }

std::string from_bytes(const py::bytes& bytes) { return static_cast<std::string>(bytes); }

std::string from_text(PyObject* text) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
  if (utf8 == nullptr) throw py::error_already_set();
  return {utf8, static_cast<std::size_t>(size)};
}

Retention to_retention(std::optional<std::int64_t> success_ms, std::optional<std::int64_t> failure_ms) {
  Retention kept;
  if (success_ms) kept.success = Millis(*success_ms);
  if (failure_ms) kept.failure = Millis(*failure_ms);
  return kept;
}

std::optional<Retention> to_retention(const py::object& retention) {
  if (retention.is_none()) return std::nullopt;
  const auto both = retention.cast<std::pair<std::optional<std::int64_t>, std::optional<std::int64_t>>>();
  return to_retention(both.first, both.second);
}

std::vector<CreateRequest> to_requests(const std::string& workflow, const py::list& items) {
  std::vector<CreateRequest> requests;
  requests.reserve(items.size());
  for (const auto& item : items) {
    const auto members = py::reinterpret_borrow<py::tuple>(item);
    requests.push_back({.workflow = workflow,
                        .params = from_bytes(members[1].cast<py::bytes>()),
                        .id = members[0].cast<std::string>(),
                        .on_conflict = OnConflict::error,
                        .retention = to_retention(members[2])});
  }
  return requests;
}

std::int64_t to_number(TimePoint time) { return time.time_since_epoch().count(); }

TimePoint to_time(std::int64_t milliseconds) { return TimePoint(Millis(milliseconds)); }

py::tuple to_python(const Failure& failure) {
  return py::make_tuple(to_text(failure.type), to_text(failure.message), failure.retryable, to_text(failure.traceback),
                        failure.cause ? py::object(to_python(*failure.cause)) : py::object(py::none()),
                        to_bytes(failure.data));
}

Failure to_failure(const py::tuple& failure) {
  Failure result;
  result.type = failure[0].cast<std::string>();
  result.message = failure[1].cast<std::string>();
  result.retryable = failure[2].cast<bool>();
  result.traceback = failure[3].cast<std::string>();
  if (!failure[4].is_none()) result.cause = std::make_shared<Failure>(to_failure(failure[4].cast<py::tuple>()));
  result.data = from_bytes(failure[5].cast<py::bytes>());
  return result;
}

py::tuple to_python(const Outcome& outcome) {
  if (const auto* value = std::get_if<Value>(&outcome)) return py::make_tuple(0, to_bytes(value->json));
  if (const auto* failure = std::get_if<Failure>(&outcome)) return py::make_tuple(1, to_python(*failure));
  const auto& event = std::get<Received>(outcome);
  return py::make_tuple(2, to_text(event.type), to_bytes(event.payload), to_number(event.at));
}

BodyOutcome to_body_outcome(const py::tuple& outcome) {
  if (outcome[0].cast<int>() == 0) return Value{from_bytes(outcome[1].cast<py::bytes>())};
  return to_failure(outcome[1].cast<py::tuple>());
}

py::tuple to_python(const StartInstance& action) {
  return py::make_tuple(action.instance, to_text(action.workflow), to_text(action.id), to_bytes(action.params),
                        to_number(action.created));
}

py::tuple to_python(const CancelStepBody& action) {
  return py::make_tuple(action.instance, action.ticket, action.attempt);
}

py::tuple to_python(const AttemptDue& action) {
  return py::make_tuple(action.instance, action.ticket, action.attempt, to_number(action.since));
}

py::tuple to_python(const ChooseRetryDelay& action) {
  return py::make_tuple(action.instance, action.ticket, action.attempt, to_python(action.failure));
}

py::tuple to_python(const StartNode& action) {
  return py::make_tuple(action.instance, action.node, action.failed_dependency);
}

py::tuple to_python(const EvictInstance& action) { return py::make_tuple(action.instance); }

py::tuple to_python(const InstanceEnded& action) { return py::make_tuple(action.instance, to_python(action.status)); }

py::tuple to_python(const CallReply& action) {
  return py::make_tuple(action.call, action.result.index(), std::visit(ReplyToPython{}, action.result));
}

py::tuple to_python(const LogRecord& action) {
  return py::make_tuple(static_cast<int>(action.level), to_text(action.message));
}

py::tuple to_python(const EngineStopped& action) {
  return py::make_tuple(to_text(to_string(action.error.code)), to_text(action.error.message));
}

py::tuple to_python(const RunRollback& action) {
  const py::object output = action.output ? py::object(to_bytes(action.output->json)) : py::object(py::none());
  return py::make_tuple(action.instance, action.ticket, action.attempt, action.of, to_python(action.error), output);
}

py::list to_python(const BatchOutcome& outcomes) {
  py::list list;
  for (const auto& outcome : outcomes) {
    if (const auto* ref = std::get_if<InstanceRef>(&outcome)) {
      list.append(to_python(*ref));
    } else {
      const auto& error = std::get<Error>(outcome);
      list.append(py::make_tuple(to_text(to_string(error.code)), to_text(error.message)));
    }
  }
  return list;
}

py::tuple to_python(const InstanceRef& ref) { return py::make_tuple(ref.key, to_text(ref.workflow), to_text(ref.id)); }

py::tuple to_python(const InstanceStatus& status) {
  return py::make_tuple(to_text(to_string(status.status)), to_bytes(status.output), to_python(status.failure),
                        to_bytes(status.rollback), to_text(status.reason));
}

py::tuple to_python(const InstanceInfo& info) {
  return py::make_tuple(info.key, to_text(info.workflow), to_text(info.id), info.generation,
                        to_text(to_string(info.status)), to_number(info.created), to_number(info.updated),
                        number_or_none(info.wake), to_text(info.version), info.owner, number_or_none(info.expires));
}

py::tuple to_python(const StepInfo& step) {
  py::list attempts;
  for (const auto& attempt : step.attempts) attempts.append(attempt_to_python(attempt));
  return py::make_tuple(step.number, to_text(to_string(step.kind)), to_text(step.name), step.occurrence,
                        to_text(step.status), attempts, number_or_none(step.began), number_or_none(step.ended),
                        number_or_none(step.deadline), to_text(step.event_type), to_bytes(step.config),
                        py::cast(step.depends), to_bytes(step.result), to_python(step.failure));
}

py::tuple to_python(const RecordedEntry& recorded) {
  const Entry& entry = recorded.entry;
  return py::make_tuple(recorded.cursor, to_text(to_string(entry.kind)), entry.step,
                        entry.name.empty() ? std::string_view() : to_string(entry.step_kind), to_text(entry.name),
                        entry.occurrence, entry.attempt, to_number(entry.at), number_or_none(entry.began),
                        number_or_none(entry.deadline), to_text(entry.event_type), to_text(entry.source),
                        to_bytes(entry.detail), to_bytes(entry.value));
}

}  // namespace workflows::python
