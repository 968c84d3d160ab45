#pragma once
// What a program of format 1 could write: its workflows and their instances. Compiles with the tree of then, too.
//
//     order/done        complete
//     declined/broken   errored
//     parcel/waiting    waits for an event, which is there already but of another type
//     parcel/sleeping   sleeps; all before that is recorded
//     parcel/cut-short  its process died in the body of a step

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <workflows/workflows.h>

namespace workflows::golden {

inline std::atomic<int> executed = 0;     // bodies
inline std::function<void()> before_sum;  // what the body of that step does first

inline Workflow<std::vector<std::string>> order(const Event& event, Step& step) {
  auto many = step.do_("many types", [] {
    ++executed;
    return std::map<std::string, std::vector<double>>{{"prices", {9.9, -1e-9}}, {"\u00fc\n", {}}};
  });
  auto large = step.do_("large", [] {
    ++executed;
    return std::string(10'000, 'x');
  });
  const auto prices = co_await many;
  const auto text = co_await large;
  co_return std::vector{event.payload<std::string>(), std::to_string(prices.at("prices").size()),
                        std::to_string(text.size())};
}

inline Workflow<void> declined(const Event&, Step& step) {
  auto charge = step.do_("charge", {.retries = {.limit = 1, .delay = std::chrono::milliseconds(1)}}, [] {
    ++executed;
    throw std::runtime_error("card declined");
  });
  co_await charge;
}

// Two branches with steps of one name, then a wait, a graph and a sleep.
inline Workflow<std::string> branch(Step& step, std::string of) {
  auto first = step.do_("work", [of] {
    ++executed;
    return of + " one";
  });
  const std::string one = co_await first;
  auto second = step.do_("work", [one] {
    ++executed;
    return one + " two";
  });
  co_return co_await second;
}

inline Workflow<std::vector<std::string>> parcel(const Event& event, Step& step) {
  std::vector<Workflow<std::string>> both;
  both.push_back(branch(step, "left"));
  both.push_back(branch(step, "right"));
  auto results = co_await when_all(std::move(both));
  const auto approval = co_await step.wait_for_event<std::string>("approval", "approved", {.timeout = std::nullopt});
  auto height = step.do_("height", [] {
    ++executed;
    return 1;
  });
  auto width = step.do_("width", {.timeout = std::chrono::minutes(1), .sensitive = Sensitive::output}, [] {
    ++executed;
    return 2;
  });
  auto sum = step.do_("sum", depends(height, width), {.retries = {.delay = std::chrono::milliseconds(1)}},
                      [](int one, int two) {
                        ++executed;
                        if (before_sum) before_sum();
                        return one + two;
                      });
  const int summed = co_await sum;
  co_await step.sleep("rest", event.payload<std::string>());
  auto last = step.do_("last", [] {
    ++executed;
    return std::string("end");
  });
  results.push_back(approval.payload);
  results.push_back(std::to_string(summed));
  results.push_back(co_await last);
  co_return results;
}

inline void add_format_1(Engine& engine) {
  engine.add("order", &order);
  engine.add("declined", &declined);
  engine.add("parcel", &parcel);
}

inline void until_asked(const InstanceHandle& instance, const std::string& name) {
  for (;;) {
    for (const auto& asked : instance.steps())
      if (asked.name == name) return;
    std::this_thread::yield();
  }
}

// Ends the process, in the body of a step.
[[noreturn]] inline void create_format_1(Engine& engine) {
  const std::string params = "1 ms";
  engine.create("order", params, {.id = "done"}).result<std::vector<std::string>>();
  try {
    engine.create("declined", params, {.id = "broken"}).result();
  } catch (const WorkflowFailedError&) {}  // as it is to be
  const auto waiting = engine.create("parcel", params, {.id = "waiting"});
  waiting.send_event("other", std::string("kept"));
  until_asked(waiting, "approval");
  const auto sleeping = engine.create("parcel", std::string("1 hour"), {.id = "sleeping"});
  sleeping.send_event("approved", std::string("yes"));
  until_asked(sleeping, "rest");
  const auto cut_short = engine.create("parcel", params, {.id = "cut-short"});
  before_sum = [&] {
    until_asked(cut_short, "sum");
    std::_Exit(0);
  };
  cut_short.send_event("approved", std::string("yes"));
  for (;;) std::this_thread::yield();
}

}  // namespace workflows::golden
