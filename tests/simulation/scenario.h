#pragma once
// Everything that a run depends on. The same scenario gives the same run.

#include <cstdint>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "tests/simulation/program.h"

namespace workflows::simulation {

BOOST_DEFINE_ENUM_CLASS(Fault, death, busy, failed_write, death_in_write, partition, clock_step, power_cut, late_body,
                        lifecycle, upgrade, retention)

struct Scenario {
  std::uint64_t seed = 0;  // of the schedule
  std::uint32_t moves = 300;
  std::uint32_t workers = 1;
  std::uint32_t instances = 2;
  std::uint32_t at_once = 0;  // instances in memory; 0: any number
  std::int64_t hibernate_ms = 10'000;
  std::uint32_t unsynced = 0;  // so many commits may be lost with the power (durability normal); 0: none (full)
  std::vector<Fault> faults{};
  std::vector<Op> programs{};
};
BOOST_DESCRIBE_STRUCT(Scenario, (),
                      (seed, moves, workers, instances, at_once, hibernate_ms, unsynced, faults, programs))

Scenario random_scenario(std::uint64_t seed);
std::string to_text(const Scenario& scenario);
Scenario scenario_from(const std::string& text);
std::string command_of(const Scenario& scenario);  // that repeats the run
// Each a little smaller than this one.
std::vector<Scenario> smaller(const Scenario& scenario);

}  // namespace workflows::simulation
