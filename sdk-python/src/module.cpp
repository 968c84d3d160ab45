// The native module workflows._core: the verbs of workflows/host.h and client.h for Python, and what a step passes
// through on its way (steps.h, run.h, driver.h). Native threads never take the GIL and hold no Python object.

#include "bindings.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The engine. Private: use the package `workflows`.";
  workflows::python::bind_errors(module);
  workflows::python::bind_config(module);
  workflows::python::bind_json(module);
  workflows::python::bind_client(module);
  workflows::python::bind_host(module);
  workflows::python::bind_steps(module);
  workflows::python::bind_watched(module);
  workflows::python::bind_driver(module);
  workflows::python::bind_run(module);
  workflows::python::bind_cli(module);
}
