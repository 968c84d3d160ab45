#pragma once
// Helpers for types that are made by hand.

#include <pybind11/pybind11.h>

#include <exception>
#include <initializer_list>

namespace workflows::python {

// Sets the Python exception that belongs to a C++ one.
void raise(std::exception_ptr error) noexcept;

// Runs the body of a slot: `failed` if it throws.
template <class Result, class Body>
Result guarded(Result failed, Body body) noexcept {
  try {
    return body();
  } catch (...) { raise(std::current_exception()); }
  return failed;
}

inline PyObject* none() { return Py_NewRef(Py_None); }

// For traverse slots.
inline int visit_all(visitproc visit, void* arg, std::initializer_list<PyObject*> members) {
  for (PyObject* member : members) {
    if (member == nullptr) continue;
    if (const int stop = visit(member, arg)) return stop;
  }
  return 0;
}

// For dealloc slots, at their end.
inline void release(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// An object that pybind11 has allocated is the collector's at once; its layout and its value come later.
inline bool is_constructed(PyObject* self) {
  const auto* instance = reinterpret_cast<pybind11::detail::instance*>(self);
  const bool laid_out = instance->simple_layout || instance->nonsimple.status != nullptr;
  return laid_out && pybind11::detail::is_holder_constructed(self);
}

// Lets the collector look into a class of pybind11's that has `traverse` and `clear`.
template <class T>
pybind11::custom_type_setup collected() {
  return pybind11::custom_type_setup([](PyHeapTypeObject* heap_type) {
    auto* type = &heap_type->ht_type;
    type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
      Py_VISIT(Py_TYPE(self));
      if (!is_constructed(self)) return 0;
      return pybind11::cast<T&>(pybind11::handle(self)).traverse(visit, arg);
    };
    type->tp_clear = [](PyObject* self) {
      if (is_constructed(self)) pybind11::cast<T&>(pybind11::handle(self)).clear();
      return 0;
    };
  });
}

}  // namespace workflows::python
