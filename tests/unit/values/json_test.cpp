#include "engine/values/json.h"

#include <gtest/gtest.h>

#include <string>

namespace workflows::values {
namespace {

TEST(Json, SaysTheSameInAnyOrderOfMembersWithAnyBlanksAndEscapes) {
  EXPECT_TRUE(is_same_json(R"({"a":1,"b":[true,{"x":"é","y":null}]})",
                           "{ \"b\": [ true, {\"y\":null, \"x\":\"\\u00e9\"} ],\n\"a\":1 }"));
  EXPECT_TRUE(is_same_json("{}", " {} "));
}

TEST(Json, OtherMembersElementsOrNumbersSaySomethingElse) {
  EXPECT_FALSE(is_same_json(R"({"a":1})", R"({"a":2})"));
  EXPECT_FALSE(is_same_json(R"({"a":1})", R"({"a":1,"b":1})"));
  EXPECT_FALSE(is_same_json(R"({"a":1})", R"({"A":1})"));
  EXPECT_FALSE(is_same_json("[1,2]", "[2,1]"));
  EXPECT_FALSE(is_same_json("[1,2]", "[1,2,3]"));
  EXPECT_FALSE(is_same_json("9007199254740993", "9007199254740992"));
  EXPECT_FALSE(is_same_json(R"("1")", "1"));
}

TEST(Json, WhatIsNoJsonSaysTheSameOnlyByteForByte) {
  EXPECT_TRUE(is_same_json("{bad", "{bad"));
  EXPECT_FALSE(is_same_json("{bad", "{ bad"));
  EXPECT_FALSE(is_same_json(std::string(2'000, '['), "[]"));
}

}  // namespace
}  // namespace workflows::values
