#pragma once
// The workflows whose instances lie in the golden databases of C++, those of format 1 apart. Their steps never change:
// old histories must replay.

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/golden/cpp/workflows_of_format_1.h"

namespace workflows::golden {

inline Workflow<std::vector<std::string>> branches(const Event& event, Step& step) {
  auto first = step.do_("work", [] {
    ++executed;
    return std::string("first");
  });
  auto second = step.do_("work", [] {
    ++executed;
    return std::string(5000, 'x');
  });
  const auto [one, two] = co_await when_all(first, second);
  const std::string id = step.uuid4();
  const auto approval = co_await step.wait_for_event<std::string>("approval", "approved", {.timeout = std::nullopt});
  co_await step.sleep("rest", std::chrono::milliseconds(1));
  auto last = step.do_("last", [id] {
    ++executed;
    return id;
  });
  const bool same = co_await last == id;
  co_return std::vector{event.payload<std::string>(), one, std::to_string(two.size()), approval.payload,
                        std::string(same ? "same" : "other")};
}

inline Workflow<void> undone(const Event&, Step& step) {
  auto book = step.do_(
      "book",
      [] {
        ++executed;
        return 7;
      },
      rollback([] { ++executed; }));
  co_await book;
  co_await step.wait_for_event<std::nullptr_t>("departure", "left", {.timeout = std::nullopt});
  throw std::runtime_error("no train");
}

inline void add_all(Engine& engine) {
  add_format_1(engine);
  engine.add("branches", &branches);
  engine.add("undone", &undone);
}

}  // namespace workflows::golden
