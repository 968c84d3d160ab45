#pragma once
// What the operations of a program mean, apart from its steps: those are leaves, which the engine answers while the
// program runs, and the model when it is asked what the program should have come to.

#include <cstddef>
#include <optional>

#include "tests/simulation/program.h"

namespace workflows::simulation {

// Absent: it has not ended.
using End = std::optional<BodyOutcome>;

class Leaves {
 public:
  virtual ~Leaves() = default;
  virtual End step(const Op& op) = 0;   // do, sleep, wait
  virtual End graph(const Op& op) = 0;  // the end of its last node
  virtual bool patched(const Op& op) = 0;
  // The winner of a race, if that is over; `first` is the first racer that has ended.
  virtual std::optional<std::size_t> winner(const Op& race, std::optional<std::size_t> first) = 0;
};

// Evaluates as far as its leaves have ended. To be called again when one more has: it asks for the same leaves again.
End evaluate(const Op& op, Leaves& leaves);

}  // namespace workflows::simulation
