#pragma once
// Runs of many seeds, and what to do with one that fails.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulation/counters.h"
#include "tests/simulation/scenario.h"

namespace workflows::simulation {

struct Found {
  Scenario scenario;
  std::string what;
};

// What a run of the scenario found, if anything.
std::optional<std::string> run(const Scenario& scenario, Counters& counters);
// The first that fails among `count` seeds from `first` on.
std::optional<Found> search(std::uint64_t first, std::uint64_t count, Counters& counters);
// The smallest scenario that fails like it, as far as trying tells.
Found shrink(Found found);
// Which there are, and which one is in the engine from now on; "": none.
const std::vector<std::string>& planted_bugs();
void plant(std::string_view bug);

// So many seeds come to every path that a simulation is for.
constexpr std::uint64_t kSeeds = 4'000;
// Those of these paths that a set of seeds never came to.
std::vector<std::string> missed(const Counters& counters);
// For people: the seed, the program, and the command that repeats it.
std::string report(const Found& found, std::uint64_t seed);

}  // namespace workflows::simulation
