#include <workflows/host.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "bindings.h"
#include "client_view.h"
#include "convert.h"
#include "owned.h"

namespace workflows::python {
namespace {

using PyHost = Owned<Host>;
// name, version, determinism, and how long it is kept after success and failure
using WorkflowRow =
    std::tuple<std::string, std::string, std::string, std::optional<std::int64_t>, std::optional<std::int64_t>>;

Determinism to_determinism(const std::string& word) {
  if (word == "fail") return Determinism::fail;
  return word == "ignore" ? Determinism::ignore : Determinism::pause;
}

std::unique_ptr<PyHost> open_host(std::string database, const std::string& durability,
                                  const std::vector<WorkflowRow>& workflows, std::int64_t hibernate_after_ms,
                                  std::int64_t lease_ms, std::uint32_t step_limit, std::uint64_t payload_limit,
                                  std::uint32_t max_concurrent_instances, std::string only_id,
                                  std::shared_ptr<ManualClock> clock) {
  HostOptions options;
  options.database = std::move(database);
  options.durability = durability == "normal" ? Durability::normal : Durability::full;
  for (const auto& [name, version, determinism, success_ms, failure_ms] : workflows)
    options.workflows.push_back({name, version, to_determinism(determinism), to_retention(success_ms, failure_ms)});
  options.hibernate_after = Millis(hibernate_after_ms);
  options.lease = Millis(lease_ms);
  options.step_limit = step_limit;
  options.payload_limit = payload_limit;
  options.max_concurrent_instances = max_concurrent_instances;
  options.only_id = std::move(only_id);
  options.clock = std::move(clock);
  const py::gil_scoped_release unlocked;
  return std::make_unique<PyHost>(std::make_unique<Host>(std::move(options)));
}

// `delay`: milliseconds, or a failure.
void delay_chosen(PyHost& host, InstanceKey instance, Ticket ticket, std::uint32_t attempt, const py::object& delay) {
  if (py::isinstance<py::tuple>(delay)) {
    host->delay_chosen(instance, ticket, attempt, to_failure(delay.cast<py::tuple>()));
  } else {
    host->delay_chosen(instance, ticket, attempt, Duration(Millis(delay.cast<std::int64_t>())));
  }
}

CallId create(PyHost& host, std::string workflow, const py::bytes& params, std::string id, bool return_existing,
              const py::object& retention) {
  return host->create({std::move(workflow), from_bytes(params), std::move(id),
                       return_existing ? OnConflict::return_existing : OnConflict::error, to_retention(retention)});
}

CallId send_event(PyHost& host, std::string workflow, std::string id, std::string type, const py::bytes& payload,
                  std::string event_id) {
  return host->send_event(
      {std::move(workflow), std::move(id), std::move(type), from_bytes(payload), std::move(event_id)});
}

py::dict counters(PyHost& host) {
  const Host::Counters now = host->counters();
  py::dict result;
  result["transactions"] = now.transactions;
  result["statements"] = now.statements;
  result["loads"] = now.loads;
  result["wakeups"] = now.wakeups;
  result["loaded_instances"] = now.loaded_instances;
  result["hibernated_instances"] = now.hibernated_instances;
  return result;
}

void bind_clock(py::module_& module) {
  py::class_<ManualClock, std::shared_ptr<ManualClock>>(module, "ManualClock")
      .def(py::init([](std::int64_t start_ms) { return std::make_shared<ManualClock>(to_time(start_ms)); }),
           py::arg("start_ms"))
      .def("now_ms", [](const ManualClock& clock) { return to_number(clock.now()); })
      .def(
          "advance", [](ManualClock& clock, std::int64_t ms) { clock.advance(Millis(ms)); }, py::arg("ms"))
      .def("set", [](ManualClock& clock, std::int64_t ms) { clock.set(to_time(ms)); }, py::arg("ms"));
}

void bind_verbs(py::class_<PyHost>& host) {
  host.def(
      "abandon", [](PyHost& h, InstanceKey instance, Ticket ticket) { h->abandon(instance, ticket); },
      py::arg("instance"), py::arg("ticket"));
  host.def(
      "body_finished",
      [](PyHost& h, InstanceKey instance, Ticket ticket, std::uint32_t attempt, const py::tuple& outcome) {
        h->body_finished(instance, ticket, attempt, to_body_outcome(outcome));
      },
      py::arg("instance"), py::arg("ticket"), py::arg("attempt"), py::arg("outcome"));
  host.def(
      "attempt_due",
      [](PyHost& h, InstanceKey instance, Ticket ticket, std::uint32_t attempt, std::optional<std::int64_t> began) {
        h->attempt_due(instance, ticket, attempt, began ? std::optional(to_time(*began)) : std::nullopt);
      },
      py::arg("instance"), py::arg("ticket"), py::arg("attempt"), py::arg("began"));
  host.def("now_ms", [](PyHost& h) { return to_number(h->now()); });
  host.def("delay_chosen", &delay_chosen, py::arg("instance"), py::arg("ticket"), py::arg("attempt"), py::arg("delay"));
  host.def(
      "finish",
      [](PyHost& h, InstanceKey instance, const py::tuple& outcome) { h->finish(instance, to_body_outcome(outcome)); },
      py::arg("instance"), py::arg("outcome"));
  host.def(
      "heartbeat",
      [](PyHost& h, InstanceKey instance, Ticket ticket, std::uint32_t attempt, const py::bytes& details) {
        h->heartbeat(instance, ticket, attempt, Value{from_bytes(details)});
      },
      py::arg("instance"), py::arg("ticket"), py::arg("attempt"), py::arg("details"));
  host.def(
      "last_heartbeat",
      [](PyHost& h, InstanceKey instance, Ticket ticket) -> py::object {
        const auto details = h->last_heartbeat(instance, ticket);
        return details ? py::object(to_bytes(details->json)) : py::object(py::none());
      },
      py::arg("instance"), py::arg("ticket"));
  host.def(
      "keep",
      [](PyHost& h, InstanceKey instance, std::optional<std::int64_t> own_timer_ms) {
        return h->keep(instance, own_timer_ms ? std::optional(Millis(*own_timer_ms)) : std::nullopt);
      },
      py::arg("instance"), py::arg("own_timer_ms"));
  host.def("goes_on", [](PyHost& h, InstanceKey instance) { h->goes_on(instance); }, py::arg("instance"));
  host.def("evicted", [](PyHost& h, InstanceKey instance) { h->evicted(instance); }, py::arg("instance"));
  host.def(
      "release_stalled", [](PyHost& h, InstanceKey instance) { return h->release_stalled(instance); },
      py::arg("instance"));
  host.def("replaying", [](PyHost& h, InstanceKey instance) { return h->replaying(instance); }, py::arg("instance"));
  host.def(
      "step_config", [](PyHost& h, InstanceKey instance, Ticket ticket) { return h->step_config(instance, ticket); },
      py::arg("instance"), py::arg("ticket"));
  host.def(
      "idempotency_key",
      [](PyHost& h, InstanceKey instance, Ticket ticket) { return to_text(h->idempotency_key(instance, ticket)); },
      py::arg("instance"), py::arg("ticket"));
  host.def(
      "occurrence", [](PyHost& h, InstanceKey instance, Ticket ticket) { return h->occurrence(instance, ticket); },
      py::arg("instance"), py::arg("ticket"));
}

void bind_graph(py::class_<PyHost>& host) {
  host.def(
      "declare", [](PyHost& h, InstanceKey instance, const std::string& name) { return h->declare(instance, name); },
      py::arg("instance"), py::arg("name"));
  host.def(
      "connect",
      [](PyHost& h, InstanceKey instance, NodeId node, const std::vector<NodeId>& depends) {
        h->connect(instance, node, depends);
      },
      py::arg("instance"), py::arg("node"), py::arg("depends"));
  host.def(
      "call_node",
      [](PyHost& h, InstanceKey instance, NodeId node, std::uint32_t max_concurrency, bool fresh) {
        return h->call_node(instance, node, max_concurrency, fresh);
      },
      py::arg("instance"), py::arg("node"), py::arg("max_concurrency"), py::arg("fresh"));
  host.def(
      "node_finished",
      [](PyHost& h, InstanceKey instance, NodeId node, bool ok) { h->node_finished(instance, node, ok); },
      py::arg("instance"), py::arg("node"), py::arg("ok"));
}

}  // namespace

void bind_host(py::module_& module) {
  bind_clock(module);
  py::class_<PyHost> host(module, "Host");
  host.def(py::init(&open_host), py::kw_only(), py::arg("database"), py::arg("durability"), py::arg("workflows"),
           py::arg("hibernate_after_ms"), py::arg("lease_ms"), py::arg("step_limit"), py::arg("payload_limit"),
           py::arg("max_concurrent_instances"), py::arg("only_id"), py::arg("clock").none(true));
  host.def_property_readonly("fd", [](PyHost& h) { return h->fd(); });
  host.def("clock_moved", [](PyHost& h) { h->clock_moved(); });
  bind_verbs(host);
  bind_graph(host);
  host.def("create", &create, py::arg("workflow"), py::arg("params"), py::arg("id"), py::arg("return_existing"),
           py::arg("retention"));
  host.def(
      "create_batch",
      [](PyHost& h, const std::string& workflow, const py::list& items) {
        return h->create_batch(to_requests(workflow, items));
      },
      py::arg("workflow"), py::arg("items"));
  host.def("replay", [](PyHost& h, const InstanceHistory& history) { return h->replay(history); }, py::arg("history"));
  host.def("look", [](PyHost& h) { h->look(); });
  host.def("send_event", &send_event, py::arg("workflow"), py::arg("id"), py::arg("type"), py::arg("payload"),
           py::arg("event_id"));
  host.def("watch", [](PyHost& h, InstanceKey instance) { return h->watch(instance); }, py::arg("instance"));
  host.def("client", [](PyHost& h) { return std::make_shared<ClientView>(h->client()); }, py::keep_alive<0, 1>());
  host.def("counters", &counters);
  host.def("close", [](PyHost& h) {
    const py::gil_scoped_release unlocked;
    h->close();
  });
}

}  // namespace workflows::python
