// What the command line asks of the disk, counted, on a file with many instances.

#include <gtest/gtest.h>
#include <workflows/client.h>

#include <chrono>
#include <string>
#include <vector>

#include "engine/cli/cli.h"
#include "storage/store.h"
#include "tests/support/counting_vfs.h"
#include "tests/support/temp_dir.h"

namespace workflows {
namespace {

constexpr int kInstances = 100'000;

class CliPages : public ::testing::Test {
 protected:
  CliPages() {
    Client client({.database = path_});
    for (int done = 0; done < kInstances; done += 10'000) {
      std::vector<CreateRequest> requests;
      for (int i = done; i < done + 10'000; ++i)
        requests.push_back({.workflow = i % 2 == 0 ? "order" : "invoice", .id = "i-" + std::to_string(i)});
      client.create_batch(requests);
    }
  }

  struct Cost {
    int code;
    std::uint64_t reads;
    std::uint64_t writes;
  };
  Cost cost_of(std::vector<std::string> arguments) {
    const testing::CountingVfs disk;
    arguments.insert(arguments.end(), {"--db", path_});
    ::testing::internal::CaptureStdout();
    const auto began = std::chrono::steady_clock::now();
    const int code = cli::run(arguments, {});
    const auto took = std::chrono::steady_clock::now() - began;
    ::testing::internal::GetCapturedStdout();
    RecordProperty(arguments.front() + "_us", std::to_string(took / std::chrono::microseconds(1)));
    return {code, disk.reads(), disk.writes()};
  }

  testing::TempDir folder_;
  std::string path_ = folder_.path() / "many.db";
};

TEST_F(CliPages, InspectReadsFewPagesOfAFileWithManyInstances) {
  for (const auto* name : {"i-50001", "order/i-99998"}) {
    const Cost cost = cost_of({"inspect", name});
    EXPECT_EQ(cost.code, 0);
    EXPECT_LE(cost.reads, 100u);
    EXPECT_EQ(cost.writes, 0u);
  }
}

TEST_F(CliPages, AnIdThatIsNotThereCostsNoMore) {
  const Cost cost = cost_of({"inspect", "i-5000x"});
  EXPECT_EQ(cost.code, 3);
  EXPECT_LE(cost.reads, 100u);
}

TEST_F(CliPages, APageOfTheListCostsAsMuchAsItsRows) {
  const Cost cost = cost_of({"list", "--limit", "100"});
  EXPECT_EQ(cost.code, 0);
  EXPECT_LE(cost.reads, 100u);
}

}  // namespace
}  // namespace workflows
