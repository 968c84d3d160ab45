#include "engine/cli/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/values/text.h"

namespace workflows::cli {
namespace {

using ::testing::ElementsAre;

TEST(CliText, NothingActsOnTheTerminal) {
  EXPECT_EQ(harmless("\x1b[31mred\x07"), "\\u001b[31mred\\u0007");
  EXPECT_EQ(harmless("a\nb\tc"), "a\\u000ab\\u0009c");
  EXPECT_EQ(harmless_lines("a\nb\r"), "a\nb\\u000d");
  EXPECT_EQ(harmless("\u202eevil"), "\\u202eevil");
  EXPECT_EQ(harmless("\xc2\x9b"
                     "31m"),
            "\\u009b31m");
  EXPECT_EQ(harmless("bad \xff byte"), "bad \xEF\xBF\xBD byte");
}

TEST(CliText, WidthIsThatOfATerminal) {
  EXPECT_EQ(columns_of("abc"), 3u);
  EXPECT_EQ(columns_of("naïve"), 5u);
  EXPECT_EQ(columns_of("e\u0301"), 1u);
  EXPECT_EQ(columns_of("長い"), 4u);
  EXPECT_EQ(columns_of("✓"), 1u);
}

TEST(CliText, IsWrappedAtSpaces) {
  EXPECT_THAT(wrapped("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrapped("長い 長い word", 9), ElementsAre("長い 長い", "word"));
  EXPECT_THAT(wrapped("a-very-long-word b", 5), ElementsAre("a-very-long-word", "b"));
  EXPECT_THAT(wrapped("", 5), ElementsAre(""));
}

TEST(CliText, IsCutBetweenCharacters) {
  EXPECT_EQ(cut("abcdef", 6), "abcdef");
  EXPECT_EQ(cut("abcdef", 4), "abc…");
  EXPECT_EQ(cut("長長長", 4), "長…");
  EXPECT_EQ(cut("長長長", 1), "…");
  EXPECT_EQ(cut("abc", 0), "");
}

TEST(CliText, NamesThatBeginAlikeAreCutInside) {
  EXPECT_EQ(cut_inside("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(cut_inside("abcdefgh", 6), "ab…fgh");
  EXPECT_EQ(columns_of(cut_inside("abcdefgh", 6)), 6u);
  EXPECT_EQ(cut_inside("abcdefgh", 5), "ab…gh");
  EXPECT_EQ(cut_inside("abcdefgh", 1), "…");
}

TEST(CliText, NoTextIsWiderThanItIsCutTo) {
  const std::string text = "a長e\u0301\U0001F469\u200d\U0001F469b naïve";
  for (std::size_t columns = 0; columns < 20; ++columns) EXPECT_LE(columns_of(cut(text, columns)), columns) << columns;
}

TEST(CliText, EveryByteIsMadeHarmless) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      std::string_view shown;
      const std::string text = harmless(std::string{static_cast<char>(first), static_cast<char>(second)});
      shown = text;
      while (!shown.empty()) {
        const auto c = values::take_code_point(shown);
        ASSERT_TRUE(c && !values::is_control(*c)) << first << ' ' << second;
      }
    }
  }
}

}  // namespace
}  // namespace workflows::cli
