// The command line, for the console script of the package.

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <workflows/error.h>

#include "bindings.h"
#include "engine/cli/cli.h"

namespace py = pybind11;

namespace workflows::python {
namespace {

// What a shell handed over: any bytes, as Python keeps them in `sys.argv`.
py::object as_argument(const std::string& text) {
  return py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefaultAndSize(text.data(), std::ssize(text)));
}

py::dict to_dict(const cli::CodeRequest& request) {
  py::list targets;
  for (const std::string& target : request.targets) targets.append(as_argument(target));
  py::dict dict;
  dict["command"] = request.command;
  dict["db"] = as_argument(request.database);
  dict["json"] = request.json;
  dict["targets"] = targets;
  dict["id"] = as_argument(request.id);
  dict["params"] = request.params;
  dict["debug"] = as_argument(request.debug);
  dict["all"] = request.all;
  dict["workflow"] = as_argument(request.workflow);
  dict["status"] = request.status;
  return dict;
}

// `accept` takes a request that needs Python code, to carry it out when this has returned.
int cli_main(const std::vector<py::bytes>& given, const py::function& accept) {
  const std::vector<std::string> arguments(given.begin(), given.end());
  const py::gil_scoped_release unlocked;
  return cli::run(arguments, [&](const cli::CodeRequest& request) {
    const py::gil_scoped_acquire locked;
    accept(to_dict(request));
    return 0;
  });
}

std::unique_ptr<InstanceHistory> cli_history(const py::bytes& database, const std::string& workflow,
                                             const py::bytes& name) {
  const std::string file(database);
  const std::string named(name);
  const py::gil_scoped_release unlocked;
  return std::make_unique<InstanceHistory>(cli::history_for_code(file, workflow, named));
}

py::str cli_harmless(const py::bytes& text) { return cli::for_terminal(std::string(text)); }

// Of a code as `.code` of an exception has it.
int cli_exit_code(const std::string& code) {
#define X(name, type, number) \
  if (code == #name) return number;
  WORKFLOWS_ERRORS(X)
#undef X
  return 1;
}

}  // namespace

void bind_cli(py::module_& module) {
  module.def("cli_main", &cli_main, py::arg("arguments"), py::arg("accept"));
  module.def("cli_history", &cli_history, py::arg("database"), py::arg("workflow"), py::arg("name"));
  module.def("cli_harmless", &cli_harmless, py::arg("text"));
  module.def("cli_exit_code", &cli_exit_code, py::arg("code"));
}

}  // namespace workflows::python
