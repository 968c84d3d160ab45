// User code that keeps the event loop to itself stalls every workflow: each turn of a coroutine is measured.

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstddef>

#include <structmember.h>

#include "bindings.h"
#include "native.h"

namespace workflows::python {

namespace py = pybind11;

namespace {

using SteadyClock = std::chrono::steady_clock;

struct Watched {
  PyObject_HEAD PyObject* coroutine;
  PyObject* what;
  double slow_seconds;
};

Watched& as_watched(PyObject* self) { return *reinterpret_cast<Watched*>(self); }

int watched_init(PyObject* self, PyObject* args, PyObject* /*kwargs*/) {
  PyObject* coroutine = nullptr;
  PyObject* what = nullptr;
  double seconds = 0;
  if (PyArg_ParseTuple(args, "OOd", &coroutine, &what, &seconds) == 0) return -1;
  Watched& watched = as_watched(self);
  watched.coroutine = Py_NewRef(coroutine);
  watched.what = Py_NewRef(what);
  watched.slow_seconds = seconds;
  return 0;
}

// Runs one turn and reports it if it took long; what it raised stays raised.
template <class Turn>
void watch(Watched& watched, Turn turn) {
  const auto began = SteadyClock::now();
  turn();
  const std::chrono::duration<double> took = SteadyClock::now() - began;
  if (took.count() < watched.slow_seconds) return;
  const py::error_scope kept;
  try {
    py::module_::import("workflows._watched")
        .attr("report")(py::handle(watched.coroutine), py::handle(watched.what), took.count());
  } catch (py::error_already_set& error) { error.discard_as_unraisable("reporting a slow turn"); }
}

PySendResult watched_send(PyObject* self, PyObject* value, PyObject** result) {
  Watched& watched = as_watched(self);
  PySendResult sent = PYGEN_ERROR;
  watch(watched, [&] { sent = PyIter_Send(watched.coroutine, value, result); });
  return sent;
}

PyObject* watched_send_method(PyObject* self, PyObject* value) {
  Watched& watched = as_watched(self);
  PyObject* result = nullptr;
  watch(watched, [&] { result = PyObject_CallMethod(watched.coroutine, "send", "O", value); });
  return result;
}

PyObject* watched_next(PyObject* self) { return watched_send_method(self, Py_None); }

PyObject* watched_throw(PyObject* self, PyObject* args) {
  Watched& watched = as_watched(self);
  PyObject* result = nullptr;
  watch(watched, [&] {
    PyObject* method = PyObject_GetAttrString(watched.coroutine, "throw");
    if (method != nullptr) result = PyObject_CallObject(method, args);
    Py_XDECREF(method);
  });
  return result;
}

PyObject* watched_close(PyObject* self, PyObject* /*unused*/) {
  return PyObject_CallMethod(as_watched(self).coroutine, "close", nullptr);
}

int watched_traverse(PyObject* self, visitproc visit, void* arg) {
  return visit_all(visit, arg,
                   {reinterpret_cast<PyObject*>(Py_TYPE(self)), as_watched(self).coroutine, as_watched(self).what});
}

int watched_clear(PyObject* self) {
  Py_CLEAR(as_watched(self).coroutine);
  Py_CLEAR(as_watched(self).what);
  return 0;
}

void watched_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  watched_clear(self);
  release(self);
}

PyMethodDef watched_methods[] = {{"send", &watched_send_method, METH_O, "Part of the coroutine protocol."},
                                 {"throw", &watched_throw, METH_VARARGS, "Part of the coroutine protocol."},
                                 {"close", &watched_close, METH_NOARGS, "Part of the coroutine protocol."},
                                 {}};

PyType_Slot watched_slots[] = {{Py_tp_new, reinterpret_cast<void*>(&PyType_GenericNew)},
                               {Py_tp_init, reinterpret_cast<void*>(&watched_init)},
                               {Py_tp_traverse, reinterpret_cast<void*>(&watched_traverse)},
                               {Py_tp_clear, reinterpret_cast<void*>(&watched_clear)},
                               {Py_tp_dealloc, reinterpret_cast<void*>(&watched_dealloc)},
                               {Py_tp_iter, reinterpret_cast<void*>(&PyObject_SelfIter)},
                               {Py_tp_iternext, reinterpret_cast<void*>(&watched_next)},
                               {Py_am_await, reinterpret_cast<void*>(&PyObject_SelfIter)},
                               {Py_am_send, reinterpret_cast<void*>(&watched_send)},
                               {Py_tp_methods, watched_methods},
                               {}};

PyType_Spec watched_spec = {"workflows._core.Watched", sizeof(Watched), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                            watched_slots};

}  // namespace

void bind_watched(py::module_& module) {
  module.attr("Watched") = py::reinterpret_steal<py::object>(PyType_FromSpec(&watched_spec));
}

}  // namespace workflows::python
