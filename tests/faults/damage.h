#pragma once
// The fixture of the fault tests: a database on a disk that fails, and a worker who knows what has to be in it.
// WORKFLOWS_FAULTS=all (`make faults`) tries every moment at which something can fail, instead of some hundreds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fault_vfs.h"
#include "tests/support/store_worker.h"
#include "tests/support/temp_dir.h"

namespace workflows::testing {

inline bool is_long() {
  const char* asked = std::getenv("WORKFLOWS_FAULTS");
  return asked != nullptr && std::string_view(asked) == "all";
}

// It names the file, says what failed and what to do.
inline void expect_clear(const Error& error, const std::string& path) {
  using ::testing::AnyOf;
  using ::testing::HasSubstr;
  EXPECT_THAT(error.code, AnyOf(ErrorCode::store, ErrorCode::store_busy, ErrorCode::store_corrupt)) << error.message;
  EXPECT_THAT(error.message, HasSubstr("'" + path + "': "));
  EXPECT_THAT(error.message, HasSubstr(" failed: "));
  EXPECT_THAT(error.message, AnyOf(HasSubstr("try again later"), HasSubstr("reopen the database"), HasSubstr("Check "),
                                   HasSubstr("Restore it")));
}

class Damage : public ::testing::Test {
 protected:
  std::string path() const { return folder_.path() / "test.db"; }

  void start_over() {
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) std::filesystem::remove(file);
    disk_.forget_files();
  }

  // The changes that an undisturbed run makes; it must come to its end.
  std::vector<std::string> changes_of(const StoreWorker::Plan& plan) {
    start_over();
    const auto before = disk_.changes().size();
    StoreWorker worker(path(), plan);
    const auto error = worker.work();
    EXPECT_FALSE(error) << error->message;
    count(worker);
    const std::vector<std::string> changes(disk_.changes().begin() + static_cast<std::ptrdiff_t>(before),
                                           disk_.changes().end());
    EXPECT_EQ(worker.look_again(), "");
    return changes;
  }

  static constexpr std::size_t kMost = 1'000;

  // The moments to fail at, from 1 on: some of each kind; in the long form all, up to `most` of a kind.
  static std::vector<std::uint64_t> moments(const std::vector<std::string>& calls, std::size_t of_each_kind,
                                            std::size_t most = kMost) {
    std::map<std::string, std::vector<std::uint64_t>> kinds;
    for (std::uint64_t nth = 1; nth <= calls.size(); ++nth) kinds[calls[nth - 1]].push_back(nth);
    std::vector<std::uint64_t> chosen;
    for (const auto& [kind, all] : kinds) {
      const auto count = std::min(all.size(), is_long() ? most : of_each_kind);
      for (std::size_t i = 0; i < count; ++i) chosen.push_back(all[(2 * i + 1) * all.size() / (2 * count)]);
    }
    return chosen;
  }

  void count(const StoreWorker& worker) {
    for (const auto& [what, times] : worker.done()) done_[what] += times;
  }

  // A set of seeds that never gets to what it is there for proves nothing.
  void expect_everything_done() const {
    for (const auto* what :
         {"create", "create batch", "append", "lost", "set status", "send", "pause", "resume", "terminate", "roll back",
          "remove", "refused", "restart", "import", "heard", "claim", "release", "renew", "collect garbage"})
      EXPECT_TRUE(done_.contains(what)) << what;
  }
  void expect_seen(std::initializer_list<const char*> events) const {
    for (const auto* event : events) EXPECT_GT(disk_.seen(event), 0U) << event << ", but\n" << disk_.everything_seen();
  }

  TempDir folder_;
  FaultVfs disk_;
  std::map<std::string, int> done_;  // by the undisturbed runs
};

}  // namespace workflows::testing
