#include "run.h"

#include <utility>

#include "await.h"
#include "convert.h"
#include "driver.h"
#include "native.h"

namespace workflows::python {
namespace {

Pending& as_pending(py::handle object) { return *reinterpret_cast<Pending*>(object.ptr()); }
Node& as_node(py::handle object) { return *reinterpret_cast<Node*>(object.ptr()); }
py::object object(Pending& pending) { return borrowed(reinterpret_cast<PyObject*>(&pending)); }

bool is_node(const Run& run, Pending& pending) {
  return PyObject_TypeCheck(reinterpret_cast<PyObject*>(&pending),
                            reinterpret_cast<PyTypeObject*>(run.driver().node_type().ptr())) != 0;
}

}  // namespace

Run::Run(py::object driver, InstanceKey key)
    : driver_object_(std::move(driver)), driver_(&driver_object_.cast<Driver&>()), key_(key) {}

void Run::check() {
  driver_->check();
  if (stopped || has_abandoned) self().attr("check_open")();
}

void Run::touch() {
  driver_->touch();
  if (replays) driver_object_.attr("watch_stall")(self());
}

void Run::declared(const py::object& declaration, const py::object& function_name, const py::object& name) {
  by_function[function_name] = declaration;
  by_name[name] = declaration;
}

void Run::check_name(const py::object& name) const {
  if (PyUnicode_CheckExact(name.ptr()) == 0) driver_->classes().attr("check_step_name")(name);
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(name.ptr(), &size);
  if (utf8 == nullptr) {
    PyErr_Clear();
    driver_->classes().attr("check_step_name")(name);
  } else {
    check_step_name({utf8, static_cast<std::size_t>(size)});
  }
}

// ---------------------------------------------------------------- asking

py::object Run::call(Declaration& declaration) {
  check();
  const py::object made = new_node(declaration);
  if (declaration.node == nullptr || declaration.node == Py_None) {
    Py_XSETREF(declaration.node, Py_NewRef(made.ptr()));
  }
  expect(as_pending(made));
  do_(as_node(made), {});
  return new_call(*driver_, made.ptr());
}

DoRequest Run::request(const Node& node, std::vector<Ticket> depends) const {
  const auto& declaration = *reinterpret_cast<const Declaration*>(node.step);
  return {.name = from_text(node.pending.name),
          .config = declaration.native_config == nullptr ? StepConfig{} : *declaration.native_config,
          .depends = std::move(depends),
          .rollback = declaration.rollback == Py_None ? std::nullopt : std::optional(rollback_config(declaration)),
          .source = declaration.source};
}

RollbackConfig Run::rollback_config(const Declaration& declaration) {
  const auto rollback = py::reinterpret_borrow<py::tuple>(declaration.rollback);
  RollbackConfig config{.continue_on_failure = rollback[2].cast<bool>()};
  if (!rollback[1].is_none()) config.step = rollback[1].cast<StepConfig>();
  return config;
}

// The function that compensates a step may be wanted long after the step has ended.
void Run::keep_rollback(const Node& node) {
  if (node.step == nullptr || reinterpret_cast<const Declaration*>(node.step)->rollback == Py_None) return;
  rollbacks[py::int_(node.pending.ticket)] = borrowed(node.step);
}

template <class Verb>
void Run::ask(Pending& pending, Verb verb) {
  Asked answer = verb(driver_->host());
  pending.ticket = answer.ticket;
  last_step = borrowed(pending.name);
  if (is_node(*this, pending)) keep_rollback(*reinterpret_cast<Node*>(&pending));
  if (answer.state == Asked::State::resolved) {
    hand_over(pending, std::move(*answer.outcome));
  } else {
    PyDict_SetItem(asked.ptr(), py::int_(answer.ticket).ptr(), object(pending).ptr());
    if (answer.state == Asked::State::run) driver_->body_due(*reinterpret_cast<Node*>(&pending), answer.attempt);
  }
  touch();
}

// What is refused never gets to be awaited.
template <class Verb>
void Run::ask_or_forget(Pending& pending, Verb verb) {
  expect(pending);
  try {
    ask(pending, verb);
  } catch (const WorkflowsError&) {
    forget(pending);
    PyDict_DelItem(unawaited.ptr(), object(pending).ptr());
    throw;
  }
}

void Run::do_(Node& node, std::vector<Ticket> depends) {
  try {
    ask(node.pending, [&](Host& host) { return host.do_(key_, request(node, std::move(depends))); });
  } catch (const WorkflowsError& error) { refuse(node.pending, exception_of(error).ptr()); }
}

void Run::do_failed(Node& node, std::vector<Ticket> depends, Failure failure) {
  try {
    ask(node.pending,
        [&](Host& host) { return host.do_failed(key_, request(node, std::move(depends)), std::move(failure)); });
  } catch (const WorkflowsError& error) { refuse(node.pending, exception_of(error).ptr()); }
}

void Run::sleep(Pending& pending, SleepRequest request) {
  check();
  request.source = driver_->place_of_caller();
  ask_or_forget(pending, [&](Host& host) { return host.sleep(key_, std::move(request)); });
}

void Run::wait_for_event(Pending& pending, WaitRequest request) {
  check();
  request.source = driver_->place_of_caller();
  ask_or_forget(pending, [&](Host& host) { return host.wait_for_event(key_, std::move(request)); });
}

std::string Run::value(std::string name, std::string json) {
  check();
  Value value = driver_->host().value(key_, {std::move(name), {std::move(json)}, driver_->place_of_caller()});
  touch();
  return std::move(value.json);
}

bool Run::patched(const std::string& id) {
  check();
  const bool is_new = driver_->host().patched(key_, id, driver_->place_of_caller());
  touch();
  return is_new;
}

void Run::expect(Pending& pending) {
  PyDict_SetItem(unawaited.ptr(), object(pending).ptr(), Py_None);
  if (pending.settled == Settled::no && !pending.expected) {
    pending.expected = true;
    ++expected_;
  }
}

void Run::forget(Pending& pending) {
  if (pending.expected) {
    pending.expected = false;
    --expected_;
  }
}

void Run::refuse(Pending& pending, PyObject* exception) {
  forget(pending);
  python::refuse(pending, exception);
  end_node(pending, false);
  touch();
  wake(pending);
}

void Run::abandon(Pending& pending) { self().attr("abandon")(object(pending)); }

// ---------------------------------------------------------------- outcomes, one after the other

py::object Run::open_step(Ticket ticket) const {
  PyObject* found = PyDict_GetItem(asked.ptr(), py::int_(ticket).ptr());
  return found != nullptr && is_node(*this, as_pending(found)) ? borrowed(found) : py::none();
}

void Run::resolve(Ticket ticket, Outcome outcome) {
  const py::int_ key(ticket);
  const py::object pending = py::reinterpret_borrow<py::object>(PyDict_GetItem(asked.ptr(), key.ptr()));
  if (!pending) return;
  PyDict_DelItem(asked.ptr(), key.ptr());
  if (!stopped) hand_over(as_pending(pending), std::move(outcome));
}

void Run::hand_over(Pending& pending, Outcome outcome) {
  if (reacting()) {
    deliveries_.emplace_back(object(pending), std::move(outcome));
  } else {
    deliver(pending, std::move(outcome));
  }
}

void Run::deliver(Pending& pending, Outcome outcome) {
  const bool was_expected = pending.expected;
  const bool ok = !std::holds_alternative<Failure>(outcome);
  forget(pending);
  settle(pending, std::move(outcome));
  touch();
  end_node(pending, ok);
  if (was_expected && expected_ > 0) {
    pausing_ = true;
    self().attr("pause")();
  }
  wake(pending);
}

void Run::end_node(Pending& pending, bool ok) {
  if (!is_node(*this, pending)) return;
  Node& node = *reinterpret_cast<Node*>(&pending);
  Py_CLEAR(node.step);
  if (node.started) driver_->host().node_finished(key_, static_cast<NodeId>(node.id), ok);
}

void Run::go_on() {
  pausing_ = false;
  while (!deliveries_.empty() && !pausing_ && !stopped) {
    auto [pending, outcome] = std::move(deliveries_.front());
    deliveries_.pop_front();
    deliver(as_pending(pending), std::move(outcome));
  }
}

void Run::stop() {
  stopped = true;
  for (const auto& [pending, outcome] : deliveries_) cancel_waiters(as_pending(pending));
  for (const auto& [ticket, pending] : asked) cancel_waiters(as_pending(pending));
}

void Run::let_go() {
  for (const auto& [ticket, pending] : asked) {
    if (!is_node(*this, as_pending(pending))) continue;
    const py::object declaration = borrowed(as_node(pending).step);
    if (declaration && py::object(declaration.attr("node")).is(pending)) declaration.attr("node") = py::none();
  }
  asked.clear();
}

int Run::traverse(visitproc visit, void* arg) const {
  Py_VISIT(driver_object_.ptr());
  Py_VISIT(unawaited.ptr());
  Py_VISIT(asked.ptr());
  Py_VISIT(by_function.ptr());
  Py_VISIT(by_name.ptr());
  Py_VISIT(rollbacks.ptr());
  for (const auto& [pending, outcome] : deliveries_) Py_VISIT(pending.ptr());
  return 0;
}

void Run::clear() {
  unawaited.clear();
  asked.clear();
  by_function.clear();
  by_name.clear();
  rollbacks.clear();
  deliveries_.clear();
}

// ---------------------------------------------------------------- for Python

namespace {

std::vector<Ticket> tickets(const py::sequence& numbers) { return numbers.cast<std::vector<Ticket>>(); }

void sleep(Run& run, const py::object& pending, std::int64_t milliseconds, bool absolute) {
  SleepRequest request{from_text(as_pending(pending).name), Duration(Millis(milliseconds))};
  if (absolute) request.until = to_time(milliseconds);
  run.sleep(as_pending(pending), std::move(request));
}

void wait_for_event(Run& run, const py::object& pending, std::string type, std::optional<std::int64_t> timeout_ms) {
  WaitRequest request{from_text(as_pending(pending).name), std::move(type), std::nullopt};
  if (timeout_ms) request.timeout = Duration(Millis(*timeout_ms));
  run.wait_for_event(as_pending(pending), std::move(request));
}

}  // namespace

void bind_run(py::module_& module) {
  py::class_<Run>(module, "Run", collected<Run>())
      .def(py::init<py::object, InstanceKey>(), py::arg("driver"), py::arg("key"))
      .def_property_readonly("key", &Run::key)
      .def_property_readonly("stopped", [](const Run& run) { return run.stopped; })
      .def_property_readonly("reacting", &Run::reacting)
      .def_readwrite("replays", &Run::replays)
      .def_readwrite("has_abandoned", &Run::has_abandoned)
      .def_readonly("unawaited", &Run::unawaited)
      .def_readonly("by_function", &Run::by_function)
      .def_readonly("by_name", &Run::by_name)
      .def("check", &Run::check)
      .def(
          "do_",
          [](Run& run, const py::object& node, const py::sequence& depends) {
            run.do_(as_node(node), tickets(depends));
          },
          py::arg("node"), py::arg("depends"))
      .def(
          "do_failed",
          [](Run& run, const py::object& node, const py::sequence& depends, const py::tuple& failure) {
            run.do_failed(as_node(node), tickets(depends), to_failure(failure));
          },
          py::arg("node"), py::arg("depends"), py::arg("failure"))
      .def_readonly("rollbacks", &Run::rollbacks)
      .def_readonly("last_step", &Run::last_step)
      .def(
          "value",
          [](Run& run, std::string name, const py::bytes& json) {
            return to_bytes(run.value(std::move(name), from_bytes(json)));
          },
          py::arg("name"), py::arg("json"))
      .def("patched", &Run::patched, py::arg("id"))
      .def("sleep", &sleep, py::arg("pending"), py::arg("milliseconds"), py::arg("absolute"))
      .def("wait_for_event", &wait_for_event, py::arg("pending"), py::arg("type"), py::arg("timeout_ms"))
      .def(
          "expect", [](Run& run, const py::object& pending) { run.expect(as_pending(pending)); }, py::arg("pending"))
      .def(
          "forget", [](Run& run, const py::object& pending) { run.forget(as_pending(pending)); }, py::arg("pending"))
      .def("open_step", &Run::open_step, py::arg("ticket"))
      .def("go_on", &Run::go_on)
      .def("touch", &Run::touch)
      .def("stop", &Run::stop)
      .def("let_go", &Run::let_go);
}

}  // namespace workflows::python
