// The native module workflows._core: the verbs of workflows/host.h and client.h for Python, in integers and bytes. It
// holds no Python object and runs no Python code; native threads never take the GIL.

#include "bindings.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The engine. Private: use the package `workflows`.";
  workflows::python::bind_errors(module);
  workflows::python::bind_config(module);
  workflows::python::bind_json(module);
  workflows::python::bind_client(module);
  workflows::python::bind_host(module);
}
