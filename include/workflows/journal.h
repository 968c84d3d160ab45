#pragma once
// What an instance records: entries, in commit order. The journal is append-only; this is its vocabulary, shared by
// the core (which writes and replays entries), the stores (which keep them) and readers (inspect, export).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <workflows/time.h>

namespace workflows {

// One instance of one generation in one store; never reused.
using InstanceKey = std::int64_t;

// Numbers are on disk: never change or reuse one. 4 is kept for calls of other workflows.
enum class StepKind : std::uint8_t {
  do_ = 1,
  sleep = 2,
  wait_for_event = 3,
  value = 5,     // what the code got from outside of it: the time, a random number, the winner of a race, a patch
  rollback = 6,  // compensates the `do` of the same name and occurrence; asked for by the engine
};
std::string_view to_string(StepKind kind) noexcept;  // "do", "sleep", "wait_for_event", "value", "rollback"
std::optional<StepKind> parse_step_kind(std::string_view text) noexcept;

// Numbers are on disk: never change or reuse one.
enum class EntryKind : std::uint8_t {
  attempt_started = 1,  // a body began; lazy, replaced by what follows if that comes soon
  attempt_failed = 2,   // value: failure; `deadline`: the next attempt's time
  step_completed = 3,   // value: result
  step_failed = 4,      // value: failure; no attempt follows
  sleep_started = 5,    // `deadline`
  sleep_finished = 6,
  wait_started = 7,       // `event_type`, `deadline` (absent: for ever)
  wait_taken = 8,         // `event`: the inbox row whose event it took
  wait_timed_out = 9,     // value: failure
  abandoned = 10,         // the code's await of this step was cancelled; it goes on, but a wait takes no event any more
  reclaimed = 11,         // an outcome that nobody had awaited any more was delivered to the code after all
  heartbeat = 12,         // value: details that a running body gave
  rollback_started = 24,  // value: the failure of `run`; absent when terminated. Sets status rollingBack
  paused = 25,            // value: absent, or why (InstanceStatus::reason). Sets status paused
  resumed = 26,           // `began`: since when timers had stood still
  version = 27,           // value: the version of the code that runs from here on
  restarted = 28,         // first of a generation; value: {"from_step","count","kind","kept":[...]} or absent
  instance_completed = 32,   // value: output
  instance_errored = 33,     // value: failure
  instance_terminated = 34,  // (lifecycle)
};
std::string_view to_string(EntryKind kind) noexcept;

struct Entry {
  EntryKind kind{};
  // Which step: its number in this run, in the order in which steps were asked for. Entries of an instance as a whole
  // (kinds from 24 on) leave everything down to `need` zero.
  std::uint32_t step = 0;
  // Identity (S7), on every entry of a `do` and on the opening entry of a sleep or wait. Kinds from 24 on have none.
  StepKind step_kind{};
  std::uint32_t occurrence = 0;  // 1-based
  std::string name{};
  // Where in the run the step was asked for: `after` outcomes had been delivered to the code by then, and `need` steps
  // had been asked for when the last of them was. Replay delivers outcomes in journal order under exactly these
  // conditions, so that parallel branches ask in the same order again. On every entry that carries an identity.
  std::uint32_t after = 0;
  std::uint32_t need = 0;

  std::uint32_t attempt = 0;         // 1-based; `do` only
  TimePoint at{};                    // when this was recorded
  std::optional<TimePoint> began{};  // when the attempt, sleep or wait that this entry ends began
  std::optional<TimePoint> deadline{};
  std::int64_t event = 0;    // wait_taken: id of the inbox event
  std::string event_type{};  // wait_started
  // JSON object of what is rarely there: "config" (StepConfig::to_json), "depends" (step numbers, S37), "rollback"
  // (StepConfig and "on_failure" of a step that can be compensated; on the end: the report of S32). May be empty.
  std::string detail{};
  std::string source{};  // where in the source the step was asked for, such as "shop.py:42"; with the identity
  std::string value{};   // result, failure (JSON), output; see the kinds

  bool operator==(const Entry&) const = default;
};

// An event that arrived for an instance (S22). Kept in order of `id` until the instance is deleted.
struct InboxEvent {
  std::int64_t id = 0;
  std::string type{};
  std::string payload{};
  TimePoint at{};
  bool taken = false;

  bool operator==(const InboxEvent&) const = default;
};

// An entry and its place in the order of all commits.
struct RecordedEntry {
  std::int64_t cursor = 0;
  Entry entry;

  bool operator==(const RecordedEntry&) const = default;
};

}  // namespace workflows
