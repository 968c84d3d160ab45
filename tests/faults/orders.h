#pragma once
// The fixture of what fails beneath a whole engine: orders that it works on, and what of them was acknowledged.

#include <gtest/gtest.h>
#include <workflows/maintenance.h>
#include <workflows/workflows.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temp_dir.h"

namespace workflows::testing {

// A body may be what fails.
inline const StepOptions kRetried{.retries = {.limit = 5, .delay = std::chrono::milliseconds(1)}};

inline Workflow<int> order(const Event& event, Step& step) {
  const int number = event.payload<int>();
  auto first = step.do_("first", kRetried, [] { return 1; });
  auto second = step.do_("a second one, whose name is long", kRetried, [] { return std::string(300, 'x'); });
  const auto [one, text] = co_await when_all(first, second);
  const auto paid = co_await step.wait_for_event<int>("payment", "paid");
  auto last = step.do_("last", kRetried, [number] { return number; });
  co_return one + paid.payload + co_await last;
}

class Orders : public ::testing::Test {
 protected:
  static constexpr auto kPatience = std::chrono::seconds(60);
  static constexpr int kOrders = 2;
  static constexpr int kPaid = 10;

  struct Acknowledged {
    bool created = false;
    bool resumed = false;
    bool paid = false;
    std::optional<int> result;
  };

  static int output_of(int number) { return 1 + kPaid + number; }
  std::string path() const { return folder_.path() / "test.db"; }

  void start_over() {
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) std::filesystem::remove(file);
    acknowledged_.clear();
    errors_.clear();
  }

  // One thread for bodies: Boost.Asio's pool waits for ever for its first thread when it cannot make the second one.
  std::unique_ptr<Engine> start() const {
    auto engine = std::make_unique<Engine>(EngineOptions{.database = path(), .pool_size = 1});
    engine->add("order", &order);
    engine->start();
    return engine;
  }

  // Whatever an engine says that cannot go on, it says it by an exception of these two kinds.
  template <class Work>
  void attempt(Work work) {
    try {
      work();
    } catch (const WorkflowsError& error) {
      errors_.push_back({error.code(), error.what()});
    } catch (const std::bad_alloc&) { errors_.push_back({ErrorCode::store, "memory ran out"}); }
  }

  void work() {
    attempt([&] {
      const auto engine = start();
      for (int number = 1; number <= kOrders; ++number) attempt([&] { work(*engine, number); });
      attempt([&] { engine->close(); });
    });
  }

  // Everything acknowledged is there, and comes to its end.
  void look_again() {
    {
      const auto engine = start();
      for (auto& [number, known] : acknowledged_) {
        if (!known.created) continue;
        const auto instance = engine->get("order", "order-" + std::to_string(number));
        // What was not acknowledged may have happened all the same.
        if (!known.resumed) attempt([&] { instance.resume(); });
        if (!known.paid) attempt([&] { instance.send_event("paid", kPaid, "payment"); });
        EXPECT_EQ(instance.template result<int>(kPatience), output_of(number));
        EXPECT_EQ(known.result.value_or(output_of(number)), output_of(number));
      }
    }
    Maintenance maintenance({.database = path()});
    for (const auto& finding : maintenance.check(TimePoint(), [](std::string_view) {}))
      EXPECT_EQ(finding.severity, Finding::Severity::note) << finding.message;
  }

  TempDir folder_;
  std::map<int, Acknowledged> acknowledged_;
  std::vector<Error> errors_;  // in the order in which they were told

 private:
  void work(Engine& engine, int number) {
    Acknowledged& known = acknowledged_[number];
    auto instance = engine.create("order", number, {.id = "order-" + std::to_string(number)});
    known.created = true;
    instance.pause();
    instance.resume();
    known.resumed = true;
    instance.send_event("paid", kPaid, "payment");
    known.paid = true;
    known.result = instance.template result<int>(kPatience);
  }
};

}  // namespace workflows::testing
