#include "driver.h"

#include <chrono>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>

#include "convert.h"
#include "json.h"
#include "native.h"
#include "run.h"

namespace workflows::python {
namespace {

using PyHost = Owned<Host>;
using SteadyClock = std::chrono::steady_clock;

// Between two looks at the rest of the loop.
constexpr int kPollsInATurn = 4;
constexpr std::size_t kMostShapes = 10'000;
constexpr std::size_t kFew = 4;

Node& as_node(py::handle object) { return *reinterpret_cast<Node*>(object.ptr()); }

// What belongs to asyncio, looked up once and kept for ever.
struct Asyncio {
  PyObject* running_loop;
  PyObject* enter_task;
  PyObject* leave_task;
  PyObject* cancelling = PyUnicode_InternFromString("cancelling");
};

const Asyncio& asyncio() {
  static const Asyncio names = [] {
    const auto events = py::module_::import("asyncio.events");
    const auto tasks = py::module_::import("asyncio.tasks");
    return Asyncio{.running_loop = py::object(events.attr("_get_running_loop")).release().ptr(),
                   .enter_task = py::object(tasks.attr("_enter_task")).release().ptr(),
                   .leave_task = py::object(tasks.attr("_leave_task")).release().ptr()};
  }();
  return names;
}

// The current task and the contextvars of a body, as long as it runs. `code` is None there: a body is not the code.
class Surroundings {
 public:
  Surroundings(const py::object& loop, const py::object& task, py::object context, const py::object& code)
      : loop_(loop), task_(task), context_(std::move(context)) {
    switch_task(asyncio().enter_task);
    if (PyContext_Enter(context_.ptr()) != 0) throw py::error_already_set();
    stolen(PyContextVar_Set(code.ptr(), Py_None));
  }
  ~Surroundings() {
    PyContext_Exit(context_.ptr());
    try {
      switch_task(asyncio().leave_task);
    } catch (py::error_already_set& error) { error.discard_as_unraisable("leaving the task of a step's body"); }
  }
  Surroundings(const Surroundings&) = delete;
  Surroundings& operator=(const Surroundings&) = delete;

  const py::object& context() const { return context_; }

 private:
  void switch_task(PyObject* function) const {
    PyObject* const args[] = {loop_.ptr(), task_.ptr()};
    stolen(PyObject_Vectorcall(function, static_cast<PyObject* const*>(args), 2, nullptr));
  }

  const py::object& loop_;
  const py::object& task_;
  py::object context_;
};

// A task that runs body after body must not be known to any of them beyond its end.
class Notice {
 public:
  explicit Notice(const py::object& task) : task_(task), references_(Py_REFCNT(task.ptr())), weak_(weak()) {}
  bool taken() const {
    if (Py_REFCNT(task_.ptr()) != references_ || weak() != weak_) return true;
    return !stolen(PyObject_CallMethodNoArgs(task_.ptr(), asyncio().cancelling)).equal(py::int_(0));
  }

 private:
  PyObject* weak() const { return *PyObject_GET_WEAKREFS_LISTPTR(task_.ptr()); }

  const py::object& task_;
  Py_ssize_t references_;
  PyObject* weak_;
};

// The exception that is set; those that end the program are thrown on.
py::object caught() {
  if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0 || PyErr_ExceptionMatches(PyExc_SystemExit) != 0)
    throw py::error_already_set();
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return py::reinterpret_steal<py::object>(value);
}

}  // namespace

Driver::Driver(py::object host, py::object loop, py::object classes)
    : host_object_(std::move(host)),
      host_(&*host_object_.cast<PyHost&>()),
      loop_(std::move(loop)),
      classes_(std::move(classes)),
      node_type_(classes_.attr("node")),
      call_type_(classes_.attr("call")),
      declaration_type_(classes_.attr("declaration")),
      declared_type_(classes_.attr("declared")),
      package_(classes_.attr("package")),
      code_(classes_.attr("code")) {}

Source Driver::place_of(PyCodeObject* code, int line) {
  Source& known = places_[{code->co_filename, line}];
  if (known == nullptr) {
    const std::string file = from_text(code->co_filename);
    known = source(file.substr(file.rfind('/') + 1) + ":" + std::to_string(line));
  }
  return known;
}

// Of the innermost code that is not the package's own.
Source Driver::place_of_caller() {
  py::object frame = py::reinterpret_steal<py::object>(Py_XNewRef(reinterpret_cast<PyObject*>(PyEval_GetFrame())));
  while (frame) {
    auto* at = reinterpret_cast<PyFrameObject*>(frame.ptr());
    const auto code = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetCode(at)));
    auto* code_object = reinterpret_cast<PyCodeObject*>(code.ptr());
    if (PyUnicode_Find(code_object->co_filename, package_.ptr(), 0, PY_SSIZE_T_MAX, 1) != 0)
      return place_of(code_object, PyFrame_GetLineNumber(at));
    frame = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetBack(at)));
  }
  return nullptr;
}

