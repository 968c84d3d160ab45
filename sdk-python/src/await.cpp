#include "await.h"

#include <cstddef>
#include <utility>

#include <structmember.h>

#include "driver.h"
#include "json.h"
#include "native.h"
#include "run.h"

namespace workflows::python {

struct Await {
  enum class State : std::uint8_t { fresh, waiting, woken, cancelled, ended };

  PyObject_HEAD Pending* pending;
  Await* next;         // of those that wait for it; owned
  PyObject* callback;  // of the task
  PyObject* context;
  PyObject* message;  // of the cancellation
  bool blocking;      // asyncio's mark of a future that was just yielded
  State state;
};

namespace {

PyObject* await_type_object = nullptr;

Await& as_await(PyObject* self) { return *reinterpret_cast<Await*>(self); }
PyObject* object(Await& await) { return reinterpret_cast<PyObject*>(&await); }
PyObject* object(Pending& pending) { return reinterpret_cast<PyObject*>(&pending); }

py::handle cancelled_error() {
  static PyObject* const type = py::object(py::module_::import("asyncio").attr("CancelledError")).release().ptr();
  return type;
}

// ---------------------------------------------------------------- waiting

void enqueue(Await& await) {
  Await** end = &await.pending->waiters;
  while (*end != nullptr) end = &(*end)->next;
  *end = reinterpret_cast<Await*>(Py_NewRef(object(await)));
}

void dequeue(Await& await) {
  for (Await** link = &await.pending->waiters; *link != nullptr; link = &(*link)->next) {
    if (*link != &await) continue;
    *link = std::exchange(await.next, nullptr);
    Py_DECREF(object(await));
    return;
  }
}

void call_soon(Await& await) {
  const py::object callback = py::reinterpret_steal<py::object>(std::exchange(await.callback, nullptr));
  const py::object context = py::reinterpret_steal<py::object>(std::exchange(await.context, nullptr));
  if (!callback) return;  // not there yet: it is called when it comes
  await.pending->run->driver().loop().attr("call_soon")(callback, py::handle(object(await)),
                                                        py::arg("context") = context);
}

// The task goes on at once, as if the loop had called it.
void resume(Await& await) {
  const py::object callback = py::reinterpret_steal<py::object>(std::exchange(await.callback, nullptr));
  const py::object context = py::reinterpret_steal<py::object>(std::exchange(await.context, nullptr));
  if (!callback) return;
  if (PyContext_Enter(context.ptr()) != 0) throw py::error_already_set();
  PyObject* result = PyObject_CallOneArg(callback.ptr(), object(await));
  if (result == nullptr) {
    py::error_already_set error;
    PyContext_Exit(context.ptr());
    throw error;
  }
  Py_DECREF(result);
  PyContext_Exit(context.ptr());
}

// ---------------------------------------------------------------- as an iterator

PyObject* value_of(Pending& pending) {
  if (pending.settled == Settled::value && !pending.run->driver().shows_values) {
    PyObject* value = decode_plain(pending.json);
    if (value != nullptr) return value;
  }
  return PyObject_CallMethod(object(pending), "value", nullptr);
}

PySendResult finish(Await& await, PyObject** result) {
  await.state = Await::State::ended;
  if (await.pending->run->stopped) {
    PyErr_SetNone(cancelled_error().ptr());
    return PYGEN_ERROR;
  }
  await.pending->heard = true;
  *result = value_of(*await.pending);
  return *result == nullptr ? PYGEN_ERROR : PYGEN_RETURN;
}

PySendResult begin(Await& await, PyObject** result) {
  Pending& pending = *await.pending;
  if (PyDict_DelItem(pending.run->unawaited.ptr(), object(pending)) != 0) PyErr_Clear();  // awaited before
  if (pending.abandoned) {
    await.state = Await::State::ended;
    PyErr_Format(PyExc_RuntimeError,
                 "Step %R is awaited again after its await was cancelled. Put asyncio.shield(...) around an await that "
                 "is to be repeated.",
                 pending.name);
    return PYGEN_ERROR;
  }
  if (pending.settled != Settled::no || pending.run->stopped) return finish(await, result);
  enqueue(await);
  await.state = Await::State::waiting;
  await.blocking = true;
  *result = Py_NewRef(object(await));
  return PYGEN_NEXT;
}

PySendResult await_send(PyObject* self, PyObject* /*value*/, PyObject** result) {
  return guarded(PYGEN_ERROR, [&] {
    Await& await = as_await(self);
    switch (await.state) {
      case Await::State::fresh:
        return begin(await, result);
      case Await::State::woken:
        dequeue(await);
        return finish(await, result);
      case Await::State::waiting:
      case Await::State::cancelled:
        PyErr_SetString(PyExc_RuntimeError, "await wasn't used with future");
        break;
      case Await::State::ended:
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        break;
    }
    return PYGEN_ERROR;
  });
}

PyObject* await_next(PyObject* self) {
  PyObject* result = nullptr;
  if (await_send(self, Py_None, &result) != PYGEN_RETURN) return result;
  if (result == Py_None) {
    PyErr_SetNone(PyExc_StopIteration);
  } else {
    PyObject* stop = PyObject_CallOneArg(PyExc_StopIteration, result);  // a value that is a tuple stays one
    if (stop != nullptr) PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
  }
  Py_DECREF(result);
  return nullptr;
}

// Takes it out of the queue; whether it waited.
bool end(Await& await) {
  const auto state = std::exchange(await.state, Await::State::ended);
  if (state == Await::State::fresh || state == Await::State::ended) return false;
  dequeue(await);
  return true;
}

PyObject* await_throw(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    if (count < 1 || count > 3) {
      PyErr_Format(PyExc_TypeError, "throw expected 1 to 3 arguments, got %zd", count);
      return nullptr;
    }
    py::object error = borrowed(count > 1 && args[1] != Py_None ? args[1] : args[0]);
    if (PyType_Check(error.ptr())) error = error();
    Await& await = as_await(self);
    Pending& pending = *await.pending;
    // Also when the outcome came in the same turn as the cancellation.
    const bool collected = PyErr_GivenExceptionMatches(error.ptr(), PyExc_GeneratorExit) != 0;
    if (end(await) && !collected && pending.waiters == nullptr && !pending.heard) pending.run->abandon(pending);
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
    return nullptr;
  });
}

