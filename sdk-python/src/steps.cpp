#include "steps.h"

#include <cstddef>
#include <tuple>
#include <utility>

#include <structmember.h>

#include "await.h"
#include "convert.h"
#include "driver.h"
#include "native.h"
#include "run.h"

namespace workflows::python {
namespace {

template <class T>
T& as(PyObject* self) {
  return *reinterpret_cast<T*>(self);
}
template <class T>
PyObject* object(T& value) {
  return reinterpret_cast<PyObject*>(&value);
}

// ---------------------------------------------------------------- Pending

void set_run(Pending& pending, PyObject* run) {
  pending.run = &py::cast<Run&>(py::handle(run));
  pending.run_object = Py_NewRef(run);
}

PyObject* pending_new(PyTypeObject* type, PyObject* /*args*/, PyObject* /*kwargs*/) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  auto& pending = as<Pending>(self);
  new (&pending.json) std::string();
  pending.ticket = -1;
  return self;
}

int pending_init(PyObject* self, PyObject* args, PyObject* /*kwargs*/) {
  PyObject* run = nullptr;
  PyObject* name = nullptr;
  if (PyArg_ParseTuple(args, "OU", &run, &name) == 0) return -1;
  return guarded(-1, [&] {
    auto& pending = as<Pending>(self);
    set_run(pending, run);
    pending.name = Py_NewRef(name);
    return 0;
  });
}

int pending_traverse(PyObject* self, visitproc visit, void* arg) {
  auto& pending = as<Pending>(self);
  return visit_all(visit, arg,
                   {object(*Py_TYPE(self)), pending.run_object, pending.name, pending.other,
                    reinterpret_cast<PyObject*>(pending.waiters)});
}

int pending_clear(PyObject* self) {
  auto& pending = as<Pending>(self);
  drop_waiters(pending);
  Py_CLEAR(pending.run_object);
  Py_CLEAR(pending.name);
  Py_CLEAR(pending.other);
  return 0;
}

void pending_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  pending_clear(self);
  as<Pending>(self).json.~basic_string();
  release(self);
}

PyObject* pending_ticket(PyObject* self, void* /*closure*/) {
  const auto ticket = as<Pending>(self).ticket;
  return ticket < 0 ? none() : PyLong_FromLongLong(ticket);
}

PyObject* pending_outcome(PyObject* self, void* /*closure*/) {
  const auto& pending = as<Pending>(self);
  if (pending.settled == Settled::value) {
    return guarded<PyObject*>(nullptr, [&] { return py::make_tuple(0, to_bytes(pending.json)).release().ptr(); });
  }
  return pending.settled == Settled::other ? Py_NewRef(pending.other) : none();
}

PyObject* pending_error(PyObject* self, void* /*closure*/) {
  const auto& pending = as<Pending>(self);
  return pending.settled == Settled::refused ? Py_NewRef(pending.other) : none();
}

PyObject* pending_settled(PyObject* self, void* /*closure*/) {
  return PyBool_FromLong(as<Pending>(self).settled != Settled::no ? 1 : 0);
}

PyObject* pending_cancel_waiters(PyObject* self, PyObject* /*unused*/) {
  return guarded<PyObject*>(nullptr, [&] {
    cancel_waiters(as<Pending>(self));
    return none();
  });
}

PyMethodDef pending_methods[] = {
    {"cancel_waiters", &pending_cancel_waiters, METH_NOARGS, "The run is over: nobody gets an answer."}, {}};

PyMemberDef pending_members[] = {{"run", T_OBJECT_EX, offsetof(Pending, run_object), READONLY, nullptr},
                                 {"name", T_OBJECT_EX, offsetof(Pending, name), READONLY, nullptr},
                                 {"abandoned", T_BOOL, offsetof(Pending, abandoned), 0, nullptr},
                                 {}};

PyGetSetDef pending_properties[] = {{"ticket", &pending_ticket, nullptr, nullptr, nullptr},
                                    {"outcome", &pending_outcome, nullptr, nullptr, nullptr},
                                    {"error", &pending_error, nullptr, nullptr, nullptr},
                                    {"settled", &pending_settled, nullptr, nullptr, nullptr},
                                    {}};

