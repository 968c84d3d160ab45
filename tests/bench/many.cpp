// Very many instances: sleeping, all due at once, or unfinished when their process was killed. Files are prepared once
// and copied for each round; each measurement has a process of its own.

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>

#include <workflows/workflows.h>

#include "tests/bench/child.h"
#include "tests/bench/rounds.h"
#include "tests/bench/wave.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace std::chrono_literals;
using namespace workflows::bench;
using workflows::testing::TempDir;

constexpr double kMiB = 1 << 20;
constexpr auto kNap = 24h;

// The system's time, and the nights that are skipped.
class SkippingClock final : public workflows::Clock {
 public:
  workflows::TimePoint now() const override {
    return std::chrono::floor<workflows::Millis>(std::chrono::system_clock::now()) + skipped_.load();
  }
  void skip(workflows::Millis time) { skipped_ = skipped_.load() + time; }

 private:
  std::atomic<workflows::Millis> skipped_ = workflows::Millis(0);
};

std::string copy_of(const TempDir& prepared, const TempDir& dir) {
  std::filesystem::copy(prepared.path(), dir.path(), std::filesystem::copy_options::recursive);
  return dir.path() / "engine.db";
}

void until_hibernated(workflows::Engine& engine, std::uint32_t count) {
  while (engine.counters().hibernated_instances < count) std::this_thread::sleep_for(20ms);
}

// ---- P8, P9, P15: sleepers

// A nap and a step; counts those that have ended.
class Sleepers {
 public:
  Sleepers(const std::string& path, std::uint32_t count, std::shared_ptr<SkippingClock> clock = nullptr)
      : engine({.database = path, .hibernate_after = 1ms, .clock = std::move(clock)}), count_(count) {
    engine.add("grow_wal", grow_wal);
    engine.add("sleeper", [this](const workflows::Event& event, workflows::Step& step) { return code(event, step); });
    engine.start();
  }

  void create_all() {
    create_many(count_, [this](std::uint32_t) { engine.create("sleeper"); });
    until_hibernated(engine, count_);
  }
  void wait_for_the_end() {
    all_ended_.acquire();
    engine.get("sleeper", last_).result<int>();
  }

  workflows::Engine engine;

 private:
  workflows::Workflow<int> code(const workflows::Event& event, workflows::Step& step) {
    co_await step.sleep("nap", kNap);
    auto one = step.do_("step", [] { return kResult; });
    co_await one;
    if (++ended_ == count_) {
      last_ = event.instance_id;
      all_ended_.release();
    }
    co_return 0;
  }

  std::uint32_t count_;
  std::uint32_t ended_ = 0;
  std::string last_;
  std::binary_semaphore all_ended_{0};
};

// Makes the file, and returns the allocated bytes for each sleeper in the engine that ran them.
Series prepare_sleepers(const std::string& path, std::uint32_t count) {
  Sleepers sleepers(path, count);
  sleepers.engine.create("grow_wal").result<int>();
  const double before = allocated_bytes();
  sleepers.create_all();
  std::this_thread::sleep_for(100ms);
  const double bytes = (allocated_bytes() - before) / count;
  sleepers.engine.close();
  return {bytes};
}

// Resident bytes in all, percent of a core while nothing happens.
Series open_sleepers(const std::string& path, std::uint32_t count, std::chrono::seconds idle) {
  Sleepers sleepers(path, count);
  until_hibernated(sleepers.engine, count);
  std::this_thread::sleep_for(1s);
  const double cpu = cpu_seconds();
  const auto start = Steady::now();
  std::this_thread::sleep_for(idle);
  const double percent = (cpu_seconds() - cpu) / seconds_since(start) * 100;
  return {memory_bytes("VmRSS") / kMiB, percent};
}

// Seconds in which all finish, once the clock says that they are due.
Series wake_sleepers(const std::string& path, std::uint32_t count) {
  const auto clock = std::make_shared<SkippingClock>();
  Sleepers sleepers(path, count, clock);
  until_hibernated(sleepers.engine, count);
  const auto start = Steady::now();
  clock->skip(kNap);
  sleepers.engine.clock_moved();
  sleepers.wait_for_the_end();
  return {seconds_since(start)};
}

void sleeping(const Options& options) {
  const std::uint32_t count = options.full ? 1'000'000 : 100'000;
  const TempDir prepared;
  const Series ran = in_child([&] { return prepare_sleepers(prepared.path() / "engine.db", count); });
  Series resident, idle;
  for (int round = 0; round < options.rounds; ++round) {
    const TempDir dir;
    const auto numbers = in_child([&] { return open_sleepers(copy_of(prepared, dir), count, 3s); });
    resident.push_back(numbers.at(0));
    idle.push_back(numbers.at(1));
  }
  const auto named = [&](const char* what) { return fmt::format("C++ {}, {} sleepers", what, count); };
  Figure("P8", named("bytes allocated for one hibernated sleeper"), ran, "bytes").against(value_at_most(200)).print();
  Figure in_all("P8", named("resident memory of a process that opened the file"), resident, "MiB");
  if (options.full) in_all.against(value_at_most(300));
  in_all.print();
  Figure("P15", named("CPU of one core while nothing happens"), idle, "%").against(value_at_most(0.5)).print();
}