PyObject* await_close(PyObject* self, PyObject* /*unused*/) {
  end(as_await(self));
  return none();
}

// ---------------------------------------------------------------- as a future

PyObject* await_get_loop(PyObject* self, PyObject* /*unused*/) {
  return as_await(self).pending->run->driver().loop().release().ptr();
}

PyObject* await_add_done_callback(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* const names[] = {"", "context", nullptr};
  PyObject* callback = nullptr;
  PyObject* context = nullptr;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "O|$O", const_cast<char**>(names), &callback, &context) == 0)
    return nullptr;
  return guarded<PyObject*>(nullptr, [&] {
    Await& await = as_await(self);
    if (await.callback != nullptr) throw py::value_error("only the task that awaits a step waits for it");
    await.callback = Py_NewRef(callback);
    const bool given = context != nullptr && context != Py_None;
    await.context = given ? Py_NewRef(context) : stolen(PyContext_CopyCurrent()).release().ptr();
    if (await.state != Await::State::waiting) call_soon(await);
    return none();
  });
}

PyObject* await_remove_done_callback(PyObject* self, PyObject* callback) {
  Await& await = as_await(self);
  const int same = await.callback == nullptr ? 0 : PyObject_RichCompareBool(await.callback, callback, Py_EQ);
  if (same < 0) return nullptr;
  if (same > 0) {
    Py_CLEAR(await.callback);
    Py_CLEAR(await.context);
  }
  return PyLong_FromLong(same);
}

bool cancel(Await& await, PyObject* message) {
  if (await.state != Await::State::waiting) return false;
  await.state = Await::State::cancelled;
  await.message = Py_XNewRef(message);
  call_soon(await);
  return true;
}

PyObject* await_cancel(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* const names[] = {"msg", nullptr};
  PyObject* message = nullptr;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "|O", const_cast<char**>(names), &message) == 0) return nullptr;
  return guarded<PyObject*>(nullptr, [&] { return PyBool_FromLong(cancel(as_await(self), message) ? 1 : 0); });
}

PyObject* await_done(PyObject* self, PyObject* /*unused*/) {
  return PyBool_FromLong(as_await(self).state > Await::State::waiting ? 1 : 0);
}

