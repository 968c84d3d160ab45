#pragma once
// What workflow code asks of its instance, and what it gets back. Bytes and numbers only: these values cross threads
// and languages.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <workflows/config.h>
#include <workflows/failure.h>
#include <workflows/journal.h>
#include <workflows/time.h>

namespace workflows {

// The number of a step in its run (Entry::step); what the host uses to speak of it.
using Ticket = std::uint32_t;

// Where the code asks, such as "shop.py:42": of `source` (host.h), which keeps it for good; null: not known.
using Source = const std::string*;

// The encoded value of a step or of `run`: JSON text.
struct Value {
  std::string json{};

  bool operator==(const Value&) const = default;
};

// The event that a wait took.
struct Received {
  std::string type{};
  std::string payload{};
  TimePoint at{};

  bool operator==(const Received&) const = default;
};

using Outcome = std::variant<Value, Failure, Received>;

// What a step body, or `run`, produced.
using BodyOutcome = std::variant<Value, Failure>;

struct DoRequest {
  std::string name{};
  StepConfig config{};
  std::vector<Ticket> depends{};             // recorded, so that the graph that ran can be drawn (S37)
  std::optional<RollbackConfig> rollback{};  // the step has a rollback function (S31)
  Source source = nullptr;
};

struct SleepRequest {
  std::string name{};
  std::variant<Duration, TimePoint> until;  // how long, or until when
  Source source = nullptr;
};

struct WaitRequest {
  std::string name{};
  std::string type{};
  std::optional<Duration> timeout = Duration(std::chrono::hours(24));  // absent: for ever; zero: poll
  Source source = nullptr;
};

struct ValueRequest {
  std::string name{};
  Value value{};
  Source source = nullptr;
};

// The answer to a request, at once. `resolved`: `outcome` is there, nothing else will come. `run`: run the body as
// attempt `attempt` now. `pending`: an Action (host.h) for this ticket will come.
struct Asked {
  enum class State : std::uint8_t { pending, run, resolved };
  Ticket ticket = 0;
  State state = State::pending;
  std::uint32_t attempt = 0;
  std::optional<Outcome> outcome{};
};

}  // namespace workflows
