#pragma once
// One await of a Pending: the iterator that user code drives, and the future that its task waits for meanwhile. Each
// await has one of its own, so that cancelling one awaiting task does not disturb another.

#include "steps.h"

namespace workflows::python {

void bind_await(py::module_& module);

void drop_waiters(Pending& pending);
// The run is over: nobody gets an answer.
void cancel_waiters(Pending& pending);

PyTypeObject* declaration_type();

}  // namespace workflows::python
