// The fuzzers' promises, held against seeded random inputs: some made of plausible pieces, some of any bytes.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/inputs.h"

namespace workflows::fuzz {
namespace {

using Input = void (*)(std::string_view);

class Inputs {
 public:
  explicit Inputs(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}

  std::string next() {
    std::string text;
    for (std::size_t parts = random_() % 12; parts > 0; --parts) {
      text += random_() % 8 == 0 ? std::string(1, static_cast<char>(random_())) : pieces_[random_() % pieces_.size()];
    }
    return text;
  }

 private:
  std::mt19937_64 random_{46};
  std::vector<std::string> pieces_;
};

void feed(Input input, std::vector<std::string> pieces) {
  constexpr int kInputs = 5000;
  Inputs inputs(std::move(pieces));
  for (int i = 0; i < kInputs; ++i) input(inputs.next());
}

TEST(AnyTextTest, S19_S46_AnyTextIsADurationOrATypedError) {
  feed(duration, {"1",
                  "23",
                  "0.5",
                  ".",
                  " ",
                  "ms",
                  "s",
                  "Min",
                  "hours",
                  "d",
                  "WEEK",
                  "month",
                  "years",
                  "-",
                  "+",
                  "e9",
                  "nan",
                  "inf",
                  "99999999999999999999",
                  "0.000000000000000000000001",
                  ",",
                  "\t",
                  "\n",
                  "é"});
}

TEST(AnyTextTest, S8_S46_AnyTextIsANameOrATypedError) {
  feed(names, {"a", "Z", "0", "_", "-", ".", " ", "é", "\xF0\x9F\x8D\x8E", "\x7F", "\xC2\x85", "\xED\xA0\x80", "\xFF",
               std::string(1, '\0'), std::string(60, 'x'), std::string(200, 'y')});
}

TEST(AnyTextTest, S9_S46_AnyTextIsAConfigOrATypedError) {
  feed(step_config, {"{",
                     "}",
                     "{\"retries\":{",
                     "\"limit\":",
                     "\"delay\":",
                     "\"backoff\":\"linear\"",
                     "\"jitter\":",
                     "\"max_delay\":",
                     "\"timeout\":",
                     "\"sensitive\":\"output\"",
                     "1",
                     "0.5",
                     "-3",
                     "1e999",
                     "\"2 s\"",
                     ",",
                     ":",
                     "null",
                     "true",
                     "[",
                     "]",
                     "}}",
                     " ",
                     "\"\\u0000\"",
                     "{\"timeout\":5}"});
}

TEST(AnyTextTest, S13_S46_AnyTextIsReadAsAFailure) {
  feed(failure, {"{",
                 "}",
                 "{\"type\":\"E\"",
                 "\"message\":",
                 "\"cause\":",
                 "\"data\":",
                 "\"retryable\":false",
                 "\"x\"",
                 "{}",
                 "[1,2]",
                 ",",
                 ":",
                 "12345678901234567890123",
                 "0.1",
                 "\"\\\"\"",
                 "\"\\\\\"",
                 "\"\\ud83c\\udf4e\"",
                 " ",
                 "\"traceback\":\"a\\nb\"",
                 "null",
                 "{\"type\":\"E\",\"cause\":{\"type\":\"F\"}}"});
}

TEST(AnyTextTest, S46_AnyTextIsAValueOrATypedError) {
  feed(json, {"{",
              "}",
              "[",
              "]",
              ",",
              ":",
              " ",
              "\"",
              "\"a\"",
              "\"\\",
              "\\u00e9\"",
              "\"\\ud83c\"",
              "null",
              "true",
              "false",
              "0",
              "-1",
              "2147483648",
              "18446744073709551616",
              "1e400",
              "0.1",
              "{\"a\":1}",
              "[\"x\",\"y\"]",
              std::string(40, '['),
              std::string(1, '\0'),
              "\xFF"});
}

TEST(AnyTextTest, S46_AMessageThatShowsTheBeginningOfAValueIsText) {
  std::string apples = "\"";
  for (int i = 0; i < 100; ++i) apples += "\xF0\x9F\x8D\x8E";
  json(apples + '"');
  json("\xFF");
}

}  // namespace
}  // namespace workflows::fuzz