PyType_Slot pending_slots[] = {{Py_tp_new, reinterpret_cast<void*>(&pending_new)},
                               {Py_tp_init, reinterpret_cast<void*>(&pending_init)},
                               {Py_tp_traverse, reinterpret_cast<void*>(&pending_traverse)},
                               {Py_tp_clear, reinterpret_cast<void*>(&pending_clear)},
                               {Py_tp_dealloc, reinterpret_cast<void*>(&pending_dealloc)},
                               {Py_tp_methods, pending_methods},
                               {Py_tp_members, pending_members},
                               {Py_tp_getset, pending_properties},
                               {}};

// ---------------------------------------------------------------- Node

void describe(Node& node, Declaration& declaration) {
  node.pending.run_object = Py_NewRef(declaration.run_object);
  node.pending.run = declaration.run;
  node.pending.name = Py_NewRef(declaration.name);
  node.step = Py_NewRef(object(declaration));
  node.function = Py_NewRef(declaration.function);
  node.result_type = Py_NewRef(declaration.result_type);
  node.depends = PyTuple_New(0);
  node.id = -1;
}

int node_init(PyObject* self, PyObject* args, PyObject* /*kwargs*/) {
  PyObject* declaration = nullptr;
  if (PyArg_ParseTuple(args, "O!", declaration_type(), &declaration) == 0) return -1;
  describe(as<Node>(self), as<Declaration>(declaration));
  return 0;
}

int node_traverse(PyObject* self, visitproc visit, void* arg) {
  auto& node = as<Node>(self);
  if (const int stop =
          visit_all(visit, arg, {node.step, node.function, node.result_type, node.depends, node.given, node.context}))
    return stop;
  return pending_traverse(self, visit, arg);
}

int node_clear(PyObject* self) {
  auto& node = as<Node>(self);
  Py_CLEAR(node.step);
  Py_CLEAR(node.function);
  Py_CLEAR(node.result_type);
  Py_CLEAR(node.depends);
  Py_CLEAR(node.given);
  Py_CLEAR(node.context);
  return pending_clear(self);
}

void node_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  node_clear(self);
  as<Pending>(self).json.~basic_string();
  release(self);
}

PyMemberDef node_members[] = {{"step", T_OBJECT, offsetof(Node, step), READONLY, nullptr},
                              {"function", T_OBJECT_EX, offsetof(Node, function), READONLY, nullptr},
                              {"result_type", T_OBJECT_EX, offsetof(Node, result_type), READONLY, nullptr},
                              {"depends", T_OBJECT_EX, offsetof(Node, depends), 0, nullptr},
                              {"given", T_OBJECT, offsetof(Node, given), 0, nullptr},
                              {"context", T_OBJECT, offsetof(Node, context), 0, nullptr},
                              {"id", T_LONGLONG, offsetof(Node, id), 0, nullptr},
                              {"needed", T_BOOL, offsetof(Node, needed), 0, nullptr},
                              {"started", T_BOOL, offsetof(Node, started), 0, nullptr},
                              {"running", T_BOOL, offsetof(Node, running), 0, nullptr},
                              {}};

PyType_Slot node_slots[] = {{Py_tp_init, reinterpret_cast<void*>(&node_init)},
                            {Py_tp_traverse, reinterpret_cast<void*>(&node_traverse)},
                            {Py_tp_clear, reinterpret_cast<void*>(&node_clear)},
                            {Py_tp_dealloc, reinterpret_cast<void*>(&node_dealloc)},
                            {Py_tp_members, node_members},
                            {}};

// ---------------------------------------------------------------- Declaration

