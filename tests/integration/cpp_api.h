#pragma once
// What the tests of the C++ API share: a database in a folder of its own, engines on it, a clock that stands still.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <workflows/workflows.h>

#include "tests/support/temp_dir.h"

namespace workflows::testing {

using namespace std::chrono_literals;

inline const TimePoint kStart{1'700'000'000'000ms};

class CppApiTest : public ::testing::Test {
 protected:
  using Setup = std::function<void(Engine&)>;

  std::string file() const { return (dir_.path() / "test.db").string(); }

  static std::unique_ptr<Engine> start(EngineOptions options, const Setup& add) {
    auto engine = std::make_unique<Engine>(std::move(options));
    add(*engine);
    engine->start();
    return engine;
  }

  // An engine that knows one workflow, "test".
  template <class Function>
  std::unique_ptr<Engine> start(Function function) {
    return start({.database = file()}, [&](Engine& engine) { engine.add("test", std::move(function)); });
  }

  // The same by a clock that the test moves; nothing leaves memory meanwhile.
  template <class Function>
  std::unique_ptr<Engine> start_at(std::shared_ptr<Clock> clock, Function function) {
    return start({.database = file(), .hibernate_after = 10'000h, .clock = std::move(clock)},
                 [&](Engine& engine) { engine.add("test", std::move(function)); });
  }

  void advance(Engine& engine, Millis by) {
    clock_->advance(by);
    engine.clock_moved();
  }

  // Waits until what was asked of the engine before has been carried out.
  static void settle(Engine& engine) {
    for (int turns = 0; turns < 3; ++turns) engine.counters();
  }

  static void wait_until(const InstanceHandle& instance, Status status) {
    while (instance.status().status != status) {
      ASSERT_FALSE(is_finished(instance.status().status)) << to_string(instance.status().status);
      std::this_thread::yield();
    }
  }

  // Waits until the record of the instance's only step is as wanted.
  static void wait_until(const InstanceHandle& instance, const std::function<bool(const StepInfo&)>& wanted) {
    for (auto steps = instance.steps(); steps.empty() || !wanted(steps.front()); steps = instance.steps()) {
      std::this_thread::yield();
    }
  }

  // The failure that the instance ended with.
  static Failure failure_of_run(const InstanceHandle& instance) {
    try {
      instance.result();
    } catch (const WorkflowFailedError& error) { return *failure_of(error); }
    ADD_FAILURE() << "the instance did not fail";
    return {};
  }

  const std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(kStart);

 private:
  TempDir dir_;
};

// A door that bodies wait at, so that a test knows who is inside.
class Door {
 public:
  void open() {
    open_ = true;
    open_.notify_all();
  }
  void pass() const { open_.wait(false); }

 private:
  std::atomic<bool> open_ = false;
};

}  // namespace workflows::testing
