#pragma once

#include <pybind11/pybind11.h>

namespace workflows::python {

void bind_errors(pybind11::module_& module);
void bind_config(pybind11::module_& module);
void bind_json(pybind11::module_& module);
void bind_client(pybind11::module_& module);
void bind_host(pybind11::module_& module);
void bind_steps(pybind11::module_& module);
void bind_watched(pybind11::module_& module);
void bind_run(pybind11::module_& module);
void bind_cli(pybind11::module_& module);
void bind_driver(pybind11::module_& module);

}  // namespace workflows::python
