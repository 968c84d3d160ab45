// The short form of the simulation; `make simulate` is the long one. `--gtest_random_seed=N` takes other seeds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <string>

#include "tests/simulation/last_words.h"
#include "tests/simulation/simulation.h"

namespace workflows::simulation {
namespace {

std::uint64_t first_seed() { return 1 + static_cast<std::uint64_t>(GTEST_FLAG_GET(random_seed)) * kSeeds; }

TEST(Simulation, WhateverGoesWrongTheInvariantsHoldAndEverythingComesToItsEnd) {
  Counters counters;
  const auto found = search(first_seed(), kSeeds, counters);
  ASSERT_FALSE(found) << report(shrink(*found), found->scenario.seed);
  EXPECT_THAT(missed(counters), testing::IsEmpty()) << "these seeds prove nothing about what they never came to";
}

class PlantedBug : public testing::TestWithParam<std::string> {
 protected:
  ~PlantedBug() override { plant(""); }
};

TEST_P(PlantedBug, IsFound) {
  plant(GetParam());
  Counters counters;
  const auto found = search(first_seed(), kSeeds, counters);
  ASSERT_TRUE(found);
  std::cout << GetParam() << ": found by seed " << found->scenario.seed << ", "
            << found->what.substr(0, found->what.find('\n')) << '\n';
}

INSTANTIATE_TEST_SUITE_P(Simulation, PlantedBug, testing::ValuesIn(planted_bugs()),
                         [](const auto& bug) { return bug.param; });

// Each broke an invariant once, as RELIABILITY.md tells.
TEST(Scenario, ThatFailedOnceFailsNoMore) {
  std::ifstream scenarios(WORKFLOWS_SCENARIOS);
  Counters counters;
  std::size_t run_so_far = 0;
  for (std::string text; std::getline(scenarios, text); ++run_so_far) {
    EXPECT_EQ(run(scenario_from(text), counters).value_or("nothing is wrong"), "nothing is wrong") << text;
  }
  EXPECT_GE(run_so_far, 6);
}

// A scenario is what a failure prints: it has to come back as it was.
TEST(Scenario, IsTheSameAfterItWasPrinted) {
  for (std::uint64_t seed = 1; seed < 200; ++seed) {
    const std::string text = to_text(random_scenario(seed));
    EXPECT_EQ(to_text(scenario_from(text)), text);
  }
}

// A failed assertion, a wild pointer, a loop without end: none of them comes back to who runs the seeds.
TEST(LastWords, NameTheCommandThatRepeatsTheRun) {
  const Scenario scenario = random_scenario(7);
  for (const int signal : {SIGABRT, SIGSEGV, SIGALRM}) {
    const auto crash = [&] {
      const LastWords words(scenario);
      std::raise(signal);
    };
    EXPECT_DEATH(crash(), testing::HasSubstr(command_of(scenario))) << signal;
  }
}

TEST(Shrinking, LeavesWhatTheBugNeedsAndAScenarioThatRepeatsIt) {
  plant("rollbacks_forward");
  Counters counters;
  const auto found = search(1, kSeeds, counters);
  ASSERT_TRUE(found);
  const Found small = shrink(*found);
  EXPECT_LT(to_text(small.scenario).size(), to_text(found->scenario).size());
  EXPECT_EQ(run(scenario_from(to_text(small.scenario)), counters), small.what);
  plant("");
}

}  // namespace
}  // namespace workflows::simulation