PyObject* await_cancelled(PyObject* self, PyObject* /*unused*/) {
  return PyBool_FromLong(as_await(self).state == Await::State::cancelled ? 1 : 0);
}

PyObject* await_result(PyObject* self, PyObject* /*unused*/) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    Await& await = as_await(self);
    if (await.state != Await::State::cancelled) return none();  // the code takes the value itself
    const bool has_message = await.message != nullptr && await.message != Py_None;
    const py::object error = has_message ? cancelled_error()(py::handle(await.message)) : cancelled_error()();
    PyErr_SetObject(cancelled_error().ptr(), error.ptr());
    return nullptr;
  });
}

PyObject* await_repr(PyObject* self) {
  return PyUnicode_FromFormat("<await of step %R>", as_await(self).pending->name);
}

// ---------------------------------------------------------------- its type

int await_traverse(PyObject* self, visitproc visit, void* arg) {
  Await& await = as_await(self);
  return visit_all(visit, arg,
                   {reinterpret_cast<PyObject*>(Py_TYPE(self)), reinterpret_cast<PyObject*>(await.pending),
                    reinterpret_cast<PyObject*>(await.next), await.callback, await.context, await.message});
}

int await_clear(PyObject* self) {
  Await& await = as_await(self);
  Py_CLEAR(await.callback);
  Py_CLEAR(await.context);
  Py_CLEAR(await.message);
  return 0;
}

void await_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  await_clear(self);
  Py_XDECREF(reinterpret_cast<PyObject*>(as_await(self).pending));
  release(self);
}

template <auto Function>
PyCFunction method() {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Function));
}

PyMethodDef await_methods[] = {
    {"throw", method<&await_throw>(), METH_FASTCALL, "Part of the coroutine protocol."},
    {"close", &await_close, METH_NOARGS, "Part of the coroutine protocol."},
    {"get_loop", &await_get_loop, METH_NOARGS, "Part of the future protocol."},
    {"add_done_callback", method<&await_add_done_callback>(), METH_VARARGS | METH_KEYWORDS,
     "Part of the future protocol."},
    {"remove_done_callback", &await_remove_done_callback, METH_O, "Part of the future protocol."},
    {"cancel", method<&await_cancel>(), METH_VARARGS | METH_KEYWORDS, "Part of the future protocol."},
    {"done", &await_done, METH_NOARGS, "Part of the future protocol."},
    {"cancelled", &await_cancelled, METH_NOARGS, "Part of the future protocol."},
    {"result", &await_result, METH_NOARGS, "Part of the future protocol."},
    {}};

PyMemberDef await_members[] = {{"_asyncio_future_blocking", T_BOOL, offsetof(Await, blocking), 0, nullptr}, {}};

PyType_Slot await_slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(&await_traverse)},
                             {Py_tp_clear, reinterpret_cast<void*>(&await_clear)},
                             {Py_tp_dealloc, reinterpret_cast<void*>(&await_dealloc)},
                             {Py_tp_repr, reinterpret_cast<void*>(&await_repr)},
                             {Py_tp_iter, reinterpret_cast<void*>(&PyObject_SelfIter)},
                             {Py_tp_iternext, reinterpret_cast<void*>(&await_next)},
                             {Py_am_send, reinterpret_cast<void*>(&await_send)},
                             {Py_tp_methods, await_methods},
                             {Py_tp_members, await_members},
                             {}};

PyType_Spec await_spec = {"workflows._core.Await", sizeof(Await), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, await_slots};

PyObject* new_await(PyObject* pending) {
  auto* type = reinterpret_cast<PyTypeObject*>(await_type_object);
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) as_await(self).pending = reinterpret_cast<Pending*>(Py_NewRef(pending));
  return self;
}

// ---------------------------------------------------------------- StepCall

StepCall& as_call(PyObject* self) { return *reinterpret_cast<StepCall*>(self); }

int call_init(PyObject* self, PyObject* args, PyObject* /*kwargs*/) {
  PyObject* pending = nullptr;
  if (PyArg_ParseTuple(args, "O", &pending) == 0) return -1;
  as_call(self).pending = Py_NewRef(pending);
  return 0;
}

PyObject* call_await(PyObject* self) { return new_await(as_call(self).pending); }

PyObject* driver_of(StepCall& call) {
  if (call.driver == nullptr) call.driver = new_await(call.pending);
  return call.driver;
}