void all_due(const Options& options) {
  constexpr std::uint32_t kCount = 100'000;
  const TempDir prepared;
  in_child([&] { return prepare_sleepers(prepared.path() / "engine.db", kCount); });
  Series engine, plain;
  Rounds rounds;
  rounds.add([&] {
    const TempDir dir;
    engine.push_back(in_child([&] { return wake_sleepers(copy_of(prepared, dir), kCount); }).at(0));
  });
  rounds.add([&] {
    const TempDir dir;
    const auto rate = in_child([&] { return Series{steps_per_second(dir.path() / "engine.db", 10'000, 10, 1)}; });
    plain.push_back(2 * kCount / rate.at(0));
  });
  rounds.run(options.rounds);
  Figure("P9", "C++ 100000 sleepers due at once, all finished", engine, "s")
      .beside({plain, "200000 plain steps of 10000 instances"})
      .against(ratio_at_most(2))
      .print();
}

// ---- P10: unfinished instances

// Two steps are recorded, then the process is killed.
class Unfinished {
 public:
  Unfinished(const std::string& path, std::uint32_t count, std::uint32_t in_memory)
      : engine({.database = path, .max_concurrent_instances = in_memory}), count_(count) {
    engine.add("unfinished", [this](const workflows::Event&, workflows::Step& step) { return code(step); });
    engine.start();
  }

  void create_all() {
    stop_ = true;
    create_many(count_, [this](std::uint32_t) { engine.create("unfinished"); });
    all_there_.acquire();
  }
  void wait_for_first() { first_there_.acquire(); }
  void wait_for_all() { all_there_.acquire(); }

  workflows::Engine engine;

 private:
  workflows::Workflow<int> code(workflows::Step& step) {
    for (int i = 0; i < 2; ++i) {
      auto one = step.do_("before", [] { return kResult; });
      co_await one;
    }
    if (stop_) {
      if (++there_ == count_) all_there_.release();
      co_await std::suspend_always();
    }
    auto one = step.do_("after", [] { return kResult; });
    co_await one;
    if (++there_ == 1) first_there_.release();
    if (there_ == count_) all_there_.release();
    co_return 0;
  }

  std::uint32_t count_;
  std::uint32_t there_ = 0;
  bool stop_ = false;
  std::binary_semaphore first_there_{0};
  std::binary_semaphore all_there_{0};
};

void prepare_unfinished(const TempDir& dir, std::uint32_t count) {
  in_child([&]() -> Series {
    auto* running = new Unfinished(dir.path() / "engine.db", count, 0);  // NOLINT: it is to be killed, not to be closed
    running->create_all();
    return {};
  });
}

// Seconds until the first has done a new step, and until all have; the peak of resident memory.
Series resume(const std::string& path, std::uint32_t count, std::uint32_t in_memory) {
  const auto start = Steady::now();
  Unfinished unfinished(path, count, in_memory);
  unfinished.wait_for_first();
  const double first = seconds_since(start);
  unfinished.wait_for_all();
  const double all = seconds_since(start);
  return {first, all, memory_bytes("VmHWM") / kMiB};
}

void unfinished(const Options& options) {
  constexpr std::uint32_t kMany = 100'000;
  constexpr std::uint32_t kFew = 10'000;
  constexpr std::uint32_t kInMemory = 1'000;
  const TempDir many;
  const TempDir few;
  prepare_unfinished(many, kMany);
  prepare_unfinished(few, kFew);
  Series first, all, peak, bounded, bounded_few;
  for (int round = 0; round < options.rounds; ++round) {
    const TempDir free, bound, bound_few;
    const auto numbers = in_child([&] { return resume(copy_of(many, free), kMany, 0); });
    first.push_back(numbers.at(0));
    all.push_back(numbers.at(1));
    peak.push_back(numbers.at(2));
    bounded.push_back(in_child([&] { return resume(copy_of(many, bound), kMany, kInMemory); }).at(2));
    bounded_few.push_back(in_child([&] { return resume(copy_of(few, bound_few), kFew, kInMemory); }).at(2));
  }
  Figure("P10", "C++ open 100000 unfinished instances, first resumed step", first, "s")
      .against(value_at_most(0.5))
      .print();
  Figure("P10", "C++ open 100000 unfinished instances, all resumed", all, "s").against(value_at_most(5)).print();
  Figure("P10", "C++ peak of resident memory meanwhile, no limit set", peak, "MiB").print();
  Figure("P10", "C++ the same, at most 1000 in memory", bounded, "MiB")
      .beside({bounded_few, "the same for 10000 instances"})
      .print();
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = options_of(argc, argv);
  options.run("P8 P15", sleeping);
  options.run("P9", all_due);
  options.run("P10", unfinished);
}
