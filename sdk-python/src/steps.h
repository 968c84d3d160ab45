#pragma once
// What one step is made of between the code that asks for it and the engine: types by hand, because pybind11's cost
// more to make and to call than a step may cost. The package derives its classes from them and adds what is needed
// rarely;
// `_core.pyi` describes every member.
//
//   DeclaredStep  what `@step.do` returns; calling it asks for the step
//   Declaration   the step as it was declared
//   Pending       a question to the engine; Node: one to run a declared step
//   StepCall      what user code awaits
//   Await         one await of it, and the future that a task waits for meanwhile
//
// Thread-safety: all of it belongs to the thread of the loop and needs the GIL.

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include <workflows/host.h>

namespace workflows::python {

namespace py = pybind11;

class Driver;
class Run;
struct Await;

inline py::object borrowed(PyObject* object) { return py::reinterpret_borrow<py::object>(object); }
inline py::object stolen(PyObject* object) {  // of a call that may have raised
  if (object == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(object);
}

struct DeclaredStep {
  PyObject_HEAD PyObject* declaration;
};

struct Declaration {
  PyObject_HEAD PyObject* run_object;
  Run* run;
  PyObject* name;
  PyObject* function;
  PyObject* config;  // a StepConfig, or None: the defaults
  const StepConfig* native_config;
  PyObject* delay;  // the function that chooses retry delays, or None
  PyObject* result_type;
  PyObject* rollback;    // (function, StepConfig or None, goes on after a failure), or None
  PyObject* parameters;  // of the function
  PyObject* depends;     // Declarations by the name of the parameter; null: nothing yet
  PyObject* extra;       // ... for *args, or only to come after; null: nothing
  PyObject* node;        // its run that others may share: the first one that was called for without arguments
  Source source;
  std::uint32_t width;  // how many steps of its graph run at a time; 0: no bound
  bool is_async;
  bool wants_context;  // its function does
  bool bare;           // it depends on nothing and takes no arguments
};

// What one function takes. That of a function that its code tells all about is made once: a step that is declared in a
// loop is a new function each time.
struct Shape {
  py::object code;        // held, so that no other takes its address
  py::object parameters;  // the package's Parameters
  Source source = nullptr;
  bool is_async = false;
  bool wants_context = false;
  bool takes_arguments = false;
};

enum class Settled : std::uint8_t { no, value, other, refused };

struct Pending {
  PyObject_HEAD PyObject* run_object;
  Run* run;
  PyObject* name;
  std::int64_t ticket;  // -1: not asked for
  Settled settled;
  bool expected;   // the code may await it
  bool abandoned;  // its await was cancelled
  bool heard;      // somebody got the outcome
  std::string json;
  PyObject* other;  // an outcome that is no value, as in _core.pyi; or the exception of an engine that refused
  Await* waiters;   // in the order of their awaits; owned
};

struct Node {
  Pending pending;
  PyObject* step;  // its Declaration; dropped when it has ended, since that may refer to this
  PyObject* function;
  PyObject* result_type;
  PyObject* depends;  // Nodes
  PyObject* given;    // arguments of the call, or None
  PyObject* context;  // contextvars of the caller
  std::int64_t id;    // in the engine's graph; -1: not there
  bool needed;        // another step waits for the outcome
  bool started;       // by the graph
  bool running;       // a body of it does, beyond its first part
};

struct StepCall {
  PyObject_HEAD PyObject* pending;
  PyObject* driver;  // the Await that `send` drives
};

// A Node of `declaration` that is in no graph, in the caller's context.
py::object new_node(Declaration& declaration);
py::object new_call(Driver& driver, PyObject* pending);

void settle(Pending& pending, Outcome outcome);
void refuse(Pending& pending, PyObject* exception);
// Lets those that wait go on, at once, one after the other. Not while a task runs.
void wake(Pending& pending);

}  // namespace workflows::python