PySendResult call_send(PyObject* self, PyObject* value, PyObject** result) {
  PyObject* driver = driver_of(as_call(self));
  return driver == nullptr ? PYGEN_ERROR : await_send(driver, value, result);
}

PyObject* call_send_method(PyObject* self, PyObject* /*value*/) {
  PyObject* driver = driver_of(as_call(self));
  return driver == nullptr ? nullptr : await_next(driver);
}

PyObject* call_throw(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  PyObject* driver = driver_of(as_call(self));
  return driver == nullptr ? nullptr : await_throw(driver, args, count);
}

PyObject* call_close(PyObject* self, PyObject* /*unused*/) {
  PyObject* driver = as_call(self).driver;
  if (driver != nullptr) end(as_await(driver));
  return none();
}

PyObject* call_repr(PyObject* self) {
  return PyUnicode_FromFormat("<StepCall of %R>", reinterpret_cast<Pending*>(as_call(self).pending)->name);
}

int call_traverse(PyObject* self, visitproc visit, void* arg) {
  return visit_all(visit, arg,
                   {reinterpret_cast<PyObject*>(Py_TYPE(self)), as_call(self).pending, as_call(self).driver});
}

int call_clear(PyObject* self) {
  Py_CLEAR(as_call(self).pending);
  Py_CLEAR(as_call(self).driver);
  return 0;
}

void call_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  call_clear(self);
  release(self);
}

PyMethodDef call_methods[] = {
    {"send", &call_send_method, METH_O, "send($self, value, /)\n--\n\nPart of the coroutine protocol, for asyncio."},
    {"throw", method<&call_throw>(), METH_FASTCALL,
     "throw($self, typ, val=None, tb=None, /)\n--\n\nPart of the coroutine protocol, for asyncio."},
    {"close", &call_close, METH_NOARGS, "close($self, /)\n--\n\nPart of the coroutine protocol, for asyncio."},
    {}};

PyMemberDef call_members[] = {{"_pending", T_OBJECT_EX, offsetof(StepCall, pending), READONLY, nullptr}, {}};

PyType_Slot call_slots[] = {{Py_tp_new, reinterpret_cast<void*>(&PyType_GenericNew)},
                            {Py_tp_init, reinterpret_cast<void*>(&call_init)},
                            {Py_tp_traverse, reinterpret_cast<void*>(&call_traverse)},
                            {Py_tp_clear, reinterpret_cast<void*>(&call_clear)},
                            {Py_tp_dealloc, reinterpret_cast<void*>(&call_dealloc)},
                            {Py_tp_repr, reinterpret_cast<void*>(&call_repr)},
                            {Py_am_await, reinterpret_cast<void*>(&call_await)},
                            {Py_am_send, reinterpret_cast<void*>(&call_send)},
                            {Py_tp_methods, call_methods},
                            {Py_tp_members, call_members},
                            {}};

PyType_Spec call_spec = {"workflows._core.StepCall", sizeof(StepCall), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, call_slots};

}  // namespace

py::object new_call(Driver& driver, PyObject* pending) {
  auto* type = reinterpret_cast<PyTypeObject*>(driver.call_type().ptr());
  py::object call = stolen(type->tp_alloc(type, 0));
  as_call(call.ptr()).pending = Py_NewRef(pending);
  return call;
}

void wake(Pending& pending) {
  const auto next = [&] {
    Await* await = pending.waiters;
    while (await != nullptr && await->state != Await::State::waiting) await = await->next;
    return await;
  };
  while (Await* await = next()) {
    const py::object kept = borrowed(object(*await));
    await->state = Await::State::woken;
    resume(*await);
  }
}

void drop_waiters(Pending& pending) {
  while (Await* await = pending.waiters) {
    pending.waiters = std::exchange(await->next, nullptr);
    Py_DECREF(object(*await));
  }
}

void cancel_waiters(Pending& pending) {
  for (Await* await = pending.waiters; await != nullptr; await = await->next) cancel(*await, nullptr);
}

void bind_await(py::module_& module) {
  await_type_object = stolen(PyType_FromSpec(&await_spec)).release().ptr();
  module.attr("StepCall") = stolen(PyType_FromSpec(&call_spec));
}

}  // namespace workflows::python
