// `counted_steps N`: a hundred instances run N steps each, at the same time. For programs that count what a step costs.

#include <cstdlib>
#include <string>
#include <vector>

#include <workflows/workflows.h>

#include "tests/support/temp_dir.h"

namespace {

const std::string kResult(62, 'r');

workflows::Workflow<void> many_steps(const workflows::Event& event, workflows::Step& step) {
  const int steps = event.payload<int>();
  for (int i = 0; i < steps; ++i) {
    auto one = step.do_("step", [] { return kResult; });
    co_await one;
  }
}

}  // namespace

int main(int, char** arguments) {
  const int steps = std::atoi(arguments[1]);
  const workflows::testing::TempDir dir;
  workflows::Engine engine({.database = dir.path() / "counted.db"});
  engine.add("many", many_steps);
  engine.start();
  std::vector<workflows::InstanceHandle> instances;
  for (int i = 0; i < 100; ++i) instances.push_back(engine.create("many", steps));
  for (const auto& instance : instances) instance.result<void>();
}
