// `simulation --seeds N --first S` runs N seeds and tells what was reached; `--scenario JSON` repeats one run.

#include <cstdint>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "tests/simulation/model.h"
#include "tests/simulation/simulation.h"

namespace {

using namespace workflows::simulation;

int repeat(const std::string& text) {
  Counters counters;
  const auto what = run(scenario_from(text), counters);
  fmt::print("{}\n", what.value_or("nothing is wrong"));
  return what ? 1 : 0;
}

// One line for each: for the interpreters in other languages.
int print_programs(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    Random random(seed);
    fmt::print("{}\n", boost::json::serialize(predict(calm(random_program(random)))));
  }
  return 0;
}

int run_seeds(std::uint64_t first, std::uint64_t count) {
  Counters counters;
  const auto found = search(first, count, counters);
  if (found) {
    fmt::print("{}", report(shrink(*found), found->scenario.seed));
    return 1;
  }
  fmt::print("{} seeds from {} on\n", count, first);
  for (const auto& [what, times] : counters.all()) fmt::print("{:>12}  {}\n", times, what);
  if (count < kSeeds) return 0;
  const auto never = missed(counters);
  for (const auto& what : never) fmt::print("never: {}\n", what);
  return never.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Random programs and faults against the real engine on simulated time."};
  std::uint64_t seeds = 10'000;
  std::uint64_t first = 1;
  std::string scenario;
  app.add_option("--seeds", seeds, fmt::format("how many; {} or more fail also if they miss a rare path", kSeeds));
  app.add_option("--first", first, "the first one");
  bool prints = false;
  app.add_flag("--print", prints, "the programs of these seeds, and what they should come to, instead of running any");
  std::string bug;
  app.add_option("--bug", bug, "to plant into the engine")->check(CLI::IsMember(planted_bugs()));
  app.add_option("--scenario", scenario, "one run, as a failure prints it");
  CLI11_PARSE(app, argc, argv);
  plant(bug);
  if (prints) return print_programs(first, seeds);
  return scenario.empty() ? run_seeds(first, seeds) : repeat(scenario);
}
