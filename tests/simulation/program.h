#pragma once
// Workflow code as data, for interpreters in any language: C++ here (interpreter.h), Python in
// tests/python/test_simulation.py.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/describe.hpp>
#include <boost/json.hpp>

#include <workflows/host.h>

#include "tests/simulation/random.h"

namespace workflows::simulation {

BOOST_DEFINE_ENUM_CLASS(Kind, do_, sleep, wait, sequence, gather, race, graph, rescue, fail, patched)

// What the kinds mean, evaluate.h says. A member that a kind does not name has its default.
struct Op {
  Kind kind = Kind::sequence;
  std::uint32_t place = 0;  // in its program, counted from the root
  std::string name{};       // of a step, a patch, a race; branches share names

  // do: attempt number `fails` and those before it fail, the last of them for good if `fatal`.
  std::uint32_t fails = 0;
  bool fatal = false;
  std::uint32_t limit = 5;
  std::int64_t delay_ms = 0;
  bool chooses_delay = false;  // by a function
  std::int64_t timeout_ms = 600'000;
  bool rollback = false;  // it can be compensated; the compensation fails as often as
  std::uint32_t rollback_fails = 0;
  bool goes_on = false;                  // the chain, when this compensation fails for good
  std::vector<std::uint32_t> depends{};  // in a graph: siblings before it

  std::int64_t ms = 0;      // sleep: how long; wait: its timeout, -1: none
  std::string type{};       // wait: of the event
  bool cancels = false;     // race: the losers' awaits
  std::uint32_t width = 0;  // graph: how many of its steps run at once; 0: no bound
  std::vector<Op> children{};
};
BOOST_DESCRIBE_STRUCT(Op, (),
                      (kind, place, name, fails, fatal, limit, delay_ms, chooses_delay, timeout_ms, rollback,
                       rollback_fails, goes_on, depends, ms, type, cancels, width, children))

Op random_program(Random& random);
// Without what is left at its default.
boost::json::value to_json(const Op& program);
Op program_from(const boost::json::value& json);
// Each a little smaller than this one.
std::vector<Op> smaller(const Op& program);
const Op* find(const Op& program, std::uint32_t place);

constexpr std::uint32_t kRollbackLimit = 2;
StepConfig config_of(const Op& op);
RollbackConfig rollback_of(const Op& op);
DoRequest request_of(const Op& op);
// What the body does; of a rollback, `fails` is how often that fails.
BodyOutcome body_outcome(const Op& op, std::uint32_t attempt);
BodyOutcome rollback_outcome(const Op& op, std::uint32_t attempt);
Failure failure_of(std::string type, std::uint32_t place);
std::string text_of(const BodyOutcome& end);

}  // namespace workflows::simulation
