#pragma once
// Values between C++ and Python: numbers, bytes and plain tuples. `_core.pyi` describes every tuple from the Python
// side.
//
// Thread-safety: all of it needs the GIL.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <workflows/host.h>

namespace workflows::python {

namespace py = pybind11;

// Text that may come from C++ code and need not be UTF-8: what is not becomes U+FFFD.
py::str to_text(std::string_view text);
py::bytes to_bytes(std::string_view bytes);
std::string from_bytes(const py::bytes& bytes);
// Throws if half a surrogate pair is in it.
std::string from_text(PyObject* text);
// The Python exception that belongs to it.
py::object exception_of(const WorkflowsError& error);

// (success_ms or None, failure_ms or None), or None
std::optional<Retention> to_retention(const py::object& retention);
Retention to_retention(std::optional<std::int64_t> success_ms, std::optional<std::int64_t> failure_ms);
// Each (id, params, retention).
std::vector<CreateRequest> to_requests(const std::string& workflow, const py::list& items);

// Milliseconds since 1970.
std::int64_t to_number(TimePoint time);
TimePoint to_time(std::int64_t milliseconds);

// (type, message, retryable, traceback, cause or None, data)
py::tuple to_python(const Failure& failure);
Failure to_failure(const py::tuple& failure);

// (0, json) | (1, failure) | (2, type, payload, at)
py::tuple to_python(const Outcome& outcome);
// (0, json) | (1, failure)
BodyOutcome to_body_outcome(const py::tuple& outcome);
// What the code of the package carries out itself: the members in order.
py::tuple to_python(const StartInstance& action);
py::tuple to_python(const CancelStepBody& action);
py::tuple to_python(const AttemptDue& action);
py::tuple to_python(const ChooseRetryDelay& action);
py::tuple to_python(const StartNode& action);
py::tuple to_python(const EvictInstance& action);
py::tuple to_python(const InstanceEnded& action);
py::tuple to_python(const CallReply& action);
py::tuple to_python(const LogRecord& action);
py::tuple to_python(const EngineStopped& action);
py::tuple to_python(const RunRollback& action);
// Each an InstanceRef, or (code, message).
py::list to_python(const BatchOutcome& outcomes);
// (key, workflow, id)
py::tuple to_python(const InstanceRef& ref);
// (status, output, failure or None, rollback, reason)
py::tuple to_python(const InstanceStatus& status);
py::tuple to_python(const InstanceInfo& info);
py::tuple to_python(const StepInfo& step);
py::tuple to_python(const RecordedEntry& entry);

template <class T>
py::object to_python(const std::optional<T>& value) {
  return value ? py::object(to_python(*value)) : py::object(py::none());
}

template <class T>
py::list to_list(const std::vector<T>& values) {
  py::list list(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) list[i] = to_python(values[i]);
  return list;
}

}  // namespace workflows::python
