#pragma once
// One running instance: its questions to the engine and the order in which the outcomes reach its code. Python's `Run`
// derives from it and adds the graph.
//
// Replay must find the questions of parallel branches in the order in which they were asked. The engine delivers
// outcomes in the recorded order; here each branch gets the time to react before the next outcome is handed over, in
// the first life as in every other, so that the order of the outcomes alone decides who asks first.

#include <list>
#include <utility>

#include "steps.h"

namespace workflows::python {

class Run {
 public:
  Run(py::object driver, InstanceKey key);

  InstanceKey key() const { return key_; }
  Driver& driver() const { return *driver_; }
  py::object driver_object() const { return driver_object_; }

  // Raises if the code may not ask now.
  void check();
  // A direct call of a step that depends on nothing and takes no arguments.
  py::object call(Declaration& declaration);

  // The verbs: each gives `pending` its ticket and, sooner or later, its outcome.
  void do_(Node& node, std::vector<Ticket> depends);
  void do_failed(Node& node, std::vector<Ticket> depends, Failure failure);
  void sleep(Pending& pending, SleepRequest request);
  void wait_for_event(Pending& pending, WaitRequest request);

  // What the code got from outside: the recorded value, or this one.
  std::string value(std::string name, std::string json);
  bool patched(const std::string& id);

  // Remembers a declared step; of two of the same name the later counts for what is declared from now on.
  void declared(const py::object& declaration, const py::object& function_name, const py::object& name);
  void check_name(const py::object& name) const;

  void expect(Pending& pending);  // the code may await it
  void forget(Pending& pending);
  void refuse(Pending& pending, PyObject* exception);
  void resolve(Ticket ticket, Outcome outcome);
  void abandon(Pending& pending);
  py::object open_step(Ticket ticket) const;  // the Node, or nothing

  // The code has not yet got, or has not yet had the time to react to, all outcomes that are there.
  bool reacting() const { return pausing_ || !deliveries_.empty(); }
  void go_on();
  // Something happened in this run; the engine is to be polled after this turn of the loop.
  void touch();
  void stop();
  // The engine has forgotten it. Its open steps know it, and their declarations know them: nothing else would hold
  // them.
  void let_go();

  bool stopped = false;  // its code is to end, whatever it does is not recorded
  bool replays = false;  // it still finds recorded outcomes, as far as is known
  bool has_abandoned = false;
  py::dict unawaited;
  py::dict asked;        // by ticket; settled ones are dropped
  py::dict by_function;  // Declarations, by the name of the function
  py::dict by_name;
  py::object last_step = py::none();  // the name that was asked for last
  py::dict rollbacks;                 // Declarations that can be compensated, by ticket

  int traverse(visitproc visit, void* arg) const;
  void clear();

 private:
  template <class Verb>
  void ask(Pending& pending, Verb verb);
  template <class Verb>
  void ask_or_forget(Pending& pending, Verb verb);
  void hand_over(Pending& pending, Outcome outcome);
  void deliver(Pending& pending, Outcome outcome);
  void end_node(Pending& pending, bool ok);
  static RollbackConfig rollback_config(const Declaration& declaration);
  void keep_rollback(const Node& node);
  DoRequest request(const Node& node, std::vector<Ticket> depends) const;
  py::object self() const { return py::cast(this); }

  py::object driver_object_;
  Driver* driver_;
  InstanceKey key_;
  std::uint32_t expected_ = 0;                            // outcomes that the code may await
  bool pausing_ = false;                                  // the code reacts to an outcome
  std::list<std::pair<py::object, Outcome>> deliveries_;  // outcomes to be handed over after that
};

}  // namespace workflows::python