const Shape& Driver::shape_of(PyObject* function) {
  const auto read = [&] {
    const py::object parameters = classes_.attr("parameters")(py::handle(function));
    auto* code = PyFunction_Check(function)
                     ? reinterpret_cast<PyCodeObject*>(reinterpret_cast<PyFunctionObject*>(function)->func_code)
                     : nullptr;
    return Shape{.code = {},
                 .parameters = parameters,
                 .source = code == nullptr ? nullptr : place_of(code, code->co_firstlineno),
                 .is_async = parameters.attr("is_async").cast<bool>(),
                 .wants_context = parameters.attr("wants_context").cast<bool>(),
                 .takes_arguments = parameters.attr("takes_arguments").cast<bool>()};
  };
  const auto* plain = reinterpret_cast<PyFunctionObject*>(function);
  const bool told_by_code = PyFunction_Check(function) && plain->func_defaults == nullptr &&
                            plain->func_kwdefaults == nullptr &&
                            (plain->func_dict == nullptr || PyDict_GET_SIZE(plain->func_dict) == 0);
  if (!told_by_code) return shape_ = read();
  if (const auto known = shapes_.find(plain->func_code); known != shapes_.end()) return known->second;
  if (shapes_.size() >= kMostShapes) shapes_.clear();
  Shape shape = read();
  shape.code = borrowed(plain->func_code);
  return shapes_.insert_or_assign(plain->func_code, std::move(shape)).first->second;
}

void Driver::check() {
  const py::object running = stolen(PyObject_CallNoArgs(asyncio().running_loop));  // None in a fork, too
  if (closed || failed || running.ptr() != loop_.ptr()) self().attr("check_usable")();
}

// ---------------------------------------------------------------- the turn

void Driver::touch() {
  if (!in_turn_) schedule_turn();
}

void Driver::schedule_turn() {
  if (std::exchange(turn_due_, true) || closed) return;
  loop_.attr("call_soon")(turn_callback, py::arg("context") = turn_context);
}

bool Driver::receive() {
  try {
    polled_ = host_->poll(std::move(polled_));
    for (Action& action : polled_) actions_.push_back(std::move(action));
  } catch (const WorkflowsError& error) {
    self().attr("_stopped")(to_text(to_string(error.code())), to_text(error.what()));
    return false;
  }
  return !actions_.empty() || !due_.empty();
}

// For a small commit, if the loop has nothing else to do. Other threads of Python may run meanwhile.
bool Driver::wait_briefly() {
  const std::size_t ended = std::exchange(ended_bodies_, 0);
  if (ended == 0 || ended > kFew) return false;
  const py::object ready = py::getattr(loop_, "_ready", py::none());
  if (ready.is_none() || py::len(ready) > 0) return false;
  const py::gil_scoped_release release;
  for (const auto end = SteadyClock::now() + kUsualCommit; SteadyClock::now() < end; std::this_thread::yield()) {
    if (host_->signalled()) return true;
  }
  return false;
}

void Driver::turn() {
  turn_due_ = false;
  if (closed) return;
  struct Guard {
    Driver& driver;
    bool work_left = true;
    ~Guard() {
      driver.in_turn_ = false;
      if (!work_left) return;
      try {
        driver.schedule_turn();
      } catch (py::error_already_set& error) { error.discard_as_unraisable("scheduling a turn"); }
    }
  } guard{*this};
  in_turn_ = true;
  for (int polls = 0; polls < kPollsInATurn; ++polls) {
    if (closed || !(receive() || (wait_briefly() && receive()))) {
      guard.work_left = false;
      return;
    }
    carry_out();
  }
}

void Driver::carry_out() {
  while (!closed && !(due_.empty() && actions_.empty())) {
    if (due_.empty()) {
      Action action = std::move(actions_.front());
      actions_.pop_front();
      carry_out(std::move(action));
    } else {
      const Due due = std::move(due_.front());
      due_.pop_front();
      start_body(as_node(due.node), due.attempt);
    }
  }
}

void Driver::carry_out(Action action) {
  const auto kind = action.index();
  std::visit(
      [&]<class Kind>(Kind& one) {
        if constexpr (std::is_same_v<Kind, ResolveStep>) {
          if (Run* run = find(one.instance)) run->resolve(one.ticket, std::move(one.outcome));
        } else if constexpr (std::is_same_v<Kind, RunStepBody>) {
          const Run* run = find(one.instance);
          const py::object node = run == nullptr ? py::none() : run->open_step(one.ticket);
          if (!node.is_none()) start_body(as_node(node), one.attempt);
        } else {
          self().attr("_carry_out")(kind, to_python(one));
        }
      },
      action);
}

Run* Driver::find(InstanceKey key) const {
  PyObject* found = PyDict_GetItem(runs.ptr(), py::int_(key).ptr());
  return found == nullptr ? nullptr : &py::cast<Run&>(py::handle(found));
}

// ---------------------------------------------------------------- bodies

