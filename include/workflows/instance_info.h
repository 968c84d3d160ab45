#pragma once
// What a reader sees of an instance: values, as of one moment of the store.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <workflows/failure.h>
#include <workflows/journal.h>

namespace workflows {

// S26. Numbers are on disk: never change or reuse one.
enum class Status : std::uint8_t {
  queued = 0,
  running = 1,
  waiting = 2,
  waiting_for_pause = 3,
  paused = 4,
  rolling_back = 5,
  complete = 16,
  errored = 17,
  terminated = 18,
};
std::string_view to_string(Status status) noexcept;  // "queued", ..., "waitingForPause", ...
std::optional<Status> parse_status(std::string_view text) noexcept;
constexpr bool is_finished(Status status) noexcept { return status >= Status::complete; }
// The status that an entry of this kind brings, if it brings one. (`resumed` brings different ones.)
std::optional<Status> status_of(EntryKind kind) noexcept;

struct InstanceInfo {
  InstanceKey key = 0;
  std::string workflow{};
  std::string id{};
  std::uint32_t generation = 1;
  Status status{};
  TimePoint created{};
  TimePoint updated{};
  std::optional<TimePoint> wake{};     // waiting: when it goes on at the latest; absent: only an event can wake it
  std::string version{};               // of the workflow's code, as registered by its creator
  std::int64_t owner = 0;              // the engine that has it; 0: none
  std::optional<TimePoint> expires{};  // finished: when retention removes it; absent: never

  bool operator==(const InstanceInfo&) const = default;
};

struct InstanceStatus {
  Status status{};
  std::string output{};              // complete: the value that run returned, JSON
  std::optional<Failure> failure{};  // errored
  // After rollbacks, JSON: {"compensated": [step...], "failed": [...], "not_run": [...]}, each step as {"name",
  // "count"}, failed ones with "error".
  std::string rollback{};
  std::string reason{};  // paused by the engine: why. "diverged: ..." (S39)
};

// How long finished instances are kept (S30). Absent: for ever.
struct Retention {
  std::optional<Duration> success{};  // complete
  std::optional<Duration> failure{};  // errored, terminated

  bool operator==(const Retention&) const = default;
};

// Everything that is recorded of one generation, as of one moment.
struct InstanceHistory {
  InstanceInfo info;
  std::string params{};                  // JSON
  std::vector<RecordedEntry> entries{};  // in commit order
  std::vector<InboxEvent> inbox{};       // in order of arrival
};

struct AttemptInfo {
  std::uint32_t number = 0;
  std::optional<TimePoint> began{};
  std::optional<TimePoint> ended{};
  std::optional<Failure> failure{};
};

struct StepInfo {
  std::uint32_t number = 0;
  StepKind kind{};
  std::string name{};
  std::uint32_t occurrence = 0;
  // "pending", "running", "waiting", "retrying", "completed", "failed", "timed_out", "cancelled" (a wait)
  std::string status{};
  std::vector<AttemptInfo> attempts{};  // `do` only
  std::optional<TimePoint> began{};
  std::optional<TimePoint> ended{};
  std::optional<TimePoint> deadline{};   // of a sleep, a wait or the next attempt
  std::string event_type{};              // of a wait
  std::string config{};                  // JSON of what differs from the defaults
  std::vector<std::uint32_t> depends{};  // step numbers
  std::string result{};                  // JSON; [REDACTED] when the step is sensitive
  std::optional<Failure> failure{};
};

struct ListQuery {
  std::optional<std::string> workflow{};
  std::optional<Status> status{};
  std::optional<TimePoint> created_after{};
  std::string id_prefix{};
  std::uint32_t limit = 1000;
  InstanceKey after = 0;     // page: keys greater than this
  bool newest_only = false;  // without generations that a later one has replaced
};

}  // namespace workflows
