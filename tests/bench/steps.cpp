// Steps in C++: how many a second, how long one takes, how fast they are replayed.

#include <string>

#include <workflows/workflows.h>

#include "tests/bench/ceiling.h"
#include "tests/bench/rounds.h"
#include "tests/bench/wave.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace workflows::bench;
using workflows::testing::TempDir;

constexpr std::uint32_t kSteps = 10;
const std::string kGroupCommit = "bare group commit (A)";

// P1, P2
void many_instances(const Options& options) {
  struct Size {
    std::uint32_t instances;
    Series engine{};
    Series ceiling{};
  };
  std::vector<Size> sizes{{100}, {1'000}, {10'000}};
  Rounds rounds;
  for (Size& size : sizes) {
    const int waves = waves_of(size.instances);
    rounds.add([&size, waves] {
      const TempDir dir;
      size.engine.push_back(steps_per_second(dir.path() / "engine.db", size.instances, kSteps, waves));
    });
    rounds.add([&size, waves] {
      const TempDir dir;
      size.ceiling.push_back(bare_group_commit(dir.path() / "ceiling.db", size.instances, kSteps, waves));
    });
  }
  rounds.run(options.rounds);
  for (const Size& size : sizes) {
    Figure(size.instances == 1'000 ? "P1" : "P2", fmt::format("C++ steps/s, {} instances", size.instances), size.engine,
           "steps/s")
        .beside({size.ceiling, kGroupCommit})
        .against(ratio_at_least(0.3))
        .plotted("C++", size.instances)
        .print();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = options_of(argc, argv);
  many_instances(options);
}
