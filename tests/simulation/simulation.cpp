#include "tests/simulation/simulation.h"

#include <algorithm>
#include <exception>

#include <fmt/format.h>

#include "tests/simulation/invariants.h"
#include "tests/simulation/world.h"

namespace workflows::simulation {
namespace {

constexpr int kRuns = 3'000;          // of shrinking
constexpr std::uint64_t kOrders = 4;  // of moves to try for each smaller scenario

// Up to the text behind the number of the invariant.
std::string_view kind_of(std::string_view what) { return what.substr(0, what.find(':')); }

}  // namespace

std::optional<std::string> run(const Scenario& scenario, Counters& counters) {
  World world(scenario, counters);
  try {
    world.run();
  } catch (const std::exception& found) { return found.what() + ("\n" + world.journal()); }
  return std::nullopt;
}

std::optional<Found> search(std::uint64_t first, std::uint64_t count, Counters& counters) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Scenario scenario = random_scenario(seed);
    if (auto what = run(scenario, counters)) return Found{scenario, std::move(*what)};
  }
  return std::nullopt;
}

Found shrink(Found found) {
  Counters unheard;
  int runs = 0;
  const auto fails = [&](Scenario candidate) -> std::optional<Found> {
    for (std::uint64_t order = 0; order < kOrders && runs < kRuns; ++order, ++runs) {
      auto what = run(candidate, unheard);
      if (what && kind_of(*what) == kind_of(found.what)) return Found{std::move(candidate), std::move(*what)};
      candidate.seed = found.scenario.seed + order + 1;
    }
    return std::nullopt;
  };
  for (bool smaller_found = true; smaller_found && runs < kRuns;) {
    smaller_found = false;
    for (const Scenario& candidate : smaller(found.scenario)) {
      auto next = fails(candidate);
      if (!next) continue;
      found = std::move(*next);
      smaller_found = true;
      break;
    }
  }
  return found;
}

std::string report(const Found& found, std::uint64_t seed) {
  return fmt::format(
      "seed {} fails: {}\nsmallest scenario that fails like it:\n  {}\nto repeat it:\n  build/release/tests/simulation "
      "--scenario '{}'\n",
      seed, found.what, to_text(found.scenario), to_text(found.scenario));
}

}  // namespace workflows::simulation
