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
                 bool return_existing) {
  CreateRequest request{std::move(workflow), from_bytes(params), std::move(id),
                        return_existing ? OnConflict::return_existing : OnConflict::error};
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

py::object result(ClientView& client, InstanceKey key, std::optional<std::int64_t> timeout_ms) {
  std::optional<Millis> timeout;
  if (timeout_ms) timeout = Millis(*timeout_ms);
  return to_python(client.read([&](Client& c) { return c.result(key, timeout); }));
}

}  // namespace

void bind_client(py::module_& module) {
  py::class_<ClientView, std::shared_ptr<ClientView>>(module, "Client")
      .def(py::init(&open_client), py::arg("database"), py::arg("create"))
      .def("create", &create, py::arg("workflow"), py::arg("params"), py::arg("id"), py::arg("return_existing"))
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
          [](ClientView& client, InstanceKey key) {
            return to_python(client.read([&](Client& c) { return c.status(key); }));
          },
          py::arg("key"))
      .def(
          "steps",
          [](ClientView& client, InstanceKey key) {
            return to_list(client.read([&](Client& c) { return c.steps(key); }));
          },
          py::arg("key"))
      .def("list", &list, py::arg("workflow"), py::arg("status"), py::arg("created_after"), py::arg("id_prefix"),
           py::arg("limit"), py::arg("after"))
      .def("result", &result, py::arg("key"), py::arg("timeout_ms"))
      .def("close", [](ClientView& client) { client.read([](Client& c) { c.close(); }); });
}

}  // namespace workflows::python
