// The corpus of the fuzzers: inputs that broke something once, or lead somewhere. `make fuzz` goes on from them. S46.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/any_history.h"
#include "tests/fuzz/command_line.h"
#include "tests/fuzz/damaged_database.h"
#include "tests/fuzz/inputs.h"

namespace workflows::fuzz {
namespace {

namespace fs = std::filesystem;

// A fuzzer's name is that of its folder.
const std::map<std::string, void (*)(std::string_view)> kFuzzers = {
    {"any_history", any_history},
    {"cli_arguments", cli_arguments},
    {"damaged_database", [](std::string_view edits) { damaged_database(edits); }},
    {"duration", duration},
    {"failure", failure},
    {"history_document", history_document},
    {"imported_history", [](std::string_view document) { imported_history(document); }},
    {"iso_time", iso_time},
    {"json", json},
    {"names", names},
    {"step_config", step_config},
};

std::vector<fs::path> corpus() {
  std::vector<fs::path> inputs;
  for (const auto& entry : fs::recursive_directory_iterator(WORKFLOWS_CORPUS))
    if (entry.is_regular_file()) inputs.push_back(entry.path());
  std::ranges::sort(inputs);
  return inputs;
}

std::string fuzzer_of(const fs::path& input) { return input.parent_path().filename().string(); }

std::string name_of(const ::testing::TestParamInfo<fs::path>& info) {
  std::string name = fuzzer_of(info.param) + "_" + info.param.filename().string();
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

// A broken promise ends the process (promise.h), so each input is a test: the last one that has begun is the one.
class Corpus : public ::testing::TestWithParam<fs::path> {};

TEST_P(Corpus, S46_BreaksNoPromise) {
  std::ifstream stream(GetParam(), std::ios::binary);
  const std::string input(std::istreambuf_iterator<char>(stream), {});
  kFuzzers.at(fuzzer_of(GetParam()))(input);
}

INSTANTIATE_TEST_SUITE_P(Of, Corpus, ::testing::ValuesIn(corpus()), name_of);

}  // namespace
}  // namespace workflows::fuzz
