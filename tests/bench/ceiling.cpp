// The yardsticks A and B for the Python programs: `bench_ceiling group INSTANCES WAVES` prints rows per second,
// `bench_ceiling commit COUNT` prints the p50 and p99 of one commit in seconds.

#include <cstdio>
#include <string>

#include "tests/bench/ceiling.h"
#include "tests/support/temp_dir.h"

int main(int argc, char** argv) {
  const workflows::testing::TempDir dir;
  const std::string file = dir.path() / "ceiling.db";
  if (argc == 4 && std::string(argv[1]) == "group") {
    const auto instances = static_cast<std::uint32_t>(std::stoul(argv[2]));
    std::printf("%.9g\n", workflows::bench::bare_group_commit(file, instances, 10, std::stoi(argv[3])));
  } else if (argc == 3 && std::string(argv[1]) == "commit") {
    const auto took = workflows::bench::single_commits(file, std::stoi(argv[2]));
    std::printf("%.9g %.9g\n", workflows::bench::percentile(took, 0.5), workflows::bench::percentile(took, 0.99));
  } else {
    std::fputs("usage: bench_ceiling group INSTANCES WAVES | commit COUNT\n", stderr);
    return 2;
  }
}
