#include "tests/simulation/simulation.h"

#include <algorithm>
#include <exception>

#include <fmt/format.h>

#include "engine/testing/planted_bug.h"
#include "tests/simulation/invariants.h"
#include "tests/simulation/last_words.h"
#include "tests/simulation/world.h"

namespace workflows::simulation {
namespace {

constexpr int kRuns = 3'000;          // of shrinking
constexpr std::uint64_t kOrders = 4;  // of moves to try for each smaller scenario

// Up to the text behind the number of the invariant.
std::string_view kind_of(std::string_view what) { return what.substr(0, what.find(':')); }

}  // namespace

std::optional<std::string> run(const Scenario& scenario, Counters& counters) {
  const LastWords words(scenario);
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

const std::vector<std::string>& planted_bugs() {
  static const std::vector<std::string> bugs = {"told_before_commit",
                                                "stale_owner_writes",
                                                "event_for_two_waits",
                                                "sleep_ends_with_its_process",
                                                "result_recorded_twice",
                                                "rollbacks_forward",
                                                "occurrences_by_arrival",
                                                "end_is_not_final",
                                                "event_lost_in_hibernation",
                                                "node_after_one_parent",
                                                "two_instances_of_an_id",
                                                "body_before_its_start",
                                                "pause_eats_time",
                                                "dead_owner_keeps_instances",
                                                "limit_ignored"};
  return bugs;
}

void plant(std::string_view bug) { testing::planted_bug = bug; }

std::vector<std::string> missed(const Counters& counters) {
  std::vector<std::string> never;
  for (const char* path : {"a batch was created",
                           "a body waited for a thread",
                           "a body ended after its attempt was over",
                           "a call was refused",
                           "a call broke off",
                           "a compensation ran",
                           "a delay was chosen by a function",
                           "a dependency failed",
                           "a failed compensation stopped the chain",
                           "a history was replayed alone",
                           "a later racer won",
                           "a patch was off",
                           "a patch was on",
                           "a process died in a body",
                           "a wait took an event",
                           "an attempt timed out",
                           "an attempt was lost with its process",
                           "an await was cancelled",
                           "an engine was closed",
                           "an entry for a lost instance was refused",
                           "an instance was hibernated",
                           "an instance was paused",
                           "an instance was removed",
                           "an outcome was replayed",
                           "acknowledged: pause",
                           "acknowledged: remove",
                           "acknowledged: restart",
                           "acknowledged: resume",
                           "acknowledged: roll_back",
                           "acknowledged: terminate",
                           "busy: close_owner",
                           "busy: collect_garbage",
                           "busy: commit",
                           "busy: open_owner",
                           "busy: replace_dead_owners",
                           "commits were lost with the power",
                           "died in: close_owner",
                           "died in: collect_garbage",
                           "died in: commit",
                           "died in: open_owner",
                           "died in: replace_dead_owners",
                           "ended: instance_completed",
                           "ended: instance_errored",
                           "ended: instance_terminated",
                           "failed: close_owner",
                           "failed: collect_garbage",
                           "failed: commit",
                           "failed: open_owner",
                           "failed: replace_dead_owners",
                           "stale owner refused",
                           "the clock stepped",
                           "the power failed in a write",
                           "timeout beat event"}) {
    if (counters.count(path) == 0) never.emplace_back(path);
  }
  return never;
}

std::string report(const Found& found, std::uint64_t seed) {
  return fmt::format("seed {} fails: {}\nthe smallest scenario that fails like it:\n  {}\n", seed, found.what,
                     command_of(found.scenario));
}

}  // namespace workflows::simulation
