// Step configurations, durations and the checks of names.

#include <workflows/config.h>
#include <workflows/host.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "bindings.h"
#include "convert.h"

namespace workflows::python {
namespace {

std::string_view backoff_name(Backoff backoff) {
  switch (backoff) {
    case Backoff::constant:
      return "constant";
    case Backoff::linear:
      return "linear";
    case Backoff::exponential:
      break;
  }
  return "exponential";
}

StepConfig make_config(std::string_view json, bool dynamic_delay) {
  StepConfig config = StepConfig::from_json(json);
  config.retries.dynamic_delay = dynamic_delay;
  return config;
}

}  // namespace

void bind_config(py::module_& module) {
  py::class_<StepConfig>(module, "StepConfig")
      .def(py::init(&make_config), py::arg("json"), py::arg("dynamic_delay"))
      .def_property_readonly("limit", [](const StepConfig& c) { return c.retries.limit; })
      .def_property_readonly("delay_ms", [](const StepConfig& c) { return c.retries.delay.millis().count(); })
      .def_property_readonly("dynamic_delay", [](const StepConfig& c) { return c.retries.dynamic_delay; })
      .def_property_readonly("backoff", [](const StepConfig& c) { return backoff_name(c.retries.backoff); })
      .def_property_readonly("max_delay_ms", [](const StepConfig& c) { return c.retries.max_delay.millis().count(); })
      .def_property_readonly("jitter", [](const StepConfig& c) { return c.retries.jitter; })
      .def_property_readonly("timeout_ms", [](const StepConfig& c) { return c.timeout.millis().count(); })
      .def_property_readonly("heartbeat_timeout_ms",
                             [](const StepConfig& c) -> std::optional<std::int64_t> {
                               if (!c.heartbeat_timeout) return std::nullopt;
                               return c.heartbeat_timeout->millis().count();
                             })
      .def_readonly("sensitive_output", &StepConfig::sensitive_output);

  module.def(
      "parse_duration", [](std::string_view text) { return parse_duration(text).count(); }, py::arg("text"),
      "Milliseconds.");
  module.def(
      "parse_failure", [](const py::bytes& json) { return to_python(Failure::from_json(from_bytes(json))); },
      py::arg("json"));
  module.def("check_workflow_name", &check_workflow_name, py::arg("name"));
  module.def("make_instance_id",
             [] { return make_instance_id(std::chrono::floor<Millis>(std::chrono::system_clock::now())); });
  module.def("check_instance_id", &check_instance_id, py::arg("id"));
  module.def("check_step_name", &check_step_name, py::arg("name"));
  module.def("check_event_type", &check_event_type, py::arg("type"));
}

}  // namespace workflows::python
