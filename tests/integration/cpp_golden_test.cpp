// Databases and exported histories that C++ programs of earlier versions wrote are opened, continued and replayed
// (tests/golden/cpp).

#include <workflows/maintenance.h>
#include <workflows/replay.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/golden/cpp/workflows_of_then.h"
#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

const std::filesystem::path kGolden = WORKFLOWS_GOLDEN;

enum class Way { database, histories };

class CppGolden : public CppApiTest, public ::testing::WithParamInterface<Way> {
 protected:
  void SetUp() override {
    golden::executed = 0;
    if (GetParam() == Way::database) {
      std::filesystem::copy_file(kGolden / "v2.golden", file());
      return;
    }
    Maintenance maintenance({.database = file()});
    for (const auto& document : std::filesystem::directory_iterator(kGolden / "exported")) {
      std::ifstream stream(document.path());
      const std::string text(std::istreambuf_iterator<char>(stream), {});
      maintenance.import_history(parse_history(text), kStart);
    }
  }

  std::unique_ptr<Engine> open() { return start({.database = file()}, golden::add_all); }

  // An imported instance comes paused.
  static InstanceHandle going_on(Engine& engine, const char* workflow, const char* id) {
    auto instance = engine.get(workflow, id);
    if (instance.status().status == Status::paused) instance.resume();
    return instance;
  }
};

TEST_P(CppGolden, WhatWasFinishedIsThere) {
  const auto engine = open();
  const auto output = engine->get("branches", "done").result<std::vector<std::string>>();
  EXPECT_EQ(output, (std::vector<std::string>{"params", "first", "5000", "yes", "same"}));
  EXPECT_EQ(engine->get("undone", "rolled").steps().back().kind, StepKind::rollback);
  EXPECT_EQ(golden::executed, 0);
}

TEST_P(CppGolden, WhatWaitedOrWasPausedGoesOnAndRepeatsNothing) {
  const auto engine = open();
  for (const auto* id : {"waiting", "paused"}) {
    const auto instance = going_on(*engine, "branches", id);
    instance.send_event("approved", std::string("at last"));
    EXPECT_EQ(instance.result<std::vector<std::string>>().at(3), "at last");
  }
  EXPECT_EQ(golden::executed, 2) << "the last step of each";
}

TEST_P(CppGolden, WhatWasBookedIsUndone) {
  const auto engine = open();
  const auto booked = going_on(*engine, "undone", "booked");
  booked.send_event("left");
  EXPECT_THROW(booked.result(), WorkflowFailedError);
  EXPECT_EQ(golden::executed, 1) << "the rollback";
}

TEST_P(CppGolden, EveryHistoryReplays) {
  Client client({.database = file()});
  const auto infos = client.list({});
  EXPECT_EQ(infos.size(), 5U);
  for (const auto& info : infos) {
    auto history = client.history(info.key);
    const auto replayed = info.workflow == "branches" ? replay(std::move(history), &golden::branches)
                                                      : replay(std::move(history), &golden::undone);
    EXPECT_EQ(replayed.verdict, is_finished(info.status) ? ReplayVerdict::match : ReplayVerdict::incomplete)
        << info.id << ": " << replayed.report;
  }
}

INSTANTIATE_TEST_SUITE_P(From, CppGolden, ::testing::Values(Way::database, Way::histories),
                         [](const auto& way) { return way.param == Way::database ? "Database" : "Histories"; });

}  // namespace
}  // namespace workflows::testing
