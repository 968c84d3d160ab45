// Random programs, random schedules, crashes at random moments. `--gtest_random_seed=N` plays other ones.

#include <algorithm>
#include <chrono>
#include <random>

#include "tests/unit/core/instance_script.h"

namespace workflows::core {
namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t bound) { return engine_() % bound; }
  bool one_in(std::size_t bound) { return below(bound) == 0; }

 private:
  std::mt19937_64 engine_;
};

// Few names, so that branches use the same ones.
std::string random_name(Random& random) { return std::string(1, static_cast<char>('a' + random.below(2))); }

Ask random_ask(Random& random) {
  const Millis time(random.below(4) * 50);
  switch (random.below(8)) {
    case 0:
      return sleep(random_name(random), time);
    case 1:
      return wait(random_name(random), time);
    case 2:
      return do_once(random_name(random));
    case 3:
      return do_(random_name(random), static_cast<std::uint32_t>(random.below(3)));
    default:
      return do_(random_name(random));
  }
}

Turn random_turn(Random& random) {
  switch (random.below(10)) {
    case 0:
      return race(random_ask(random), random_ask(random));
    case 1:
      return impatient(random_ask(random));
    default:
      return one(random_ask(random));
  }
}

Program random_program(Random& random) {
  Program program;
  program.events = static_cast<std::uint32_t>(random.below(4));
  program.branches.resize(1 + random.below(4));
  for (std::size_t i = 0; i < program.branches.size(); ++i) {
    Branch& branch = program.branches[i];
    for (std::size_t turns = 1 + random.below(4); turns > 0; --turns) branch.turns.push_back(random_turn(random));
    if (i > 0 && random.one_in(4)) {
      const std::size_t earlier = random.below(i);
      branch.follows = {earlier, random.below(program.branches[earlier].turns.size())};
    }
  }
  return program;
}

Move random_move(ScriptHost& host, Random& random) {
  const auto moves = host.moves();
  if (host.open_bodies() > 0 && random.one_in(8)) return {Move::Kind::linger, random.below(host.open_bodies())};
  return moves[random.below(moves.size())];
}

// To the end, or until the process dies.
World play(const Program& program, World world, Random& random, bool may_die, const Order& order = {}) {
  ScriptHost host(program, world, order);
  while (!host.done() && !testing::Test::HasFailure()) {
    if (may_die && random.one_in(12)) return host.crash();
    if (random.one_in(50) && host.fire_any_timer(random.below(100))) continue;
    const auto moves = host.moves();
    const bool only_giving_up = std::ranges::all_of(moves, [](Move m) { return m.kind == Move::Kind::give_up; });
    if (only_giving_up && random.one_in(2) && host.release_stalled()) continue;
    if (moves.empty()) {
      ADD_FAILURE() << "stuck";
      break;
    }
    host.play(random_move(host, random));
  }
  return world;
}

TEST(InstanceRandom, S7_WhateverHappensABranchSeesWhatItSawBefore) {
  constexpr std::uint64_t kPrograms = 3'000;
  const auto first = static_cast<std::uint64_t>(GTEST_FLAG_GET(random_seed)) * kPrograms;
  for (std::uint64_t seed = first; seed < first + kPrograms; ++seed) {
    Random random(seed);
    const Program program = random_program(random);
    const testing::ScopedTrace trace(__FILE__, __LINE__, "program " + std::to_string(seed) + ": " + describe(program));
    World world;
    for (std::size_t crashes = random.below(8); !world.ended() && !testing::Test::HasFailure();) {
      world = play(program, std::move(world), random, crashes > 0);
      if (crashes > 0) --crashes;
    }
    if (world.ended()) check_replay(program, world);
    if (testing::Test::HasFailure()) FAIL() << describe(world);
  }
}

// Every name belongs to one branch, so that it does not matter to occurrences which branch asks first.
Program without_shared_names(Program program) {
  for (std::size_t i = 0; i < program.branches.size(); ++i) {
    for (Turn& turn : program.branches[i].turns) {
      for (Ask& ask : turn.asks) ask.name += std::to_string(i);
    }
  }
  return program;
}

Order random_order(const Program& program, Random& random) {
  Order order;
  for (std::size_t i = 0; i < program.branches.size(); ++i) {
    order.insert(order.begin() + static_cast<std::ptrdiff_t>(random.below(i + 1)), i);
  }
  return order;
}

TEST(InstanceRandom, S39_BranchesThatBeginInAnotherOrderInEveryLifeAreNoDivergence) {
  constexpr std::uint64_t kSchedules = 1'000;
  const auto first = static_cast<std::uint64_t>(GTEST_FLAG_GET(random_seed)) * kSchedules;
  for (std::uint64_t seed = first; seed < first + kSchedules; ++seed) {
    Random random(seed);
    const Program program = without_shared_names(random_program(random));
    const testing::ScopedTrace trace(__FILE__, __LINE__, "program " + std::to_string(seed) + ": " + describe(program));
    World world;
    for (std::size_t crashes = 1 + random.below(8); !world.ended() && !testing::Test::HasFailure();) {
      world = play(program, std::move(world), random, crashes > 0, random_order(program, random));
      if (crashes > 0) --crashes;
    }
    if (world.ended()) check_replay(program, world, random_order(program, random));
    if (testing::Test::HasFailure()) FAIL() << describe(world);
  }
}

}  // namespace
}  // namespace workflows::core