// `config`: a StepConfig or None, and the delay function or None.
void describe(Declaration& declaration, PyObject* run_object, Run& run, PyObject* function, PyObject* name,
              PyObject* config, PyObject* result_type, const Shape& shape, std::uint32_t width) {
  PyObject* native_config = PyTuple_GetItem(config, 0);
  PyObject* delay = PyTuple_GetItem(config, 1);
  PyObject* rollback = PyTuple_GetItem(config, 2);
  if (native_config == nullptr || delay == nullptr || rollback == nullptr) throw py::error_already_set();
  declaration.run = &run;
  // Looking for None in pybind11's tables takes longer than all the rest.
  declaration.native_config =
      native_config == Py_None ? nullptr : py::cast<const StepConfig*>(py::handle(native_config));
  declaration.run_object = Py_NewRef(run_object);
  declaration.function = Py_NewRef(function);
  declaration.name = Py_NewRef(name);
  declaration.config = Py_NewRef(native_config);
  declaration.delay = Py_NewRef(delay);
  declaration.rollback = Py_NewRef(rollback);
  declaration.source = shape.source;
  declaration.result_type = Py_NewRef(result_type);
  declaration.parameters = Py_NewRef(shape.parameters.ptr());
  declaration.width = width;
  declaration.is_async = shape.is_async;
  declaration.wants_context = shape.wants_context;
}

int declaration_init(PyObject* self, PyObject* args, PyObject* /*kwargs*/) {
  PyObject* run = nullptr;
  PyObject* function = nullptr;
  PyObject* name = nullptr;
  PyObject* config = nullptr;
  PyObject* result_type = nullptr;
  unsigned int width = 0;
  if (PyArg_ParseTuple(args, "OOUOOI", &run, &function, &name, &config, &result_type, &width) == 0) return -1;
  return guarded(-1, [&] {
    Run& its_run = py::cast<Run&>(py::handle(run));
    describe(as<Declaration>(self), run, its_run, function, name, config, result_type,
             its_run.driver().shape_of(function), width);
    return 0;
  });
}

int declaration_traverse(PyObject* self, visitproc visit, void* arg) {
  auto& declaration = as<Declaration>(self);
  return visit_all(visit, arg,
                   {object(*Py_TYPE(self)), declaration.run_object, declaration.name, declaration.function,
                    declaration.config, declaration.delay, declaration.rollback, declaration.result_type,
                    declaration.parameters, declaration.depends, declaration.extra, declaration.node});
}

int declaration_clear(PyObject* self) {
  auto& declaration = as<Declaration>(self);
  Py_CLEAR(declaration.run_object);
  Py_CLEAR(declaration.name);
  Py_CLEAR(declaration.function);
  Py_CLEAR(declaration.config);
  Py_CLEAR(declaration.delay);
  Py_CLEAR(declaration.rollback);
  Py_CLEAR(declaration.result_type);
  Py_CLEAR(declaration.parameters);
  Py_CLEAR(declaration.depends);
  Py_CLEAR(declaration.extra);
  Py_CLEAR(declaration.node);
  return 0;
}

void declaration_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  declaration_clear(self);
  release(self);
}

PyMemberDef declaration_members[] = {{"run", T_OBJECT_EX, offsetof(Declaration, run_object), READONLY, nullptr},
                                     {"name", T_OBJECT_EX, offsetof(Declaration, name), READONLY, nullptr},
                                     {"function", T_OBJECT_EX, offsetof(Declaration, function), READONLY, nullptr},
                                     {"delay", T_OBJECT, offsetof(Declaration, delay), READONLY, nullptr},
                                     {"rollback", T_OBJECT, offsetof(Declaration, rollback), READONLY, nullptr},
                                     {"result_type", T_OBJECT, offsetof(Declaration, result_type), READONLY, nullptr},
                                     {"parameters", T_OBJECT_EX, offsetof(Declaration, parameters), READONLY, nullptr},
                                     {"node", T_OBJECT, offsetof(Declaration, node), 0, nullptr},
                                     {"width", T_UINT, offsetof(Declaration, width), READONLY, nullptr},
                                     {"is_async", T_BOOL, offsetof(Declaration, is_async), READONLY, nullptr},
                                     {"wants_context", T_BOOL, offsetof(Declaration, wants_context), READONLY, nullptr},
                                     {"bare", T_BOOL, offsetof(Declaration, bare), 0, nullptr},
                                     {}};

