#pragma once
// Drives the engine from an event loop, as host.h asks, and runs the bodies of steps that are coroutines. Python's
// `Runner` derives from it; what happens rarely is carried out there.
//
// A turn hands outcomes to the code that waits for them and runs that code at once, then the bodies that it asked for:
// a step that does not suspend costs no further turn of the loop, no future and no task. Every body finds a task of its
// own as the current one all the same: an idle one that takes the body over if it suspends, and is used for the next
// one if it does not and nobody has taken notice of it.

#include <deque>
#include <map>
#include <string>
#include <unordered_map>

#include "owned.h"
#include "steps.h"

namespace workflows::python {

class Driver {
 public:
  Driver(py::object host, py::object loop, py::object classes);

  // A verb was used: poll once the turn is over.
  void touch();
  void turn();
  // Raises if the engine cannot be used here and now.
  void check();
  Host& host() const { return *host_; }
  py::object loop() const { return loop_; }
  // What the package derives from ours (`Classes` in _core.pyi).
  const py::object& classes() const { return classes_; }
  const py::object& node_type() const { return node_type_; }
  const py::object& call_type() const { return call_type_; }
  const py::object& declaration_type() const { return declaration_type_; }
  const py::object& declared_type() const { return declared_type_; }
  const Shape& shape_of(PyObject* function);
  // Where user code asks.
  Source place_of(PyCodeObject* code, int line);
  Source place_of_caller();

  void body_due(Node& node, std::uint32_t attempt) { due_.emplace_back(borrowed(as_object(node)), attempt); }
  // Runs the first part of an attempt, up to where it suspends. `body`: what Python knows of it, or None.
  void run_body(Node& node, std::uint32_t attempt, const py::object& body, PyObject* args, PyObject* kwargs);

  bool closed = false;
  bool closing = false;
  bool failed = false;
  bool plain_values = true;   // no serializer but JSON
  bool shows_values = false;  // Python's half sees what every await gives, for debuggers
  double slow_turn_seconds = 1;
  py::dict runs;
  py::object turn_callback = py::none();
  py::object turn_context = py::none();  // for callbacks of the loop

  void release_host();
  int traverse(visitproc visit, void* arg) const;
  void clear();

 private:
  struct Due {
    py::object node;
    std::uint32_t attempt;
  };

  static PyObject* as_object(Node& node) { return reinterpret_cast<PyObject*>(&node); }
  bool receive();
  bool wait_briefly();
  void carry_out();
  void carry_out(Action action);
  void start_body(Node& node, std::uint32_t attempt);
  void end_body(Node& node, std::uint32_t attempt, const py::object& body, const py::object& result);
  void schedule_turn();
  Run* find(InstanceKey key) const;
  py::object idle_task();
  py::object self() const { return py::cast(this); }

  py::object host_object_;
  Host* host_;
  py::object loop_;
  py::object classes_;
  py::object node_type_;
  py::object call_type_;
  py::object declaration_type_;
  py::object declared_type_;
  std::unordered_map<PyObject*, Shape> shapes_;         // by code
  Shape shape_;                                         // of a function whose code does not tell all
  py::object package_;                                  // the folder of the package
  py::object code_;                                     // the contextvar of _run.py
  std::map<std::pair<PyObject*, int>, Source> places_;  // by file name, which code objects keep, and line
  py::object idle_task_;
  std::vector<Action> polled_;  // its memory is used again
  std::deque<Action> actions_;
  std::deque<Due> due_;
  std::size_t ended_bodies_ = 0;  // whose results are on their way to disk, since the last brief wait
  bool turn_due_ = false;
  bool in_turn_ = false;
};

}  // namespace workflows::python
