#pragma once
// One entry of a history on one line.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <workflows/history.h>

#include "engine/cli/console.h"

namespace workflows::cli {

// "2026-01-01 00:00:00Z  step_completed  do charge, attempt 2  = {"ok":true}", behind `head` if there is one.
std::string entry_line(const Console& console, const Entry& entry, std::string_view head = {});

// Entries as operators may see them (S17), each with the name of its step, also where it was recorded without.
class EntryReader {
 public:
  // The next part of a history.
  std::vector<RecordedEntry> read(std::vector<RecordedEntry> part);
  // Whether an entry can be read without those before it.
  bool knows(const Entry& entry) const;

 private:
  void identify(Entry& entry);

  std::map<std::uint32_t, Entry> steps_;  // the first entry of each
};

}  // namespace workflows::cli
