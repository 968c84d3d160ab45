#pragma once
// Instances that begin their steps at the same moment, so that their creation is not part of what is measured.

#include <coroutine>
#include <cstdint>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include <workflows/workflows.h>

#include "tests/bench/rounds.h"

namespace workflows::bench {

inline const std::string kResult(62, 'r');  // 64 bytes as JSON

// Calls `create` for 0 .. count-1. Each call waits for its commit, so many threads share commits.
template <class Create>
void create_many(std::uint32_t count, Create create) {
  constexpr std::uint32_t kThreads = 64;
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&create, count, t] {
      for (std::uint32_t i = t; i < count; i += kThreads) create(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Fills the engine's WAL to its full size, as AppendLog does with its own, and SQLite's page cache as well.
inline Workflow<int> grow_wal(const Event&, Step& step) {
  for (int i = 0; i < 50; ++i) {
    auto large = step.do_("large", [] { return std::string(512 << 10, 'x'); });
    co_await large;
  }
  co_return 0;
}

// Adds its workflows to an engine that has not been started, and outlives it.
class Wave {
 public:
  explicit Wave(Engine& engine) : engine_(engine) {
    engine.add("steps", [this](const Event&, Step& step) { return take_steps(step); });
    engine.add("go", [this](const Event&, Step&) { return go(); });
    engine.add("grow_wal", grow_wal);
  }
  void warm_up() { engine_.create("grow_wal").result<int>(); }

  // Seconds from the first step asked for to the moment at which the last instance has got its last result.
  double run(std::uint32_t instances, std::uint32_t steps) {
    expected_ = instances;
    steps_ = steps;
    create_many(instances, [&](std::uint32_t) { engine_.create("steps"); });
    all_here_.acquire();
    engine_.create("go");
    all_done_.acquire();
    return std::chrono::duration<double>(ended_ - began_).count();
  }

 private:
  // Nothing that the engine knows of: the code of one instance lets that of all others go on, on the engine's loop.
  struct StartLine {
    Wave& wave;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> code) {
      wave.here_.push_back(code);
      if (wave.here_.size() == wave.expected_) wave.all_here_.release();
    }
    void await_resume() const noexcept {}
  };

  Workflow<int> take_steps(Step& step) {
    StartLine line{*this};
    co_await line;
    for (std::uint32_t i = 0; i < steps_; ++i) {
      auto one = step.do_("step", [] { return kResult; });
      co_await one;
    }
    if (++done_ == expected_) {
      ended_ = Steady::now();
      all_done_.release();
    }
    co_return 0;
  }

  Workflow<int> go() {
    done_ = 0;
    const auto all = std::exchange(here_, {});
    began_ = Steady::now();
    for (const auto code : all) code.resume();
    co_return 0;
  }

  Engine& engine_;
  std::uint32_t steps_ = 0;
  std::uint32_t expected_ = 0;
  std::vector<std::coroutine_handle<>> here_;
  std::uint32_t done_ = 0;
  Steady::time_point began_;
  Steady::time_point ended_;
  std::binary_semaphore all_here_{0};
  std::binary_semaphore all_done_{0};
};

// The median of `waves`, after one that is not counted.
inline double steps_per_second(const std::string& path, std::uint32_t instances, std::uint32_t steps, int waves) {
  Engine engine({.database = path, .hibernate_after = std::chrono::hours(24)});
  Wave wave(engine);
  engine.start();
  wave.warm_up();
  wave.run(instances, steps);
  Series rates;
  for (int i = 0; i < waves; ++i) rates.push_back(instances * static_cast<double>(steps) / wave.run(instances, steps));
  engine.close();
  return median(rates);
}

// So many waves that a small one is measured as long as a large one.
inline int waves_of(std::uint32_t instances) { return static_cast<int>(std::max(1U, 3'000 / instances)); }

}  // namespace workflows::bench
