#pragma once
// What a program comes to by its description alone, if nothing goes wrong around it and no clock decides: for other
// languages, whose interpreters run calm programs on the real engine and have to come to the same.

#include <cstdint>
#include <string>

#include "tests/simulation/program.h"

namespace workflows::simulation {

// The program with nothing left in it that depends on how fast it runs: each wait has a type of its own, races have one
// racer that ends, compensations succeed.
Op calm(Op program);

// {"program", "events": [{"type", "payload"}] to send, "status", "output" or "error" (its type), "compensated": names}
boost::json::object predict(const Op& calm_program);

}  // namespace workflows::simulation
