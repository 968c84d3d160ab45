// Databases and exported histories that C++ programs of earlier versions wrote are opened, migrated, continued and
// replayed: all that lie in tests/golden/cpp.

#include <fmt/format.h>
#include <workflows/maintenance.h>
#include <workflows/replay.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "storage/sqlite/schema.h"
#include "tests/golden/cpp/workflows_of_then.h"
#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kPython = WORKFLOWS_GOLDEN;
const fs::path kCpp = kPython / "cpp";

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Databases, and folders of exported histories.
std::vector<fs::path> golden_files(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool exported = entry.path().filename().string().starts_with("exported");
    if (entry.path().extension() == ".golden" || exported) found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

// What becomes of an instance: its output, or what it failed with.
struct Ending {
  std::vector<std::string> output{};
  std::string failure{};
  bool operator==(const Ending&) const = default;
};

struct Continued {
  std::string event;  // that it waits for; "": none
  int bodies = 0;     // that run from now on
  Ending ending;
};

Ending shipped(const std::string& approval) {
  return {.output = {"left one two", "right one two", approval, "3", "end"}};
}
Ending approved(const std::string& approval) { return {.output = {"params", "first", "5000", approval, "same"}}; }

// Every instance that any of the files holds.
const std::map<std::pair<std::string, std::string>, Continued> kContinued = {
    {{"order", "done"}, {.event = "", .ending = {.output = {"1 ms", "2", "10000"}}}},
    {{"declined", "broken"}, {.event = "", .ending = {.failure = "card declined"}}},
    {{"parcel", "waiting"}, {.event = "approved", .bodies = 4, .ending = shipped("at last")}},
    {{"parcel", "sleeping"}, {.event = "", .bodies = 1, .ending = shipped("yes")}},
    {{"parcel", "cut-short"}, {.event = "", .bodies = 2, .ending = shipped("yes")}},
    {{"branches", "done"}, {.event = "", .ending = approved("yes")}},
    {{"branches", "waiting"}, {.event = "approved", .bodies = 1, .ending = approved("at last")}},
    {{"branches", "paused"}, {.event = "approved", .bodies = 1, .ending = approved("at last")}},
    {{"undone", "rolled"}, {.event = "", .ending = {.failure = "no train"}}},
    {{"undone", "booked"}, {.event = "left", .bodies = 1, .ending = {.failure = "no train"}}},
};

// Whoever slept for an hour has slept enough, whenever this runs.
class Later final : public Clock {
 public:
  TimePoint now() const override {
    return std::chrono::floor<Millis>(std::chrono::system_clock::now()) + std::chrono::years(10);
  }
};

class CppGolden : public CppApiTest, public ::testing::WithParamInterface<fs::path> {
 protected:
  void SetUp() override {
    golden::executed = 0;
    if (!fs::is_directory(GetParam())) {
      fs::copy_file(GetParam(), file());
      return;
    }
    Maintenance maintenance({.database = file()});
    for (const auto& document : fs::directory_iterator(GetParam()))
      maintenance.import_history(parse_history(content_of(document.path())), Later().now());
  }

  std::unique_ptr<Engine> open() {
    return start({.database = file(), .clock = std::make_shared<Later>()}, golden::add_all);
  }

  std::vector<InstanceInfo> instances(bool finished) {
    auto infos = Client({.database = file()}).list({});
    std::erase_if(infos, [&](const InstanceInfo& info) { return is_finished(info.status) != finished; });
    return infos;
  }

  static Ending ending_of(Engine& engine, const InstanceHandle& instance) {
    while (!is_finished(instance.status().status)) engine.clock_moved();
    try {
      instance.result();
    } catch (const WorkflowFailedError& error) { return {.failure = failure_of(error)->message}; }
    return {.output = instance.result<std::vector<std::string>>()};
  }
};

TEST_P(CppGolden, WhatWasFinishedIsThere) {
  const auto engine = open();
  for (const auto& info : instances(true)) {
    const auto& then = kContinued.at({info.workflow, info.id});
    EXPECT_EQ(ending_of(*engine, engine->get(info.workflow, info.id)), then.ending) << info.workflow << '/' << info.id;
  }
}

TEST_P(CppGolden, WhatWasNotGoesOnAndRepeatsNothing) {
  const auto unfinished = instances(false);
  const auto engine = open();
  int bodies = 0;
  for (const auto& info : unfinished) {
    const auto& then = kContinued.at({info.workflow, info.id});
    const auto instance = engine->get(info.workflow, info.id);
    if (instance.status().status == Status::paused) instance.resume();  // as every imported one is
    if (!then.event.empty()) instance.send_event(then.event, std::string("at last"));
    EXPECT_EQ(ending_of(*engine, instance), then.ending) << info.workflow << '/' << info.id;
    bodies += then.bodies;
  }
  EXPECT_EQ(golden::executed, bodies);
}

TEST_P(CppGolden, EveryHistoryReplays) {
  const auto replayed = [](const std::string& workflow, InstanceHistory history) {
    if (workflow == "order") return replay(std::move(history), &golden::order);
    if (workflow == "declined") return replay(std::move(history), &golden::declined);
    if (workflow == "parcel") return replay(std::move(history), &golden::parcel);
    if (workflow == "branches") return replay(std::move(history), &golden::branches);
    return replay(std::move(history), &golden::undone);
  };
  Client client({.database = file()});
  for (const auto& info : client.list({})) {
    const auto found = replayed(info.workflow, client.history(info.key));
    EXPECT_EQ(found.verdict, is_finished(info.status) ? ReplayVerdict::match : ReplayVerdict::incomplete)
        << info.workflow << '/' << info.id << ": " << found.report;
  }
}

INSTANTIATE_TEST_SUITE_P(From, CppGolden, ::testing::ValuesIn(golden_files(kCpp)),
                         [](const auto& file) { return file.param.stem().string(); });

// A change of a format brings its golden files with it: from either language, of the database and of the document.
class Golden : public ::testing::TestWithParam<fs::path> {};

TEST_P(Golden, EveryFormatOfTheDatabaseHasAFile) {
  for (std::int32_t version = 1; version <= storage::sqlite::current_version(); ++version) {
    const std::string header = content_of(GetParam() / fmt::format("v{}.golden", version)).substr(0, 100);
    ASSERT_EQ(header.size(), 100U) << "there is no file of format " << version;
    EXPECT_EQ(header[63], version) << "the end of SQLite's user_version";
  }
}

TEST_P(Golden, TheFormatOfTheDocumentHasFiles) {
  const std::string document = to_json(HistoryDocument{});
  const std::string format = document.substr(0, document.find(R"("redacted")"));
  const auto folders = golden_files(GetParam());
  EXPECT_TRUE(std::ranges::any_of(folders, [&](const fs::path& folder) {
    return fs::is_directory(folder) && content_of(*fs::directory_iterator(folder)).starts_with(format);
  })) << format;
}

INSTANTIATE_TEST_SUITE_P(Of, Golden, ::testing::Values(kPython, kCpp),
                         [](const auto& folder) { return folder.param == kCpp ? "Cpp" : "Python"; });

}  // namespace
}  // namespace workflows::testing
