// The words for codes, kinds and statuses that are public: they stand in output, in logs and on disk.

#include <gtest/gtest.h>
#include <workflows/error.h>
#include <workflows/instance_info.h>
#include <workflows/journal.h>

#include <array>
#include <set>
#include <string>
#include <vector>

namespace workflows {
namespace {

const std::vector<ErrorCode> kCodes = {
#define X(code, type, exit_code) ErrorCode::code,
    WORKFLOWS_ERRORS(X)
#undef X
};

TEST(ErrorTest, EveryCodeIsThrownAsItsOwnClass){
#define X(name, type, exit)                        \
  try {                                            \
    throw_error({ErrorCode::name, "what " #name}); \
  } catch (const type& error) {                    \
    EXPECT_EQ(error.code(), ErrorCode::name);      \
    EXPECT_STREQ(error.what(), "what " #name);     \
    EXPECT_EQ(to_string(error.code()), #name);     \
    EXPECT_EQ(exit_code(error.code()), exit);      \
  }
    WORKFLOWS_ERRORS(X)
#undef X
}

TEST(ErrorTest, WordsDifferAndNoErrorExitsWithSuccess) {
  std::set<std::string_view> words;
  for (const ErrorCode code : kCodes) {
    words.insert(to_string(code));
    EXPECT_GT(exit_code(code), 1);
  }
  EXPECT_EQ(words.size(), kCodes.size());
}

TEST(StatusTest, S26_EveryStatusIsReadBackFromItsWord) {
  const std::array<std::pair<Status, const char*>, 9> words = {{{Status::queued, "queued"},
                                                                {Status::running, "running"},
                                                                {Status::waiting, "waiting"},
                                                                {Status::waiting_for_pause, "waitingForPause"},
                                                                {Status::paused, "paused"},
                                                                {Status::rolling_back, "rollingBack"},
                                                                {Status::complete, "complete"},
                                                                {Status::errored, "errored"},
                                                                {Status::terminated, "terminated"}}};
  for (const auto& [status, word] : words) {
    EXPECT_EQ(to_string(status), word);
    EXPECT_EQ(parse_status(word), status);
  }
  EXPECT_EQ(parse_status("Running"), std::nullopt);
  EXPECT_EQ(parse_status(""), std::nullopt);
}

TEST(JournalTest, TheWordsOfStepsAndEntries) {
  EXPECT_EQ(to_string(StepKind::do_), "do");
  EXPECT_EQ(to_string(StepKind::sleep), "sleep");
  EXPECT_EQ(to_string(StepKind::wait_for_event), "wait_for_event");
  EXPECT_EQ(to_string(EntryKind::attempt_started), "attempt_started");
  EXPECT_EQ(to_string(EntryKind::wait_timed_out), "wait_timed_out");
  EXPECT_EQ(to_string(EntryKind::instance_errored), "instance_errored");
}

}  // namespace
}  // namespace workflows
