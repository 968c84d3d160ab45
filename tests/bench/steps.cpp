// Steps per second and the latency of one step, in C++; one JSON line a figure, with the ceiling of the same run.

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <workflows/workflows.h>

#include "tests/bench/ceiling.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace std::chrono_literals;
using workflows::bench::Steady;

const std::string kResult(62, 'r');
constexpr std::uint32_t kSteps = 10;

workflows::Workflow<int> ten_steps(const workflows::Event&, workflows::Step& step) {
  co_await step.sleep("until all are here", 1h);
  for (std::uint32_t i = 0; i < kSteps; ++i) {
    auto one = step.do_("step", [] { return kResult; });
    co_await one;
  }
  co_return 0;
}

std::vector<double> latencies;

workflows::Workflow<int> serial_steps(const workflows::Event&, workflows::Step& step) {
  for (int i = 0; i < 3'000; ++i) {
    auto one = step.do_("step", [] { return kResult; });
    const auto start = Steady::now();
    co_await one;
    if (i >= 1'000) latencies.push_back(workflows::bench::seconds_since(start));
  }
  co_return 0;
}

void create_many(workflows::Engine& engine, std::uint32_t count) {
  constexpr std::uint32_t kThreads = 64;  // each waits for its commit; together they share commits
  std::vector<std::thread> creators;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    creators.emplace_back([&, t] {
      for (std::uint32_t i = t; i < count; i += kThreads) engine.create("ten", 0, {.id = "i" + std::to_string(i)});
    });
  }
  for (std::thread& creator : creators) creator.join();
}

double steps_per_second(const std::string& path, std::uint32_t instances) {
  auto clock = std::make_shared<workflows::ManualClock>(workflows::TimePoint(1'700'000'000'000ms));
  workflows::Engine engine({.database = path, .hibernate_after = 24h, .clock = clock});
  engine.add("ten", ten_steps);
  engine.start();
  create_many(engine, instances);
  const auto count = [&](workflows::Status status) {
    return engine.list({.status = status, .limit = instances}).size();
  };
  while (count(workflows::Status::waiting) < instances) std::this_thread::sleep_for(1ms);
  const auto start = Steady::now();
  clock->advance(1h);
  engine.clock_moved();
  while (engine.counters().loaded_instances > 0) std::this_thread::sleep_for(100us);
  return instances * static_cast<double>(kSteps) / workflows::bench::seconds_since(start);
}

}  // namespace

int main() {
  for (const std::uint32_t instances : {1U, 100U, 1'000U, 10'000U}) {
    const workflows::testing::TempDir dir;
    const double ceiling =
        workflows::bench::bare_group_commit(dir.path() / "ceiling.db", instances, instances == 1 ? 1'000 : kSteps);
    const double rate = steps_per_second(dir.path() / "engine.db", instances);
    std::printf(
        R"({"what":"C++ steps/s, %u concurrent instances","value":%.0f,"unit":"steps/s","ceiling":%.0f,"of":"bare group commit"})"
        "\n",
        instances, rate, ceiling);
  }
  const workflows::testing::TempDir dir;
  const auto bare = workflows::bench::single_commits(dir.path() / "ceiling.db", 2'000);
  {
    workflows::Engine engine({.database = dir.path() / "engine.db"});
    engine.add("serial", serial_steps);
    engine.start();
    engine.create("serial", 0, {.id = "a"}).result<int>();
  }
  for (const auto& [name, share] : {std::pair{"p50", 0.5}, std::pair{"p99", 0.99}}) {
    std::printf(
        R"({"what":"C++ latency of a serial step, %s","value":%.0f,"unit":"us","ceiling":%.0f,"of":"one-row commit"})"
        "\n",
        name, workflows::bench::percentile(latencies, share) * 1e6, workflows::bench::percentile(bare, share) * 1e6);
  }
}
