#include <workflows/client.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "bindings.h"
#include "client_view.h"
#include "convert.h"

namespace workflows::python {
namespace {

using Unlocked = py::gil_scoped_release;

std::shared_ptr<ClientView> open_client(std::string database, bool create) {
  const Unlocked unlocked;
  auto client = std::make_unique<Client>(ClientOptions{.database = std::move(database), .create = create});
  return std::make_shared<ClientView>(std::move(client));
}

py::tuple create(ClientView& client, std::string workflow, const py::bytes& params, std::string id,
                 bool return_existing, const py::object& retention) {
  CreateRequest request{std::move(workflow), from_bytes(params), std::move(id),
                        return_existing ? OnConflict::return_existing : OnConflict::error, to_retention(retention)};
  return to_python(client.read([&](Client& c) { return c.create(request); }));
}

void send_event(ClientView& client, std::string workflow, std::string id, std::string type, const py::bytes& payload,
                std::string event_id) {
  SendEventRequest request{std::move(workflow), std::move(id), std::move(type), from_bytes(payload),
                           std::move(event_id)};
  client.read([&](Client& c) { c.send_event(request); });
}

py::list list(ClientView& client, std::optional<std::string> workflow, const std::optional<std::string>& status,
              std::optional<std::int64_t> created_after, std::string id_prefix, std::uint32_t limit,
              InstanceKey after) {
  ListQuery query;
  query.workflow = std::move(workflow);
  if (status) query.status = parse_status(*status);
  if (created_after) query.created_after = to_time(*created_after);
  query.id_prefix = std::move(id_prefix);
  query.limit = limit;
  query.after = after;
  return to_list(client.read([&](Client& c) { return c.list(query); }));
}

py::list create_batch(ClientView& client, const std::string& workflow, const py::list& items) {
  const auto requests = to_requests(workflow, items);
  return to_python(client.read([&](Client& c) { return c.create_batch(requests); }));
}

// Each None, or (code, message).
py::list remove_batch(ClientView& client, const std::string& workflow, const std::vector<std::string>& ids) {
  py::list list;
  for (const auto& error : client.read([&](Client& c) { return c.remove_batch(workflow, ids); })) {
    if (error)
      list.append(py::make_tuple(to_text(to_string(error->code)), to_text(error->message)));
    else
      list.append(py::none());
  }
  return list;
}

// (key, workflow, id), and the steps that were kept
py::tuple restart(ClientView& client, std::string workflow, std::string id, std::string from_step, std::uint32_t count,
                  const std::string& kind) {
  RestartRequest request{.workflow = std::move(workflow),
                         .id = std::move(id),
                         .from_step = std::move(from_step),
                         .count = count,
                         .kind = parse_step_kind(kind).value_or(StepKind::do_)};
  const Restarted restarted = client.read([&](Client& c) { return c.restart(request); });
  return py::make_tuple(to_python(restarted.instance), to_list(restarted.kept));
}

using Change = void (Client::*)(const std::string&, const std::string&);
auto change(Change verb) {
  return [verb](ClientView& client, const std::string& workflow, const std::string& id) {
    client.read([&](Client& c) { (c.*verb)(workflow, id); });
  };
}

py::object result(ClientView& client, InstanceKey key, std::optional<std::int64_t> timeout_ms) {
  std::optional<Millis> timeout;
  if (timeout_ms) timeout = Millis(*timeout_ms);
  return to_python(client.read([&](Client& c) { return c.result(key, timeout); }));
}

}  // namespace

void bind_client(py::module_& module) {
  py::class_<InstanceHistory>(module, "History")
      .def_property_readonly("workflow", [](const InstanceHistory& history) { return to_text(history.info.workflow); })
      .def_property_readonly("generation", [](const InstanceHistory& history) { return history.info.generation; })
      .def_property_readonly("id", [](const InstanceHistory& history) { return to_text(history.info.id); });
  py::class_<ClientView, std::shared_ptr<ClientView>>(module, "Client")
      .def(py::init(&open_client), py::arg("database"), py::arg("create"))
      .def("create", &create, py::arg("workflow"), py::arg("params"), py::arg("id"), py::arg("return_existing"),
           py::arg("retention"))
      .def("create_batch", &create_batch, py::arg("workflow"), py::arg("items"))
      .def("remove_batch", &remove_batch, py::arg("workflow"), py::arg("ids"))
      .def("pause", change(&Client::pause), py::arg("workflow"), py::arg("id"))
      .def("resume", change(&Client::resume), py::arg("workflow"), py::arg("id"))
      .def("remove", change(&Client::remove), py::arg("workflow"), py::arg("id"))
      .def(
          "terminate",
          [](ClientView& client, const std::string& workflow, const std::string& id, bool rollback) {
            client.read([&](Client& c) { c.terminate(workflow, id, rollback); });
          },
          py::arg("workflow"), py::arg("id"), py::arg("rollback"))
      .def("restart", &restart, py::arg("workflow"), py::arg("id"), py::arg("from_step"), py::arg("count"),
           py::arg("kind"))
      .def(
          "entries",
          [](ClientView& client, InstanceKey key, std::int64_t after) {
            return to_list(client.read([&](Client& c) { return c.entries(key, after); }));
          },
          py::arg("key"), py::arg("after"))
      .def(
          "history",
          [](ClientView& client, InstanceKey key) {
            return std::make_unique<InstanceHistory>(client.read([&](Client& c) { return c.history(key); }));
          },
          py::arg("key"))
      .def(
          "collect_garbage",
          [](ClientView& client, std::uint64_t limit) {
            return client.read([&](Client& c) { return c.collect_garbage(limit); });
          },
          py::arg("limit"))
      .def("send_event", &send_event, py::arg("workflow"), py::arg("id"), py::arg("type"), py::arg("payload"),
           py::arg("event_id"))
      .def(
          "get",
          [](ClientView& client, const std::string& workflow, const std::string& id) {
            return to_python(client.read([&](Client& c) { return c.get(workflow, id); }));
          },
          py::arg("workflow"), py::arg("id"))
      .def(
          "exists",
          [](ClientView& client, const std::string& workflow, const std::string& id) {
            return client.read([&](Client& c) { return c.exists(workflow, id); });
          },
          py::arg("workflow"), py::arg("id"))
      .def(
          "status",
          [](ClientView& client, const std::string& workflow, const std::string& id) {
            return to_python(client.read([&](Client& c) { return c.status(c.get(workflow, id).key); }));
          },
          py::arg("workflow"), py::arg("id"))
      .def(
          "steps",
          [](ClientView& client, const std::string& workflow, const std::string& id) {
            return to_list(client.read([&](Client& c) { return c.steps(c.get(workflow, id).key); }));
          },
          py::arg("workflow"), py::arg("id"))
      .def("list", &list, py::arg("workflow"), py::arg("status"), py::arg("created_after"), py::arg("id_prefix"),
           py::arg("limit"), py::arg("after"))
      .def("result", &result, py::arg("key"), py::arg("timeout_ms"))
      .def("close", [](ClientView& client) { client.read([](Client& c) { c.close(); }); });
}

}  // namespace workflows::python
