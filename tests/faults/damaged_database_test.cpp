// Seeded damage to a database file; the fuzzer `damaged_database_fuzz` looks for worse. S45.

#include "tests/fuzz/damaged_database.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace workflows::fuzz {
namespace {

std::string edits(std::mt19937_64& chance, std::uint64_t at, std::uint64_t count) {
  std::string text;
  for (; count > 0; --count, ++at) {
    for (const auto shift : {24, 16, 8, 0}) text += static_cast<char>(at >> shift);
    text += static_cast<char>(chance());
  }
  return text;
}

using Counts = std::map<Met, int>;

TEST(DamagedDatabase, S45_ASoundOneIsReadAndWritten) { EXPECT_EQ(damaged_database(""), Met::nothing); }

TEST(DamagedDatabase, S45_AnyByteMayBeAnotherOne) {
  std::mt19937_64 chance(45);
  for (int i = 0; i < 600; ++i) damaged_database(edits(chance, chance(), 1));
}

// Where SQLite keeps what it finds its way by: the first bytes of a page.
TEST(DamagedDatabase, S45_AnyByteThatLeadsThroughThePagesMayBeAnotherOne) {
  std::mt19937_64 chance(46);
  Counts met;
  for (int i = 0; i < 600; ++i)
    ++met[damaged_database(edits(chance, chance() % 40 * 4096 + chance() % 64, 1 + chance() % 4))];
  EXPECT_GT(met[Met::an_error], 5);
  EXPECT_GT(met[Met::nothing], 20);
}

TEST(DamagedDatabase, S45_AWholeStretchMayBeJunk) {
  std::mt19937_64 chance(47);
  Counts met;
  for (int i = 0; i < 200; ++i) ++met[damaged_database(edits(chance, chance() % 40 * 512, 512))];
  EXPECT_GT(met[Met::an_error], 20);
}

}  // namespace
}  // namespace workflows::fuzz
