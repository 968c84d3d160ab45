#pragma once
// Code against a recorded history, with effects off (S41): before a deploy, or in a test, tells whether instances that
// run can go on with this code. Needs no database.
//
//   workflows::Client client({.database = "shop.db"});
//   const auto history  = client.history(client.get("checkout", "order-17").key);
//   const auto replayed = workflows::replay(history, checkout);
//   if (replayed.verdict == workflows::ReplayVerdict::diverged) std::cerr << replayed.report << '\n';

#include <cstdint>
#include <string>
#include <utility>

#include <workflows/engine.h>
#include <workflows/instance_info.h>

namespace workflows {

enum class ReplayVerdict : std::uint8_t {
  match,       // the code does what the history says, to its end
  incomplete,  // ... as far as it goes: the instance has not ended
  diverged,
};

struct Replayed {
  ReplayVerdict verdict{};
  std::string report{};  // for people; of a divergence: what the history has, what the code asks, three ways out
};

namespace detail {
Replayed replay(InstanceHistory history, WorkflowFunction function);
}

// `function` as for Engine::add. No step body runs, nothing is written, step.log is silent. Blocks; not from workflow
// code.
template <class Function>
Replayed replay(InstanceHistory history, Function function) {
  return detail::replay(std::move(history), [function = std::move(function)](const Event& event, Step& step) mutable {
    return detail::release(function(event, step));
  });
}

}  // namespace workflows