// Made when somebody asks: most steps depend on nothing.
PyObject* declaration_depends(PyObject* self, void* /*closure*/) {
  auto& declaration = as<Declaration>(self);
  if (declaration.depends == nullptr) declaration.depends = PyDict_New();
  return Py_XNewRef(declaration.depends);
}
PyObject* declaration_extra(PyObject* self, void* /*closure*/) {
  auto& declaration = as<Declaration>(self);
  if (declaration.extra == nullptr) declaration.extra = PyTuple_New(0);
  return Py_XNewRef(declaration.extra);
}
int declaration_set_depends(PyObject* self, PyObject* value, void* /*closure*/) {
  Py_XSETREF(as<Declaration>(self).depends, Py_XNewRef(value));
  return 0;
}
int declaration_set_extra(PyObject* self, PyObject* value, void* /*closure*/) {
  Py_XSETREF(as<Declaration>(self).extra, Py_XNewRef(value));
  return 0;
}

PyGetSetDef declaration_properties[] = {{"depends", &declaration_depends, &declaration_set_depends, nullptr, nullptr},
                                        {"extra", &declaration_extra, &declaration_set_extra, nullptr, nullptr},
                                        {}};

PyType_Slot declaration_slots[] = {{Py_tp_new, reinterpret_cast<void*>(&PyType_GenericNew)},
                                   {Py_tp_init, reinterpret_cast<void*>(&declaration_init)},
                                   {Py_tp_traverse, reinterpret_cast<void*>(&declaration_traverse)},
                                   {Py_tp_clear, reinterpret_cast<void*>(&declaration_clear)},
                                   {Py_tp_dealloc, reinterpret_cast<void*>(&declaration_dealloc)},
                                   {Py_tp_members, declaration_members},
                                   {Py_tp_getset, declaration_properties},
                                   {}};

// ---------------------------------------------------------------- DeclaredStep

int declared_init(PyObject* self, PyObject* args, PyObject* /*kwargs*/) {
  PyObject* declaration = nullptr;
  if (PyArg_ParseTuple(args, "O!", declaration_type(), &declaration) == 0) return -1;
  as<DeclaredStep>(self).declaration = Py_NewRef(declaration);
  return 0;
}

PyObject* declared_call(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded<PyObject*>(nullptr, [&] {
    PyObject* step = as<DeclaredStep>(self).declaration;
    auto& declaration = as<Declaration>(step);
    const bool plain = declaration.bare && PyTuple_GET_SIZE(args) == 0 && kwargs == nullptr;
    const bool in_graph =
        declaration.node != nullptr && declaration.node != Py_None && as<Node>(declaration.node).id >= 0;
    if (plain && !in_graph) return declaration.run->call(declaration).release().ptr();
    const py::object given = kwargs == nullptr ? py::dict() : borrowed(kwargs);
    return borrowed(step).attr("call")(py::handle(args), given).release().ptr();
  });
}

int declared_traverse(PyObject* self, visitproc visit, void* arg) {
  return visit_all(visit, arg, {object(*Py_TYPE(self)), as<DeclaredStep>(self).declaration});
}

int declared_clear(PyObject* self) {
  Py_CLEAR(as<DeclaredStep>(self).declaration);
  return 0;
}

void declared_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  declared_clear(self);
  release(self);
}

PyMemberDef declared_members[] = {{"declaration", T_OBJECT_EX, offsetof(DeclaredStep, declaration), READONLY, nullptr},
                                  {}};

