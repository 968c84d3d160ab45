#include "engine/core/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace workflows::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TimePoint at(std::int64_t ms) { return TimePoint(Millis(ms)); }

Entry do_entry(EntryKind kind, std::uint32_t step, std::uint32_t attempt, std::int64_t ms) {
  Entry entry;
  entry.kind = kind;
  entry.step = step;
  entry.step_kind = StepKind::do_;
  entry.occurrence = 1;
  entry.name = "step " + std::to_string(step);
  entry.attempt = attempt;
  entry.at = at(ms);
  return entry;
}

Entry opening(EntryKind kind, StepKind step_kind, std::uint32_t step, std::int64_t ms, std::int64_t deadline_ms) {
  Entry entry = do_entry(kind, step, 0, ms);
  entry.step_kind = step_kind;
  entry.deadline = at(deadline_ms);
  return entry;
}

// Entries that end a sleep or a wait carry no identity.
Entry ending(EntryKind kind, std::uint32_t step, std::int64_t ms) {
  Entry entry;
  entry.kind = kind;
  entry.step = step;
  entry.at = at(ms);
  return entry;
}

std::string failure(const std::string& type) { return Failure{.type = type, .message = "m"}.to_json(); }

StepInfo only_step(const std::vector<Entry>& history, const std::vector<InboxEvent>& inbox = {}) {
  const auto steps = report_steps(history, inbox);
  EXPECT_EQ(steps.size(), 1u);
  return steps.empty() ? StepInfo{} : steps.front();
}

TEST(ReportTest, AnEmptyJournalHasNoSteps) { EXPECT_THAT(report_steps({}, {}), IsEmpty()); }

TEST(ReportTest, WhatIsRecordedOfTheInstanceAsAWholeIsNoStep) {
  for (const auto kind : {EntryKind::rollback_started, EntryKind::paused, EntryKind::resumed, EntryKind::version,
                          EntryKind::restarted, EntryKind::instance_completed}) {
    EXPECT_THAT(report_steps({ending(kind, 0, 5)}, {}), IsEmpty()) << to_string(kind);
  }
}

TEST(ReportTest, S31_ARollbackHasAttemptsAndTimes) {
  Entry failed = do_entry(EntryKind::attempt_failed, 3, 1, 20);
  failed.began = at(10);
  failed.value = failure("E");
  failed.deadline = at(30);
  Entry done = do_entry(EntryKind::step_completed, 3, 2, 50);
  done.began = at(30);
  failed.step_kind = done.step_kind = StepKind::rollback;
  const StepInfo step = only_step({failed, done});
  EXPECT_EQ(step.kind, StepKind::rollback);
  EXPECT_EQ(step.began, at(10));
  EXPECT_EQ(step.ended, at(50));
  EXPECT_EQ(step.attempts.size(), 2u);
}

TEST(ReportTest, AStepThatCompletedAtOnce) {
  Entry entry = do_entry(EntryKind::step_completed, 0, 1, 20);
  entry.began = at(10);
  entry.value = R"({"ok":true})";
  const StepInfo step = only_step({entry});
  EXPECT_EQ(step.kind, StepKind::do_);
  EXPECT_EQ(step.name, "step 0");
  EXPECT_EQ(step.occurrence, 1u);
  EXPECT_EQ(step.status, "completed");
  EXPECT_EQ(step.result, R"({"ok":true})");
  EXPECT_EQ(step.began, at(10));
  EXPECT_EQ(step.ended, at(20));
  ASSERT_EQ(step.attempts.size(), 1u);
  EXPECT_EQ(step.attempts[0].number, 1u);
  EXPECT_EQ(step.attempts[0].began, at(10));
  EXPECT_EQ(step.attempts[0].ended, at(20));
  EXPECT_FALSE(step.attempts[0].failure.has_value());
}

TEST(ReportTest, S10_AttemptsAreListedWithTimesAndErrors) {
  const Entry first = do_entry(EntryKind::attempt_started, 0, 1, 10);
  Entry lost = do_entry(EntryKind::attempt_failed, 0, 1, 50);
  lost.value = failure("ProcessLost");
  lost.deadline = at(100);
  EXPECT_EQ(only_step({first}).status, "running");
  const StepInfo retrying = only_step({first, lost});
  EXPECT_EQ(retrying.status, "retrying");
  EXPECT_EQ(retrying.deadline, at(100));
  EXPECT_EQ(retrying.ended, std::nullopt);

  const Entry second = do_entry(EntryKind::attempt_started, 0, 2, 100);
  EXPECT_EQ(only_step({first, lost, second}).status, "running");
  EXPECT_EQ(only_step({first, lost, second}).deadline, std::nullopt);

  Entry failed = do_entry(EntryKind::step_failed, 0, 2, 120);
  failed.value = failure("builtins.ValueError");
  const StepInfo step = only_step({first, lost, second, failed});
  EXPECT_EQ(step.status, "failed");
  EXPECT_EQ(step.failure->type, "builtins.ValueError");
  EXPECT_EQ(step.began, at(10));
  EXPECT_EQ(step.ended, at(120));
  ASSERT_EQ(step.attempts.size(), 2u);
  EXPECT_EQ(step.attempts[0].failure->type, "ProcessLost");
  EXPECT_EQ(step.attempts[0].ended, at(50));
  EXPECT_EQ(step.attempts[1].failure->type, "builtins.ValueError");
  EXPECT_EQ(step.attempts[1].began, at(100));
}

