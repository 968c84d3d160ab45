#include <workflows/failure.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace workflows {
namespace {

using testing::HasSubstr;

TEST(FailureTest, S13_EmptyPartsAreAbsent) {
  EXPECT_EQ(Failure{}.to_json(), "{}");
  EXPECT_EQ((Failure{.type = "E", .message = "m"}).to_json(), R"({"type":"E","message":"m"})");
}

TEST(FailureTest, S13_EverythingComesBack) {
  Failure failure{.type = "shop.CardDeclined",
                  .message = "no\n\"money\" \xF0\x9F\x92\xB3",
                  .retryable = false,
                  .traceback = "line 1\nline 2",
                  .cause = std::make_shared<Failure>(Failure{.type = "builtins.OSError", .message = "net"}),
                  .data = R"({"args":["no"],"left":12})"};
  const Failure read = Failure::from_json(failure.to_json());
  EXPECT_EQ(read.type, failure.type);
  EXPECT_EQ(read.message, failure.message);
  EXPECT_FALSE(read.retryable);
  EXPECT_EQ(read.traceback, failure.traceback);
  EXPECT_EQ(read.data, failure.data);
  ASSERT_NE(read.cause, nullptr);
  EXPECT_EQ(read.cause->type, "builtins.OSError");
  EXPECT_EQ(read.cause->message, "net");
  EXPECT_TRUE(read.cause->retryable);
  EXPECT_EQ(read.cause->cause, nullptr);
}

TEST(FailureTest, S13_DataKeepsItsBytes) {
  const std::string data =
      R"({"big":123456789012345678901234567890, "exact":0.76507826078316743,"e":1E400,"s":"}\"]"})";
  EXPECT_EQ(Failure::from_json(Failure{.data = data}.to_json()).data, data);
}

TEST(FailureTest, DataThatIsNotJsonIsKeptAsText) {
  EXPECT_EQ(Failure{.data = "{oops"}.to_json(), R"({"data":"{oops"})");
}

TEST(FailureTest, TextThatIsNotUtf8IsRepaired) {
  EXPECT_EQ((Failure{.message = "a\xFFz"}).to_json(), "{\"message\":\"a\xEF\xBF\xBDz\"}");
}

TEST(FailureTest, UnknownKeysAreIgnored) {
  EXPECT_EQ(Failure::from_json(R"( {"type":"E", "notes":["x",{"type":"F"}], "later":{"message":"n"}} )").type, "E");
}

TEST(FailureTest, WhatIsNotAFailureComesBackAsOneThatQuotesIt) {
  for (const auto* text : {"", "null", "[]", "\"x\"", "{", "{} {}", R"({"type":1})", R"({"message":null})",
                           R"({"retryable":"no"})", R"({"cause":"why"})", R"({"cause":{"type":[]}})", "\xFF"}) {
    const Failure read = Failure::from_json(text);
    EXPECT_EQ(read.type, "StepError") << text;
    EXPECT_THAT(read.message, HasSubstr("It reads \"")) << text;
  }
  EXPECT_THAT(Failure::from_json("what?").message, HasSubstr("\"what?\""));
  EXPECT_LT(Failure::from_json(std::string(1'000'000, 'x')).message.size(), 400u);
}

std::size_t depth_of(const Failure& failure) {
  std::size_t depth = 0;
  for (const Failure* next = failure.cause.get(); next != nullptr; next = next->cause.get()) ++depth;
  return depth;
}

TEST(FailureTest, CausesBeyondTheBoundAreDropped) {
  Failure failure{.type = "E"};
  for (int i = 0; i < 1'000; ++i) failure = Failure{.type = "E", .cause = std::make_shared<Failure>(failure)};
  const Failure read = Failure::from_json(failure.to_json());
  EXPECT_EQ(depth_of(read), 64u);
  EXPECT_EQ(depth_of(Failure::from_json(read.to_json())), 64u);
}

TEST(FailureTest, DeepNestingIsNoDanger) {
  std::string causes;
  for (int i = 0; i < 900; ++i) causes += R"({"cause":)";
  EXPECT_EQ(depth_of(Failure::from_json(causes + "{}" + std::string(900, '}'))), 64u);
  EXPECT_EQ(Failure::from_json(R"({"data":)" + std::string(100'000, '[')).type, "StepError");
}

}  // namespace
}  // namespace workflows