void Driver::start_body(Node& node, std::uint32_t attempt) {
  if (closing || node.pending.run->stopped) return;
  const auto& step = *reinterpret_cast<const Declaration*>(node.step);
  if (step.is_async && step.bare && !step.wants_context && !node.running) {
    run_body(node, attempt, py::none(), py::tuple().ptr(), nullptr);
  } else {
    self().attr("bodies").attr("start")(py::handle(as_object(node)), attempt);
  }
}

py::object Driver::idle_task() {
  if (!idle_task_) idle_task_ = self().attr("bodies").attr("make_idle_task")();
  return std::exchange(idle_task_, py::object());
}

void Driver::run_body(Node& node, std::uint32_t attempt, const py::object& body, PyObject* args, PyObject* kwargs) {
  const py::object kept = borrowed(as_object(node));
  const py::object context = stolen(PyContext_Copy(node.context));
  py::object task = idle_task();
  const Notice notice(task);
  py::object coroutine;
  py::object result;  // or what it yielded, or the exception
  PySendResult sent = PYGEN_ERROR;
  const auto began = SteadyClock::now();
  {
    const Surroundings surroundings(loop_, task, context, code_);
    coroutine = py::reinterpret_steal<py::object>(PyObject_Call(node.function, args, kwargs));
    if (coroutine && PyCoro_CheckExact(coroutine.ptr()) == 0) {  // an object with an async __call__, perhaps
      coroutine = self().attr("bodies").attr("awaiting")(coroutine);
    }
    if (coroutine) sent = PyIter_Send(coroutine.ptr(), Py_None, &result.ptr());
    if (sent == PYGEN_ERROR) result = caught();
  }
  const std::chrono::duration<double> took = SteadyClock::now() - began;
  if (took.count() >= slow_turn_seconds) self().attr("bodies").attr("report_slow")(kept, coroutine, took.count());
  const py::object bodies = sent == PYGEN_RETURN ? py::none() : py::object(self().attr("bodies"));
  if (sent == PYGEN_NEXT) {
    bodies.attr("adopt")(kept, attempt, body, task, coroutine, context, result);
    return;
  }
  if (!notice.taken()) idle_task_ = std::move(task);
  if (sent == PYGEN_ERROR) {
    bodies.attr("raised")(kept, attempt, body, result);
  } else {
    end_body(node, attempt, body, result);
  }
}

void Driver::end_body(Node& node, std::uint32_t attempt, const py::object& body, const py::object& result) {
  std::string json;
  if (closed) return;
  ++ended_bodies_;
  if (body.is_none() && plain_values && encode_plain(result.ptr(), json)) {
    host_->body_finished(node.pending.run->key(), static_cast<Ticket>(node.pending.ticket), attempt,
                         Value{std::move(json)});
    node.pending.run->touch();
  } else {
    self().attr("bodies").attr("returned")(borrowed(as_object(node)), attempt, body, result);
  }
}

// ---------------------------------------------------------------- for Python

void Driver::release_host() {
  if (idle_task_ && !loop_.attr("is_closed")().cast<bool>()) idle_task_.attr("cancel")();
  idle_task_ = py::object();
  actions_.clear();
  due_.clear();
  host_object_ = py::object();
}

int Driver::traverse(visitproc visit, void* arg) const {
  for (const py::handle member :
       {py::handle(host_object_), py::handle(loop_), py::handle(node_type_), py::handle(call_type_),
        py::handle(idle_task_), py::handle(runs), py::handle(turn_callback), py::handle(turn_context)}) {
    Py_VISIT(member.ptr());
  }
  for (const Due& due : due_) Py_VISIT(due.node.ptr());
  return 0;
}

void Driver::clear() {
  turn_callback = py::none();
  idle_task_ = py::object();
  runs.clear();
  due_.clear();
}

void bind_driver(py::module_& module) {
  py::class_<Driver>(module, "Driver", collected<Driver>())
      .def(py::init<py::object, py::object, py::object>(), py::arg("host"), py::arg("loop"), py::arg("classes"))
      .def_readonly("runs", &Driver::runs)
      .def_readwrite("closed", &Driver::closed)
      .def_readwrite("closing", &Driver::closing)
      .def_readwrite("failed", &Driver::failed)
      .def_readwrite("plain_values", &Driver::plain_values)
      .def_readwrite("shows_values", &Driver::shows_values)
      .def_readwrite("slow_turn_seconds", &Driver::slow_turn_seconds)
      .def_readwrite("turn_callback", &Driver::turn_callback)
      .def_readwrite("turn_context", &Driver::turn_context)
      .def("touch", &Driver::touch)
      .def("turn", &Driver::turn)
      .def("check", &Driver::check)
      .def(
          "run_body",
          [](Driver& driver, const py::object& node, std::uint32_t attempt, const py::object& body,
             const py::tuple& args,
             const py::dict& kwargs) { driver.run_body(as_node(node), attempt, body, args.ptr(), kwargs.ptr()); },
          py::arg("node"), py::arg("attempt"), py::arg("body"), py::arg("args"), py::arg("kwargs"))
      .def("release_host", &Driver::release_host);
}

}  // namespace workflows::python