TEST(ReportTest, S11_AFailedChoiceOfTheDelayLeavesTheAttemptItsOwnError) {
  Entry attempt = do_entry(EntryKind::attempt_failed, 0, 1, 10);
  attempt.value = failure("builtins.ValueError");
  Entry failed = do_entry(EntryKind::step_failed, 0, 1, 20);
  failed.value = failure("StepError");
  const StepInfo step = only_step({attempt, failed});
  EXPECT_EQ(step.failure->type, "StepError");
  ASSERT_EQ(step.attempts.size(), 1u);
  EXPECT_EQ(step.attempts[0].failure->type, "builtins.ValueError");
}

TEST(ReportTest, S35_AStepThatADependencyFailedHasNoAttempts) {
  Entry failed = do_entry(EntryKind::step_failed, 3, 0, 20);
  failed.value = failure("DependencyError");
  failed.detail = R"({"depends":[1,22]})";
  const StepInfo step = only_step({failed});
  EXPECT_EQ(step.status, "failed");
  EXPECT_THAT(step.attempts, IsEmpty());
  EXPECT_THAT(step.depends, ElementsAre(1u, 22u));
  EXPECT_EQ(step.ended, at(20));
}

TEST(ReportTest, S17_TheResultOfASensitiveStepIsNotShown) {
  Entry entry = do_entry(EntryKind::step_completed, 0, 1, 20);
  entry.detail = R"({"config":{"timeout":5,"sensitive":"output"},"depends":[]})";
  entry.value = "\"secret\"";
  const StepInfo step = only_step({entry});
  EXPECT_EQ(step.result, "\"[REDACTED]\"");
  EXPECT_EQ(step.config, R"({"timeout":5,"sensitive":"output"})");
}

TEST(ReportTest, S18_ASleep) {
  const Entry started = opening(EntryKind::sleep_started, StepKind::sleep, 0, 10, 500);
  const StepInfo asleep = only_step({started});
  EXPECT_EQ(asleep.kind, StepKind::sleep);
  EXPECT_EQ(asleep.status, "waiting");
  EXPECT_EQ(asleep.deadline, at(500));
  const StepInfo awake = only_step({started, ending(EntryKind::sleep_finished, 0, 501)});
  EXPECT_EQ(awake.status, "completed");
  EXPECT_EQ(awake.name, "step 0");
  EXPECT_EQ(awake.began, at(10));
  EXPECT_EQ(awake.ended, at(501));
  EXPECT_EQ(awake.deadline, at(500));
}

TEST(ReportTest, S21_AWaitShowsTheEventThatItTook) {
  Entry started = opening(EntryKind::wait_started, StepKind::wait_for_event, 0, 10, 500);
  started.event_type = "paid";
  Entry taken = ending(EntryKind::wait_taken, 0, 60);
  taken.event = 8;
  const std::vector<InboxEvent> inbox = {{.id = 7, .type = "paid", .payload = "7"},
                                         {.id = 8, .type = "paid", .payload = "8"}};
  const StepInfo step = only_step({started, taken}, inbox);
  EXPECT_EQ(step.status, "completed");
  EXPECT_EQ(step.event_type, "paid");
  EXPECT_EQ(step.result, "8");
}

TEST(ReportTest, S21_AWaitThatTimedOut) {
  const Entry started = opening(EntryKind::wait_started, StepKind::wait_for_event, 0, 10, 500);
  Entry ended = ending(EntryKind::wait_timed_out, 0, 500);
  ended.value = failure("WaitTimeoutError");
  const StepInfo step = only_step({started, ended});
  EXPECT_EQ(step.status, "timed_out");
  EXPECT_EQ(step.failure->type, "WaitTimeoutError");
  EXPECT_THAT(step.attempts, IsEmpty());
}

TEST(ReportTest, StepsStandInTheOrderInWhichTheyWereAskedFor) {
  const auto steps =
      report_steps({do_entry(EntryKind::step_completed, 2, 1, 1), do_entry(EntryKind::step_completed, 0, 1, 2),
                    ending(EntryKind::instance_completed, 0, 3)},
                   {});
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].number, 0u);
  EXPECT_EQ(steps[0].status, "completed");
  EXPECT_EQ(steps[1].number, 2u);
}

TEST(ReportTest, AnAbandonedStepGoesOn) {
  const auto step = only_step({do_entry(EntryKind::attempt_started, 0, 1, 1), ending(EntryKind::abandoned, 0, 2),
                               do_entry(EntryKind::step_completed, 0, 1, 3)});
  EXPECT_EQ(step.status, "completed");
}

}  // namespace
}  // namespace workflows::core
