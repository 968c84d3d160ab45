// A data pipeline: a step per file, in parallel, and a step that waits for all of them.
//
//   pipeline DATABASE ID [FOLDER]
//
// Counts the words of every file in the folder (default: the one that it makes beside the database), then adds them up
// and finds the longest file. Run it again with the same arguments after it was killed: files that were counted are not
// counted again.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include <workflows/workflows.h>
#include <boost/describe/class.hpp>

#include "execution_log.h"

namespace fs = std::filesystem;
using workflows::DeclaredStep;
using workflows::depends;
using workflows::Event;
using workflows::Step;
using workflows::StepContext;
using workflows::Workflow;

struct Count {
  std::string file;
  std::int64_t words = 0;
};
BOOST_DESCRIBE_STRUCT(Count, (), (file, words))

struct Report {
  std::int64_t files = 0;
  std::int64_t words = 0;
  std::string longest;
};
BOOST_DESCRIBE_STRUCT(Report, (), (files, words, longest))

Count count_words(const fs::path& file) {
  std::ifstream text(file);
  if (!text) throw std::runtime_error("cannot read " + file.string());
  const std::istream_iterator<std::string> first(text);
  return {file.filename(), std::distance(first, {})};
}

Workflow<Report> pipeline(const Event& event, Step& step) {
  const auto folder = event.payload<std::string>();

  // What the folder holds may change; what was found once is recorded, so every replay sees the same files.
  auto list = step.do_("list files", [&](StepContext& context) {
    record(context);
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  });
  const std::vector<std::string> files = co_await list;

  std::vector<DeclaredStep<Count>> counts;
  counts.reserve(files.size());
  for (const std::string& file : files) {
    counts.push_back(step.do_("count " + file, [&](StepContext& context) {
      record(context);
      return count_words(fs::path(folder) / file);
    }));
  }

  auto total = step.do_("add up", depends(counts), [](const std::vector<Count>& all, StepContext& context) {
    record(context);
    return std::accumulate(all.begin(), all.end(), std::int64_t{0},
                           [](std::int64_t sum, const Count& count) { return sum + count.words; });
  });
  auto longest = step.do_("find the longest", depends(counts), [](const std::vector<Count>& all, StepContext& context) {
    record(context);
    return all.empty() ? std::string() : std::ranges::max(all, {}, &Count::words).file;
  });
  auto report = step.do_("report", depends(counts, total, longest),
                         [](const std::vector<Count>& all, std::int64_t words, std::string file, StepContext& context) {
                           record(context);
                           return Report{static_cast<std::int64_t>(all.size()), words, std::move(file)};
                         });
  co_return co_await report;
}

// Something to count for those who have no folder at hand.
fs::path sample_folder(const fs::path& database) {
  const fs::path folder = fs::path(database).replace_extension(".files");
  fs::create_directories(folder);
  for (int file = 1; file <= 12; ++file) {
    std::ofstream text(folder / ("chapter-" + std::to_string(file) + ".txt"));
    for (int word = 0; word < 100 * file; ++word) text << "word ";
  }
  return folder;
}

int main(int argc, char** argv) try {
  if (argc != 3 && argc != 4) throw std::invalid_argument("usage: pipeline DATABASE ID [FOLDER]");
  const fs::path folder = argc == 4 ? fs::path(argv[3]) : sample_folder(argv[1]);

  workflows::Engine engine({.database = argv[1]});
  engine.add("pipeline", pipeline);
  engine.start();
  auto instance = engine.create("pipeline", folder.string(),
                                {.id = argv[2], .on_conflict = workflows::OnConflict::return_existing});
  std::cout << workflows::to_json(instance.result<Report>()) << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
