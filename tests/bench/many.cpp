// Many instances at once: opening a file with 100,000 unfinished ones, and what a sleeper costs in memory.

#include <poll.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "storage/store.h"
#include "tests/bench/ceiling.h"
#include "tests/support/script_host.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace std::chrono_literals;
using workflows::bench::Steady;
using workflows::testing::do_op;
using workflows::testing::Program;
using workflows::testing::ScriptHost;
using workflows::testing::sleep_op;

constexpr std::size_t kInstances = 100'000;
const workflows::TimePoint kStart{1'700'000'000'000ms};

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

void create_sleepers(ScriptHost& engine, workflows::ManualClock& clock) {
  for (std::size_t i = 0; i < kInstances; ++i) {
    engine.host().create({.workflow = "w", .id = "i" + std::to_string(i)});
    if (i % 5'000 != 4'999) continue;
    engine.run_until([&] {
      clock.advance(10s);
      return engine.host().counters().hibernated_instances == i + 1;
    });
  }
}

}  // namespace

int main() {
  const workflows::testing::TempDir dir;
  const std::string file = dir.path() / "engine.db";
  auto clock = std::make_shared<workflows::ManualClock>(kStart);
  const workflows::HostOptions options{.database = file, .workflows = {}, .clock = clock};
  const Program program{do_op("one"), do_op("two"), sleep_op("nap", 24h * 365), do_op("three")};
  {
    ScriptHost engine(options, {{"w", program}});
    engine.turn();
    const auto before = resident_bytes();
    create_sleepers(engine, *clock);
    engine.starts.clear();
    std::printf(R"({"what":"memory of a hibernated sleeper, 100,000 of them","value":%.0f,"unit":"bytes"})"
                "\n",
                static_cast<double>(resident_bytes() - before) / kInstances);
  }
  clock->advance(24h * 366);
  const auto start = Steady::now();
  ScriptHost engine(options, {{"w", program}});
  engine.run_until([&] { return engine.bodies.contains("three"); });
  std::printf(R"({"what":"open a file with 100,000 unfinished instances: first resumed step","value":%.3f,"unit":"s"})"
              "\n",
              workflows::bench::seconds_since(start));
  while (engine.ended.size() < kInstances) {
    pollfd fd{engine.host().fd(), POLLIN, 0};
    ::poll(&fd, 1, 100);
    engine.turn();
  }
  std::printf(
      R"({"what":"open a file with 100,000 unfinished instances: all resumed and finished","value":%.3f,"unit":"s"})"
      "\n",
      workflows::bench::seconds_since(start));
}
