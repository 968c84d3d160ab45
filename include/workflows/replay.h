#pragma once
// Code against a recorded history, with effects off (S41): before a deploy, or in a test, tells whether instances that
// run can go on with this code. Needs no database.
//
//   workflows::Client client({.database = "shop.db"});
//   const auto history  = client.history(client.get("checkout", "order-17").key);
//   const auto replayed = workflows::replay(history, checkout);
//   if (replayed.verdict == workflows::ReplayVerdict::diverged) std::cerr << replayed.report << '\n';

#include <cstdint>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

// Makes a program of one's own accept
//
//   PROGRAM replay DATABASE [WORKFLOW/]ID...     these instances
//   PROGRAM replay DATABASE --all                every instance of the workflows that were added
//     --workflow NAME, --status STATUS           of those only these
//     --json                                     one object a line: `replayed` of engine/cli/JSON.md
//
//   int main(int argc, char** argv) {
//     workflows::ReplayCommand command;
//     command.add("checkout", checkout);
//     if (const auto code = command.run(argc, argv)) return *code;
//     ...
class ReplayCommand {
 public:
  // As for Engine::add. InvalidNameError.
  template <class Function>
  void add(std::string name, Function function) {
    add_function(std::move(name), [function = std::move(function)](const Event& event, Step& step) mutable {
      return detail::release(function(event, step));
    });
  }

  // Absent: the first argument is not `replay`. Else the exit code, when everything is printed: 0, 12 if any history
  // diverges, 2 for wrong arguments, or that of the error (error.h). The database is only read.
  std::optional<int> run(int argc, const char* const* argv, std::ostream& out = std::cout,
                         std::ostream& errors = std::cerr) const;

 private:
  void add_function(std::string name, detail::WorkflowFunction function);
  std::vector<InstanceKey> all(Client& client, ListQuery query) const;
  std::vector<InstanceKey> named(Client& client, const std::vector<std::string>& ids) const;

  std::map<std::string, detail::WorkflowFunction> functions_;
};

}  // namespace workflows
