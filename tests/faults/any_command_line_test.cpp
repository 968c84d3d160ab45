// Seeded arguments and files for the command line; the fuzzers `cli_arguments_fuzz` and `imported_history_fuzz` look
// for worse. S46.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/command_line.h"

namespace workflows::fuzz {
namespace {

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t end) { return random_() % end; }
  const std::string& one_of(const std::vector<std::string>& items) { return items[below(items.size())]; }

 private:
  std::mt19937_64 random_;
};

const std::vector<std::string> kCommands = {
    "list",   "inspect", "tail", "graph",  "stats",  "send-event", "pause",  "resume", "terminate",  "restart",
    "delete", "diff",    "gc",   "export", "import", "doctor",     "replay", "run",    "completion", "worker"};

const std::vector<std::string> kWords = {"o-1",
                                         "o-2",
                                         "order/o-1",
                                         "o-1@2",
                                         "o-1@1",
                                         "@",
                                         "/",
                                         "nobody",
                                         "order",
                                         "charge",
                                         "charge#1",
                                         "approved",
                                         "shop.db",
                                         "new.db",
                                         "h.json",
                                         "-",
                                         "--",
                                         "",
                                         " ",
                                         "{}",
                                         "[1,2]",
                                         "{\"a\":",
                                         "[]",
                                         "[x]",
                                         "@h.json",
                                         "%%",
                                         "\x1b[2J",
                                         "\xFF\xFE",
                                         "\xF0\x9F\x8D\x8E",
                                         "\xE2\x80\xAE",
                                         "-1",
                                         "0",
                                         "1",
                                         "99999999999999999999",
                                         "2 hours",
                                         "2026-01-01T00:00:03Z",
                                         "errored",
                                         "waiting",
                                         "sleep",
                                         "mermaid",
                                         "dot",
                                         "bash",
                                         "zsh",
                                         "fish",
                                         "a:b",
                                         std::string(5000, 'x')};

const std::vector<std::string> kOptions = {"--json",      "--db",        "--help",       "-h",
                                           "--version",   "--workflow",  "--status",     "--created-after",
                                           "--id-prefix", "--limit",     "--count",      "--until",
                                           "--at",        "--step",      "--all",        "--debug",
                                           "--rollback",  "--from-step", "--kind",       "--redact",
                                           "--sensitive", "--output",    "-o",           "--event-id",
                                           "--params",    "--id",        "--db=shop.db", "--json=1",
                                           "--limit=3",   "--nonsense",  "-x",           "--status=complete"};

std::string arguments(Chance& chance) {
  std::string lines;
  if (chance.below(4) == 0) lines += chance.one_of(kOptions) + '\n';
  lines += chance.one_of(kCommands) + '\n';
  for (std::size_t words = chance.below(6); words > 0; --words)
    lines += chance.one_of(chance.below(3) == 0 ? kOptions : kWords) + '\n';
  return lines;
}

TEST(AnyCommandLine, S46_AnyArgumentsAreCarriedOutOrADocumentedError) {
  Chance chance(46);
  for (int i = 0; i < 3000; ++i) cli_arguments(arguments(chance));
}

TEST(AnyCommandLine, S46_AnyBytesAreArguments) {
  Chance chance(47);
  for (int i = 0; i < 1000; ++i) {
    std::string lines = arguments(chance);
    for (std::size_t edits = 1 + chance.below(3); edits > 0; --edits)
      lines[chance.below(lines.size())] = static_cast<char>(chance.below(256));
    cli_arguments(lines);
  }
}

const std::vector<std::string> kPieces = {"0",
                                          "1",
                                          "7",
                                          "-1",
                                          "4294967295",
                                          "4294967296",
                                          "9223372036854775807",
                                          "1e999",
                                          "0.5",
                                          "null",
                                          "true",
                                          "\"\"",
                                          "\"x\"",
                                          "{}",
                                          "[]",
                                          "[1]",
                                          "{\"a\":1}",
                                          "\"do\"",
                                          "\"sleep\"",
                                          "\"wait_for_event\"",
                                          "\"value\"",
                                          "\"rollback\"",
                                          "\"attempt_failed\"",
                                          "\"step_failed\"",
                                          "\"wait_timed_out\"",
                                          "\"abandoned\"",
                                          "\"reclaimed\"",
                                          "\"heartbeat\"",
                                          "\"rollback_started\"",
                                          "\"paused\"",
                                          "\"resumed\"",
                                          "\"version\"",
                                          "\"restarted\"",
                                          "\"instance_errored\"",
                                          "\"instance_terminated\"",
                                          "\"errored\"",
                                          "\"terminated\"",
                                          "\"paused\"",
                                          "\"queued\"",
                                          "\"0001-01-01T00:00:00.000Z\"",
                                          "\"9999-12-31T23:59:59.999Z\"",
                                          "\"2026-01-01T00:00:00.000+14:00\"",
                                          "\"\\u0000\"",
                                          "\"\\u001b[2J\"",
                                          "\"\\ud83c\\udf4e\"",
                                          "\"a\\nb\"",
                                          "[[[[[[]]]]]]",
                                          "{\"type\":\"E\",\"message\":\"\\u001b\"}",
                                          "{\"config\":{\"sensitive\":\"output\"}}",
                                          "{\"depends\":[0,1,2,99]}",
                                          "{\"depends\":\"x\",\"config\":3}",
                                          "{\"rollback\":{\"compensated\":1}}",
                                          "{\"reason\":1}",
                                          "{\"reason\":\"diverged\",\"message\":\"\\u202e\"}"};

// Where the values of a document begin and end: behind a colon, up to the comma or bracket that closes them.
std::string with_another_value(std::string document, Chance& chance) {
  std::vector<std::size_t> colons;
  for (std::size_t at = document.find("\":"); at != std::string::npos; at = document.find("\":", at + 2))
    colons.push_back(at + 2);
  const std::size_t begin = colons[chance.below(colons.size())];
  std::size_t end = begin;
  int depth = 0;
  for (bool quoted = false; end < document.size(); ++end) {
    const char c = document[end];
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) break;
    depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
  }
  return document.replace(begin, end - begin, chance.one_of(kPieces));
}

TEST(AnyCommandLine, S46_WhatExportWritesIsImported) {
  EXPECT_TRUE(imported_history(kFinished));
  EXPECT_TRUE(imported_history(kUnfinished));
}

TEST(AnyCommandLine, S46_AHistoryWithOtherValuesIsRefusedOrComesBackTheSame) {
  Chance chance(48);
  int taken_in = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string document(i % 3 == 0 ? kUnfinished : kFinished);
    for (std::size_t edits = 1 + chance.below(3); edits > 0; --edits)
      document = with_another_value(std::move(document), chance);
    taken_in += imported_history(document) ? 1 : 0;
  }
  EXPECT_GT(taken_in, 150);
}

TEST(AnyCommandLine, S46_AHistoryWithOtherBytesIsRefusedOrComesBackTheSame) {
  Chance chance(49);
  for (int i = 0; i < 500; ++i) {
    std::string document(i % 3 == 0 ? kUnfinished : kFinished);
    document[chance.below(document.size())] = static_cast<char>(chance.below(256));
    imported_history(document);
  }
}

}  // namespace
}  // namespace workflows::fuzz
