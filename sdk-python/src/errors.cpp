// Errors of the engine become the Python classes of the same name, which live in workflows/_errors.py.

#include <workflows/error.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "bindings.h"
#include "convert.h"
#include "native.h"

namespace workflows::python {
namespace {

struct TableRow {
  ErrorCode code;
  const char* class_name;
};

constexpr TableRow kTable[] = {
#define X(code, type, exit_code) {ErrorCode::code, #type},
    WORKFLOWS_ERRORS(X)
#undef X
};

const char* class_name(ErrorCode code) {
  for (const auto& row : kTable) {
    if (row.code == code) return row.class_name;
  }
  return "WorkflowsError";
}

void translate(std::exception_ptr pending) {
  if (!pending) return;
  try {
    std::rethrow_exception(pending);
  } catch (const WorkflowsError& error) {
    const py::object exception = exception_of(error);
    PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
  }
}

py::list error_table() {
  py::list table;
  for (const auto& row : kTable) {
    table.append(py::make_tuple(to_text(to_string(row.code)), row.class_name, exit_code(row.code)));
  }
  return table;
}

void raise_error(std::string_view code, const std::string& message) {
  for (const auto& row : kTable) {
    if (to_string(row.code) == code) throw_error({row.code, message});
  }
  throw py::value_error("no error has the code '" + std::string(code) + "'");
}

}  // namespace

py::object exception_of(const WorkflowsError& error) {
  return py::module_::import("workflows._errors").attr(class_name(error.code()))(to_text(error.what()));
}

void raise(std::exception_ptr error) noexcept {
  try {
    translate(std::move(error));
  } catch (py::error_already_set& raised) { raised.restore(); } catch (const std::exception& other) {
    PyErr_SetString(PyExc_RuntimeError, other.what());
  }
}

void bind_errors(py::module_& module) {
  py::register_local_exception_translator(&translate);
  module.def("error_table", &error_table, "Rows (code, class name, exit code).");
  module.def("raise_error", &raise_error, py::arg("code"), py::arg("message"),
             "Raises the exception class that belongs to `code`.");
}

}  // namespace workflows::python
