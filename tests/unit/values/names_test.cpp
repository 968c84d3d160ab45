#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <workflows/host.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace workflows {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;

using Check = void (*)(std::string_view);

std::string error_of(Check check, std::string_view name) {
  try {
    check(name);
    return "accepted";
  } catch (const InvalidNameError& error) { return error.what(); }
}

TEST(NamesTest, S1_WorkflowNames) {
  EXPECT_EQ(error_of(check_workflow_name, "Order_2-b"), "accepted");
  EXPECT_EQ(error_of(check_workflow_name, std::string(64, 'a')), "accepted");
  EXPECT_THAT(error_of(check_workflow_name, std::string(65, 'a')), HasSubstr("it has 65 characters"));
  EXPECT_THAT(error_of(check_workflow_name, ""), HasSubstr("it is empty"));
  EXPECT_THAT(error_of(check_workflow_name, "-a"), HasSubstr("\"-\" stands at position 1"));
  EXPECT_THAT(error_of(check_workflow_name, "a.b"), HasSubstr("\".\" stands at position 2"));
  EXPECT_THAT(error_of(check_workflow_name, "na\xC3\xAFve"),
              AllOf(HasSubstr("workflow name"), HasSubstr("\"\xC3\xAF\" stands at position 3")));
}

TEST(NamesTest, S2_InstanceIds) {
  EXPECT_EQ(error_of(check_instance_id, "2024_order-17"), "accepted");
  EXPECT_EQ(error_of(check_instance_id, std::string(100, '9')), "accepted");
  EXPECT_THAT(error_of(check_instance_id, std::string(101, '9')), HasSubstr("it has 101 characters"));
  EXPECT_THAT(error_of(check_instance_id, "a b"), AllOf(HasSubstr("instance id"), HasSubstr("\" \"")));
  EXPECT_THAT(error_of(check_instance_id, std::string_view("a\0b", 3)), HasSubstr("\\u0000"));
}

TEST(NamesTest, S21_EventTypes) {
  EXPECT_EQ(error_of(check_event_type, "order.paid-2"), "accepted");
  EXPECT_EQ(error_of(check_event_type, ".hidden"), "accepted");
  EXPECT_EQ(error_of(check_event_type, std::string(100, '.')), "accepted");
  EXPECT_THAT(error_of(check_event_type, std::string(101, '.')), HasSubstr("it has 101 characters"));
  EXPECT_THAT(error_of(check_event_type, "-x"), HasSubstr("event type"));
  EXPECT_THAT(error_of(check_event_type, ""), HasSubstr("it is empty"));
}

TEST(NamesTest, S8_StepNamesAreAnyTextOf256Characters) {
  EXPECT_EQ(error_of(check_step_name, "charge the card, s\xC3\xBC\xC3\x9F \xF0\x9F\x8D\x8E"), "accepted");
  std::string apples;
  for (int i = 0; i < 256; ++i) apples += "\xF0\x9F\x8D\x8E";
  EXPECT_EQ(error_of(check_step_name, apples), "accepted");
  EXPECT_THAT(error_of(check_step_name, apples + "x"), HasSubstr("it has 257 characters"));
  EXPECT_THAT(error_of(check_step_name, ""), HasSubstr("it is empty"));
}

TEST(NamesTest, S8_ControlCharactersAreRefused) {
  for (int c = 0; c < 0x20; ++c) {
    EXPECT_THAT(error_of(check_step_name, "a" + std::string(1, static_cast<char>(c))), HasSubstr("control character"))
        << c;
  }
  for (int c = 0x7F; c < 0xA0; ++c) {
    const std::string name = c == 0x7F ? "\x7F" : std::string("\xC2") + static_cast<char>(c);
    EXPECT_THAT(error_of(check_step_name, name), HasSubstr("control character")) << c;
  }
  EXPECT_EQ(error_of(check_step_name, "\xC2\xA0"), "accepted");
}

TEST(NamesTest, S8_WhatIsNotUtf8IsRefused) {
  for (const auto* name :
       {"\xFF", "\x80", "a\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80"}) {
    EXPECT_THAT(error_of(check_step_name, name), HasSubstr("not valid UTF-8"));
  }
}

TEST(NamesTest, S46_ALongNameIsCutShortInTheMessage) {
  EXPECT_LT(error_of(check_step_name, std::string(1'000'000, 'x')).size(), 300u);
}

TEST(InstanceIdTest, S2_AnOmittedIdIsAUuidV7OfTheTime) {
  const std::string id = make_instance_id(TimePoint(Millis(0x0123'4567'89AB)));
  EXPECT_THAT(id, MatchesRegex("01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_EQ(error_of(check_instance_id, id), "accepted");
}

TEST(InstanceIdTest, IdsGrowWithTimeAndWithinAMillisecond) {
  std::string last = make_instance_id(TimePoint(Millis(1'000)));
  for (int i = 0; i < 5'000; ++i) {
    const std::string next = make_instance_id(TimePoint(Millis(1'001 + i / 1'000)));
    ASSERT_LT(last, next);
    last = next;
  }
}

TEST(InstanceIdTest, IdsOfOneMomentAndManyThreadsDiffer) {
  constexpr int kThreads = 4;
  constexpr int kIds = 5'000;
  std::vector<std::vector<std::string>> ids(kThreads);
  {
    std::vector<std::jthread> threads;
    for (auto& own : ids) {
      threads.emplace_back([&own] {
        for (int i = 0; i < kIds; ++i) own.push_back(make_instance_id(TimePoint(Millis(7))));
      });
    }
  }
  std::set<std::string> all;
  for (const auto& own : ids) all.insert(own.begin(), own.end());
  EXPECT_EQ(all.size(), std::size_t{kThreads} * kIds);
}

}  // namespace
}  // namespace workflows