PyType_Slot declared_slots[] = {{Py_tp_new, reinterpret_cast<void*>(&PyType_GenericNew)},
                                {Py_tp_init, reinterpret_cast<void*>(&declared_init)},
                                {Py_tp_call, reinterpret_cast<void*>(&declared_call)},
                                {Py_tp_traverse, reinterpret_cast<void*>(&declared_traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(&declared_clear)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(&declared_dealloc)},
                                {Py_tp_members, declared_members},
                                {}};

// ---------------------------------------------------------------- declaring

py::object new_object(const py::object& type) {
  auto* made = reinterpret_cast<PyTypeObject*>(type.ptr());
  return stolen(made->tp_alloc(made, 0));
}

// declare(run, name or None, depends, width, config, result_type, function) -> DeclaredStep
PyObject* declare(PyObject* /*module*/, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&] {
    if (count != 7) throw py::type_error("@step.do goes on one function");
    auto [run_object, given_name, depends, width, config, result_type, function] =
        std::tuple(args[0], args[1], args[2], args[3], args[4], args[5], args[6]);
    Run& run = py::cast<Run&>(py::handle(run_object));
    const Driver& driver = run.driver();
    const Shape* shape = PyFunction_Check(function) ? &run.driver().shape_of(function) : nullptr;
    py::object step;
    if (shape == nullptr || shape->takes_arguments || depends != Py_None) {
      step = driver.classes().attr("declaration")(py::handle(run_object), py::handle(function), py::handle(given_name),
                                                  py::handle(depends), py::handle(config), py::handle(result_type),
                                                  py::handle(width));
    } else {
      const py::object function_name = borrowed(reinterpret_cast<PyFunctionObject*>(function)->func_name);
      const py::object name = given_name == Py_None ? function_name : borrowed(given_name);
      run.check_name(name);
      step = new_object(driver.declaration_type());
      auto& declaration = as<Declaration>(step.ptr());
      describe(declaration, run_object, run, function, name.ptr(), config, result_type, *shape,
               static_cast<std::uint32_t>(PyLong_AsUnsignedLong(width)));
      declaration.bare = true;
      run.declared(step, function_name, name);
    }
    py::object declared = new_object(driver.declared_type());
    as<DeclaredStep>(declared.ptr()).declaration = step.release().ptr();
    return declared.release().ptr();
  });
}

PyMethodDef functions[] = {
    {"declare", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&declare)), METH_FASTCALL,
     "declare(run, name, depends, width, config, result_type, function, /)\n--\n\nThe DeclaredStep of a function."},
    {}};

// ---------------------------------------------------------------- all of them

constexpr unsigned int kFlags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC;

PyType_Spec pending_spec = {"workflows._core.Pending", sizeof(Pending), 0, kFlags, pending_slots};
PyType_Spec node_spec = {"workflows._core.Node", sizeof(Node), 0, kFlags, node_slots};
PyType_Spec declaration_spec = {"workflows._core.Declaration", sizeof(Declaration), 0, kFlags, declaration_slots};
PyType_Spec declared_spec = {"workflows._core.DeclaredStep", sizeof(DeclaredStep), 0, kFlags, declared_slots};

PyObject* declaration_type_object = nullptr;

}  // namespace

PyTypeObject* declaration_type() { return reinterpret_cast<PyTypeObject*>(declaration_type_object); }

py::object new_node(Declaration& declaration) {
  auto* type = reinterpret_cast<PyTypeObject*>(declaration.run->driver().node_type().ptr());
  py::object made = stolen(pending_new(type, nullptr, nullptr));
  auto& node = as<Node>(made.ptr());
  describe(node, declaration);
  node.context = stolen(PyContext_CopyCurrent()).release().ptr();
  return made;
}

void settle(Pending& pending, Outcome outcome) {
  if (auto* value = std::get_if<Value>(&outcome)) {
    pending.json = std::move(value->json);
    pending.settled = Settled::value;
  } else {
    pending.other = to_python(outcome).release().ptr();
    pending.settled = Settled::other;
  }
}

void refuse(Pending& pending, PyObject* exception) {
  pending.other = Py_NewRef(exception);
  pending.settled = Settled::refused;
}

void bind_steps(py::module_& module) {
  const auto add = [&](const char* name, PyType_Spec& spec, PyObject* base = nullptr) {
    const py::object type = stolen(PyType_FromSpecWithBases(&spec, base));
    module.attr(name) = type;
    return type;
  };
  const py::object pending = add("Pending", pending_spec);
  add("Node", node_spec, pending.ptr());
  declaration_type_object = add("Declaration", declaration_spec).release().ptr();
  add("DeclaredStep", declared_spec);
  bind_await(module);
  if (PyModule_AddFunctions(module.ptr(), static_cast<PyMethodDef*>(functions)) != 0) throw py::error_already_set();
}

}  // namespace workflows::python
