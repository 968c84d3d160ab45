#pragma once
// One instance of a workflow: a synchronous state machine. No I/O, no clock, no threads, no randomness; whoever owns it
// gives it inputs (what the code asks, what became durable, what time it is) and carries out its effects, in order.
//
// Not thread-safe: it lives on the thread of its host.
//
// Replay. The machine is born with the entries recorded so far. A step that the code asks for again is matched by
// (kind, name, occurrence) and never runs again (S7). Recorded outcomes are delivered in journal order, the k-th one only
// when the code has asked for every step that it had asked for when the k-th one was delivered first (Entry::after,
// Entry::need). So branches that run in parallel ask in the same order again, and same-named steps keep their
// occurrences, whatever the host's scheduler does. Outcomes that nobody awaited any more (Entry::abandoned) come last.

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include <workflows/error.h>
#include <workflows/step_request.h>

namespace workflows::core {

struct Identity {
  std::string workflow;
  std::string id;
  std::uint32_t generation = 1;
  TimePoint created{};
};

struct Limits {
  std::uint32_t steps = 10'000;             // S16
  std::size_t payload_bytes = 1 << 20;      // S15; 0: none
};

// When an entry must reach the disk.
enum class Urgency : std::uint8_t {
  lazy,     // with whatever is committed next, or after a linger; dropped if an entry of the same step overtakes it
  eager,    // with the next commit; nobody waits for it
  awaited,  // with the next commit; the owner then calls `durable(ticket)`
};

struct Append { Entry entry; Urgency urgency; };
struct RunBody { Ticket ticket; std::uint32_t attempt; };
struct CancelBody { Ticket ticket; std::uint32_t attempt; };
struct ChooseDelay { Ticket ticket; std::uint32_t attempt; Failure failure; };
struct Arm { Ticket ticket; TimePoint at; };     // replaces an earlier timer of this ticket
struct Disarm { Ticket ticket; };
struct Resolve { Ticket ticket; Outcome outcome; };
struct LateResult { Ticket ticket; std::uint32_t attempt; };  // of an attempt that was over; discarded, to be reported
struct Finished { EntryKind kind; std::string value; };  // the run's end is durable

using Effect = std::variant<Append, RunBody, CancelBody, ChooseDelay, Arm, Disarm, Resolve, LateResult, Finished>;

class Instance {
 public:
  // `history` and `inbox` as loaded, in order.
  Instance(Identity identity, Limits limits, std::vector<Entry> history, std::vector<InboxEvent> inbox);

  // --- asked by workflow code. On an error nothing has changed and nothing is recorded.
  std::expected<Asked, Error> do_(DoRequest request, TimePoint now);
  // A declared step whose dependency failed: fails without running (S35).
  std::expected<Asked, Error> do_failed(DoRequest request, Failure failure, TimePoint now);
  std::expected<Asked, Error> sleep(SleepRequest request, TimePoint now);
  std::expected<Asked, Error> wait(WaitRequest request, TimePoint now);
  // The code no longer awaits this step (its await was cancelled). The step goes on and its outcome is recorded.
  void abandon(Ticket ticket);
  // `run` returned or raised. Open bodies are cancelled; nothing is accepted afterwards.
  void finish(BodyOutcome outcome, TimePoint now);

  // --- reported by the host
  void body_finished(Ticket ticket, std::uint32_t attempt, BodyOutcome outcome, TimePoint now);
  // Answer to ChooseDelay (S11); a failure ends the step.
  void delay_chosen(Ticket ticket, std::uint32_t attempt, std::variant<Millis, Failure> delay, TimePoint now);
  // Every branch of the code stands still, yet recorded outcomes are held back because the code did not ask for what it
  // asked for before. Delivers the first that was asked for; false if there is none.
  bool release_stalled();

  // --- reported by the runtime
  void durable(Ticket ticket);
  void finish_durable();
  void timer(Ticket ticket, TimePoint now);
  void event(InboxEvent event, TimePoint now);  // ignored when its id is known

  // Takes what has to be carried out, in order.
  std::vector<Effect> take_effects();

  // Recorded outcomes are still to be delivered: the code runs over what it did before (S38).
  bool replaying() const;
  // Nothing can happen before `wake` or an event: every open step sleeps, waits or rests between attempts, and at least
  // one does. `wake` is absent when only an event helps.
  bool waiting() const;
  std::optional<TimePoint> wake() const;

  const Identity& identity() const { return identity_; }
  const StepConfig& config(Ticket ticket) const;   // authoritative: as first recorded (S9)
  std::string idempotency_key(Ticket ticket) const;  // S14
  const std::string& step_name(Ticket ticket) const;
  std::uint32_t occurrence(Ticket ticket) const;
