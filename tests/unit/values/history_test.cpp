#include <gmock/gmock.h>
#include <workflows/error.h>
#include <workflows/history.h>

#include <string>

namespace workflows {
namespace {

using ::testing::HasSubstr;

TimePoint at(std::int64_t ms) { return TimePoint(Millis(1'767'225'600'000 + ms)); }

InstanceHistory history() {
  InstanceHistory history;
  history.info = {.workflow = "order",
                  .id = "o-1",
                  .generation = 2,
                  .status = Status::waiting,
                  .created = at(0),
                  .updated = at(5),
                  .wake = at(9000),
                  .version = "7"};
  history.params = R"({"big": 123456789012345678901234567890, "f": 0.1})";
  Entry token{.kind = EntryKind::step_completed, .step = 0, .step_kind = StepKind::do_, .occurrence = 1};
  token.name = "token";
  token.after = 3;
  token.need = 4;
  token.attempt = 1;
  token.at = at(1);
  token.began = at(0);
  token.detail = R"({"config":{"sensitive":"output"}})";
  token.source = "shop.py:4";
  token.value = R"("secret")";
  Entry wait{.kind = EntryKind::wait_started, .step = 1, .step_kind = StepKind::wait_for_event, .occurrence = 1};
  wait.name = "wait";
  wait.at = at(2);
  wait.deadline = at(9000);
  wait.event_type = "paid";
  Entry taken{.kind = EntryKind::wait_taken, .step = 1};
  taken.at = at(3);
  taken.event = 12;
  history.entries = {{3, token}, {4, wait}, {9, taken}};
  history.inbox = {{.id = 12, .type = "paid", .payload = R"({"sum":1.10})", .at = at(2), .taken = true}};
  return history;
}

bool same(const InstanceHistory& a, const InstanceHistory& b) {
  return a.info == b.info && a.params == b.params && a.entries == b.entries && a.inbox == b.inbox;
}

TEST(History, ADocumentIsReadAsItWasWrittenByteForByte) {
  const auto document = redact(history(), Redaction::nothing);
  const auto read = parse_history(to_json(document));
  EXPECT_TRUE(same(read.history, history()));
  EXPECT_FALSE(read.redacted);
}

TEST(History, S17_ResultsOfSensitiveStepsAreRedactedUnlessTheyAreAskedFor) {
  const auto document = redact(history(), Redaction::sensitive);
  EXPECT_TRUE(document.redacted);
  EXPECT_EQ(document.history.entries[0].entry.value, R"("[REDACTED]")");
  EXPECT_EQ(document.history.inbox[0].payload, R"({"sum":1.10})");
  EXPECT_TRUE(parse_history(to_json(document)).redacted);
}

TEST(History, S17_DetailsThatASensitiveStepReportsAreRedacted) {
  auto beating = history();
  Entry beat{.kind = EntryKind::heartbeat, .step = 0};
  beat.attempt = 1;
  beat.value = R"("secret")";
  beating.entries.push_back({10, beat});
  const auto document = redact(beating, Redaction::sensitive);
  EXPECT_EQ(document.history.entries.back().entry.value, R"("[REDACTED]")");
}

TEST(History, RedactingEverythingLeavesNoValueOfTheUsers) {
  auto full = history();
  Entry failed{.kind = EntryKind::instance_errored};
  failed.at = at(9);
  failed.value =
      R"({"type":"Declined","message":"secret","traceback":"secret","cause":{"type":"x","message":"secret"}})";
  failed.detail = R"({"rollback":{"compensated":[],"failed":[{"name":"undo","count":1,"error":)"
                  R"({"type":"Closed","message":"secret","cause":{"type":"x","message":"secret"}}}],"not_run":[]}})";
  full.entries.push_back({10, failed});
  const std::string json = to_json(redact(full, Redaction::everything));
  EXPECT_EQ(json.find("secret"), std::string::npos);
  EXPECT_EQ(json.find("1.10"), std::string::npos);
  EXPECT_EQ(json.find("123456789"), std::string::npos);
  EXPECT_THAT(json, HasSubstr("Declined"));
  EXPECT_THAT(json, HasSubstr(R"("name":"undo","count":1,"error":{"type":"Closed")"));
}

std::string problem_of(const std::string& json) {
  try {
    parse_history(json);
  } catch (const WorkflowsError& error) { return error.what(); }
  return "none";
}

TEST(History, WhatIsNotADocumentIsRefusedWithThePlace) {
  EXPECT_THAT(problem_of("{"), HasSubstr("not JSON"));
  EXPECT_THAT(problem_of("[1]"), HasSubstr("the document"));
  EXPECT_THAT(problem_of("{}"), HasSubstr("format"));
  EXPECT_THAT(problem_of(R"({"format":"workflows-history","version":2})"), HasSubstr("document version 2"));
  const std::string good = to_json(redact(history(), Redaction::nothing));
  const auto with = [&](const std::string& what, const std::string& instead) {
    std::string bad = good;
    return problem_of(bad.replace(bad.find(what), what.size(), instead));
  };
  EXPECT_THAT(with("\"step_completed\"", "\"no_kind\""), HasSubstr("entries[0].kind"));
  EXPECT_THAT(with("\"cursor\":4", "\"cursor\":1"), HasSubstr("entries[1].cursor"));
  EXPECT_THAT(with("\"attempt\":1", "\"attempt\":-1"), HasSubstr("entries[0].attempt"));
  EXPECT_THAT(with("2026-01-01T00:00:00.002Z", "yesterday"), HasSubstr("entries[1].at"));
  EXPECT_THAT(with("\"waiting\"", "\"asleep\""), HasSubstr("instance.status"));
  EXPECT_THAT(with("\"o-1\"", "\"o 1\""), HasSubstr("instance id"));
}

// Every document with one byte changed or cut off is read or refused, never worse.
TEST(History, NoBrokenDocumentDoesHarm) {
  const std::string good = to_json(redact(history(), Redaction::nothing));
  for (std::size_t i = 0; i < good.size(); ++i) {
    problem_of(good.substr(0, i));
    for (const char c : {'"', '{', '}', '[', '0', '-', '\\', '\0'}) {
      std::string bad = good;
      bad[i] = c;
      problem_of(bad);
    }
  }
}

}  // namespace
}  // namespace workflows
