#pragma once
// What must hold on every run and every fault. The numbers are those of the list that the checks are named after:
//
//  1 what was acknowledged survives      2 one result for a step, for good      3 no body after its result
//  4 one owner writes                    5 one wait for an event, in order      6 no timer before its time
//  7 what has ended has ended            8 no node before its parents           9 compensations in reverse order
// 10 one instance for an id             11 no more at once than allowed        12 only what has expired is removed
// 13 the same code does the same again  14 indexes agree with what is kept     15 whatever waits will be woken
// 16 everything completes               17 memory is bounded

#include <stdexcept>
#include <string>

namespace workflows::simulation {

// 0: the engine itself says that something is wrong.
struct Violation : std::runtime_error {
  Violation(int number, const std::string& what)
      : std::runtime_error("invariant " + std::to_string(number) + ": " + what), invariant(number) {}
  int invariant;
};

inline void hold(int invariant, bool holds, const std::string& otherwise) {
  if (!holds) throw Violation(invariant, otherwise);
}

}  // namespace workflows::simulation
