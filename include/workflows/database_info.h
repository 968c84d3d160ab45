#pragma once
// What a database as a whole says: counts, and what is wrong with it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <workflows/instance_info.h>
#include <workflows/journal.h>
#include <workflows/time.h>

namespace workflows {

struct StatusCount {
  std::string workflow{};
  Status status{};
  std::uint64_t instances = 0;

  bool operator==(const StatusCount&) const = default;
};

// Of instances, each by its newest generation.
struct Statistics {
  std::vector<StatusCount> counts{};           // by name of the workflow, then by status
  std::optional<TimePoint> oldest_runnable{};  // since when the longest-waiting queued instance is queued
  std::uint64_t recent_steps = 0;              // outcomes of steps ...
  Millis recent{};                             // ... recorded in the last minute, or less if that was too many to count
  std::uint64_t engines = 0;                   // that live
  std::uint64_t file_bytes = 0;
  std::uint64_t wal_bytes = 0;  // written, and not yet moved into the file
};

// An engine that has opened the database and not closed it.
struct EngineInfo {
  std::int64_t id = 0;
  bool alive = false;       // else its instances stand still until another engine takes them
  bool may_forget = false;  // opened with durability normal: a loss of power may take its newest commits
};

// An entry, and whose it is.
struct JournalEntry {
  InstanceKey instance = 0;
  RecordedEntry recorded{};
};

struct Finding {
  // stuck: the file is sound, but instances stand still until somebody does something.
  enum class Severity : std::uint8_t { problem, note, stuck };
  Severity severity{};
  std::string check{};    // a word for programs: "orphan_rows"
  std::string message{};  // what was found
  std::string advice{};   // what to do
};

}  // namespace workflows
