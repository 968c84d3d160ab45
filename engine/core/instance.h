#pragma once
// One instance of a workflow: a synchronous state machine. No I/O, no clock, no threads, no randomness; whoever owns it
// gives it inputs (what the code asks, what became durable, what time it is) and carries out its effects, in order.
//
// Not thread-safe: it lives on the thread of its host.
//
// Replay. The machine is born with the entries recorded so far. A step that the code asks for again is matched by
// (kind, name, occurrence) and never runs again (S7). Recorded outcomes are delivered in journal order, the k-th one
// only when the code has asked for every step that it had asked for when the k-th one was delivered first
// (Entry::after, Entry::need). So branches that run in parallel ask in the same order again, and same-named steps keep
// their occurrences, whatever the host's scheduler does. A step whose await the code cancelled stays unanswered, so
// that the code cancels it again; its outcome is given out only if the code, at the end of its history, waits for it
// after all.
//
// New work waits until the code has caught up: until it has asked for everything that is recorded and has got every
// recorded outcome. If it stands still before that, or ends, it does not do what its history says: it has diverged
// (S39). While the instance is to be paused (S27), or rolls back (S31), new work waits as well.

#include <cstdint>
#include <deque>
#include <expected>
#include <forward_list>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <workflows/error.h>
#include <workflows/host.h>
#include <workflows/step_request.h>

#include "engine/values/recycled.h"

namespace workflows::core {

struct Identity {
  std::string workflow;
  std::string id;
  std::uint32_t generation = 1;
  TimePoint created{};
  std::string version{};       // of the code that the instance was created with
  std::string code_version{};  // of the code that there is now
  TimePoint started{};         // when it came into memory
};

struct Limits {
  std::uint32_t steps = 10'000;         // S16
  std::size_t payload_bytes = 1 << 20;  // S15; 0: none
  Determinism determinism = Determinism::pause;
  bool replay_only = false;  // S41: nothing is written and no body runs; ends with what replay found
};

// When an entry must reach the disk.
enum class Urgency : std::uint8_t {
  eager,    // with the next commit; nobody waits for it
  awaited,  // with the next commit; the owner then calls `durable`
};

struct Append {
  Entry entry;
  Urgency urgency{};
};
struct RunBody {
  Ticket ticket = 0;
  std::uint32_t attempt = 0;
};
struct RollBack {
  Ticket ticket = 0;
  std::uint32_t attempt = 0;
  Ticket of = 0;  // the step that it compensates
};
struct CancelBody {
  Ticket ticket = 0;
  std::uint32_t attempt = 0;
};
// Its time is over if its body began `since`; to be answered by `attempt_due`.
struct AttemptDue {
  Ticket ticket = 0;
  std::uint32_t attempt = 0;
  TimePoint since{};
};
struct ChooseDelay {
  Ticket ticket = 0;
  std::uint32_t attempt = 0;
  Failure failure{};
};
struct Arm {
  Ticket ticket = 0;
  TimePoint at{};
};  // replaces an earlier timer of this ticket
struct Disarm {
  Ticket ticket = 0;
};
struct Resolve {
  Ticket ticket = 0;
  Outcome outcome;
};
struct LateResult {
  Ticket ticket = 0;
  std::uint32_t attempt = 0;
};  // of an attempt that was over; discarded, to be reported
struct Finished {
  EntryKind kind{};  // `paused`: it is to be forgotten, but has not ended
  std::string value;
  std::string detail{};
};  // the run's end is durable

using Effect = std::variant<Append, RunBody, RollBack, CancelBody, AttemptDue, ChooseDelay, Arm, Disarm, Resolve,
                            LateResult, Finished>;

class Instance {
 public:
  // `history` and `inbox` as loaded, in order.
  Instance(Identity identity, Limits limits, std::vector<Entry> history, std::vector<InboxEvent> inbox);
  Instance(Instance&&) = default;  // steps point into names_: no copies
  Instance& operator=(Instance&&) = default;

  // --- asked by workflow code. On an error nothing has changed and nothing is recorded.
  std::expected<Asked, Error> do_(DoRequest request, TimePoint now);
  // A declared step whose dependency failed: fails without running (S35).
  std::expected<Asked, Error> do_failed(DoRequest request, Failure failure, TimePoint now);
  std::expected<Asked, Error> sleep(SleepRequest request, TimePoint now);
  std::expected<Asked, Error> wait(WaitRequest request, TimePoint now);
  // The code no longer awaits this step (its await was cancelled). The step goes on and its outcome is recorded; but a
  // wait takes no event any more.
  void abandon(Ticket ticket, TimePoint now);
  // A value from outside: the recorded one, or this one, which is recorded from now on.
  std::expected<Value, Error> value(ValueRequest request, TimePoint now);
  // S40. True, and recorded, if the code has not passed this point in an earlier life; false stays false for the run.
  std::expected<bool, Error> patched(const std::string& id, Source source, TimePoint now);
  // `run` returned or raised. Open bodies are cancelled; after a failure steps are rolled back.
  void finish(BodyOutcome outcome, TimePoint now);

  // --- asked from outside
  // Bodies that run may finish, timers stand still, nothing new begins; then the instance is parked (S27).
  void pause(TimePoint now);
  // Takes `pause` back. If the instance has been parked meanwhile, it is to be loaded again: it has not listened
  // since.
  void resume(TimePoint now);
  // Ends the run and rolls back (S28).
  void roll_back(TimePoint now);
  // Somebody else has ended the instance: bodies are cancelled, nothing is recorded any more.
  void lose();

  // --- reported by the host
  void body_finished(Ticket ticket, std::uint32_t attempt, BodyOutcome outcome, TimePoint now);
  // Answer to AttemptDue: when the body began, if it has. The attempt fails, unless it has time left.
  void attempt_due(Ticket ticket, std::uint32_t attempt, std::optional<TimePoint> began, TimePoint now);
  // Answer to ChooseDelay (S11); a failure ends the step.
  void delay_chosen(Ticket ticket, std::uint32_t attempt, std::variant<Millis, Failure> delay, TimePoint now);
  // A sign of life of a running body.
  void heartbeat(Ticket ticket, std::uint32_t attempt, Value details, TimePoint now);
  // Every branch of the code stands still although it has not caught up: it does not ask for what it asked for before,
  // or does not cancel what it cancelled before. False if nothing follows from that.
  bool release_stalled(TimePoint now);

  // --- reported by the runtime
  // What `durable` will touch of this step.
  void prefetch(Ticket ticket) const;
  // The entry of this step that was awaited is on disk. It holds `recorded`: a result is with its entry until then, and
  // nowhere else.
  void durable(Ticket ticket, Value recorded, TimePoint now);
  // ... or the record that rollbacks begin is.
  void finish_durable(TimePoint now);
  // A body has run for a while: its start is worth a record of its own (S10). Without it, a process that dies takes the
  // attempt with it uncounted; a step that ends soon needs none.
  void record_start(Ticket ticket, std::uint32_t attempt, TimePoint now);
  void timer(Ticket ticket, TimePoint now);
  void event(InboxEvent event, TimePoint now);  // ignored when its id is known

  // What has to be carried out, in order, takes the place of `effects`, whose room is used again. Entries that are
  // taken together are to be committed together.
  void take_effects(std::vector<Effect>& effects);
  // Room for the effects to come, if the instance has none; true if it took it. What others have just used is in the
  // cache; an instance's own is not, where there are many.
  bool lend(std::vector<Effect>& room);
  // The code has gone on from all Resolves that were taken.
  void settled() { resolve_taken_ = false; }
  // Nodes of its graph are to be started. Until the code has asked for them it gets no outcome: with one it could ask
  // for something else first, in this life or in a later one (S7).
  void nodes_start() { ++starting_nodes_; }
  void nodes_started(TimePoint now);

  // `run` has ended; its end may still be on its way to disk.
  bool ended() const { return result_.has_value(); }
  // It is on its way to being forgotten, but has not ended.
  bool parked() const { return result_ && result_->kind == EntryKind::paused; }
  bool rolling_back() const { return rolling_back_; }
  // Recorded outcomes are still to be delivered: the code runs over what it did before (S38).
  bool replaying() const;
  // Nothing can happen before `wake` or an event: every open step sleeps, waits or rests between attempts, and at least
  // one does. `wake` is absent when only an event helps.
  bool waiting() const;
  std::optional<TimePoint> wake() const;

  const Identity& identity() const { return identity_; }
  const StepConfig& config(Ticket ticket) const;     // authoritative: as first recorded (S9)
  std::string idempotency_key(Ticket ticket) const;  // S14
  std::string_view step_name(Ticket ticket) const;
  std::uint32_t occurrence(Ticket ticket) const;
  std::optional<Value> last_heartbeat(Ticket ticket) const;  // of the attempt before
  // For the rollback of a step: why, and what it had returned.
  Failure rollback_reason() const;
  std::optional<Value> output(Ticket ticket) const;

 private:
  enum class Phase : std::uint8_t {
    unknown,   // not asked for, nothing recorded
    held,      // asked for; begins when the code has caught up
    starting,  // `do` with limit 0: the start is on its way to disk
    running,
    choosing,  // the host computes the retry delay
    resting,   // until the next attempt
    sleeping,
    waiting,
    withdrawn,  // a wait that the code gave up
    ending,     // the outcome is on its way to disk
    ended,      // the outcome is on disk, not yet delivered
    delivered,
    stopped,  // the run is over
  };

  // What a plain `do` does without.
  struct Extra {
    StepConfig config{};
    std::string event_type{};
    std::string detail{};
    std::optional<RollbackConfig> rollback{};
  };

  // From a step's end to its delivery. A result is empty here as long as its entry, which has it, is on its way.
  struct Ending : values::Recycled<Ending> {
    explicit Ending(Outcome&& its_outcome) : outcome(std::move(its_outcome)) {}
    Outcome outcome;
  };

  // Small, for there may be many: a finished step stays until the run ends.
  struct Step {
    const Extra& more() const { return extra ? *extra : kPlain; }

    StepKind kind{};
    Phase phase = Phase::unknown;
    bool asked = false;            // by the code, in this life of the instance
    bool forsaken = false;         // its await was cancelled in this life
    bool forsaken_before = false;  // ... in an earlier one
    bool forsaken_early = false;   // ... in any, before the outcome was written: the outcome has no place in order_
    bool recorded = false;         // some entry tells its identity
    bool start_recorded = false;   // of this attempt
    std::uint32_t occurrence = 0;
    std::uint32_t attempt = 0;
    std::uint32_t after = 0;
    std::uint32_t need = 0;
    TimePoint began{};
    std::optional<TimePoint> deadline{};
    const std::string* key = nullptr;  // in names_: one character for the kind, then the name
    Source source = nullptr;
    std::unique_ptr<const Extra> extra{};
    std::unique_ptr<Ending> ending{};  // while choosing: the failure that is to be retried
  };
  static const Extra kPlain;

  // An outcome in journal order. `unheard`: the code had cancelled its await by then; it counts, but nobody gets it.
  struct Delivery {
    Ticket ticket;
    bool unheard = false;
  };

  static constexpr Ticket kNoTicket = std::numeric_limits<Ticket>::max();

  struct Name {
    std::uint32_t asked = 0;         // times that the code asked for it
    std::vector<Ticket> recorded{};  // by occurrence - 1; kNoTicket where nothing is recorded
  };
  using Names = std::unordered_map<std::string, Name>;

  static std::string key_of(StepKind kind, const std::string& name) { return static_cast<char>(kind) + name; }

  // History
  void replay_of_instance(Entry& entry);
  void replay(Entry& entry, const std::unordered_map<std::int64_t, const InboxEvent*>& events);
  Source recorded_source(const std::string& source);
  Step& recorded_step(const Entry& entry);
  void note_asking_order();
  bool gate_is_open();

  // Asking
  std::expected<Ticket, Error> ask(StepKind kind, const std::string& name, Source source);
  void begin_do(Ticket ticket, TimePoint now);
  void begin_sleep(Ticket ticket, const SleepRequest& request, TimePoint now);
  void begin_wait(Ticket ticket, const WaitRequest& request, TimePoint now);
  Step& new_step(Ticket ticket);
  Ticket free_ticket();
  bool is_recorded(StepKind kind, const std::string& name) const;
  Asked answer(TimePoint now);
  void open_do(Ticket ticket, const DoRequest& request);
  std::span<const Ticket> unasked() const { return std::span(recorded_).subspan(first_unasked_); }
  void go_on(Ticket ticket, TimePoint now);

  // A step's life
  void start_attempt(Ticket ticket, std::uint32_t attempt, TimePoint now);
  void append_start(Ticket ticket, Urgency urgency);
  void record_question(Ticket ticket);
  void run_body(Ticket ticket, TimePoint now);
  void attempt_failed(Ticket ticket, Failure failure, TimePoint now);
  void rest(Ticket ticket, const Failure& failure, Millis delay, TimePoint now);
  void end(Ticket ticket, Entry&& entry, Outcome&& outcome);
  void end_do(Ticket ticket, BodyOutcome outcome, TimePoint now);
  void end_sleep(Ticket ticket, TimePoint now);
  void take_event(Ticket ticket, InboxEvent event, TimePoint now);
  bool take_waiting_event(Ticket ticket, TimePoint now);
  void time_out_wait(Ticket ticket, TimePoint now);
  void enter(Step& step, Phase phase);
  static bool is_armed(const Step& step);
  static TimePoint attempt_deadline(const Step& step, TimePoint sign_of_life);
  TimePoint last_sign_of_life(Ticket ticket) const;
  Failure timeout_failure(Ticket ticket, TimePoint now) const;
  void record_heartbeat(Ticket ticket, TimePoint now);
  void take_events(const std::string& type, TimePoint now);
  // Timers do not fire and events are not taken.
  bool stands_still() const { return pausing_ || rolling_back_ || roll_back_asked_ || limits_.replay_only; }
  void wait_until(Ticket ticket, Phase phase, std::optional<TimePoint> deadline);

  // New work that waits (instance_lifecycle.cpp)
  using Work = std::variant<DoRequest, Failure, SleepRequest, WaitRequest>;
  bool caught_up() const { return unasked_ == 0 && delivered_ >= order_.size(); }
  bool holds() const { return pausing_ || rolling_back_ || limits_.replay_only || !caught_up(); }
  void hold(Ticket ticket, Work work);
  void begin(Ticket ticket, Work work, TimePoint now);
  void go_ahead(TimePoint now);
  void withdraw(Ticket ticket);
  void wait_again(Ticket ticket, TimePoint now);

  // Pause, rollback, divergence (instance_lifecycle.cpp)
  void stop_everything();
  void end_run(EntryKind kind, std::string value, TimePoint now, std::string detail = {});
  void park_if_quiet(TimePoint now);
  void shift_timers(TimePoint since, TimePoint until);
  // The run is over, or only replayed: nothing more comes of what the code asked for.
  bool is_over(const Step& step) const {
    return limits_.replay_only || ((rolling_back_ || roll_back_asked_) && step.kind != StepKind::rollback);
  }
  bool is_interrupted(const Step& step) const { return is_over(step) || (pausing_ && step.phase != Phase::running); }
  void begin_rollback(std::optional<Failure> failure, TimePoint now);
  void record_that_it_started(Ticket ticket);
  void roll_back_next(TimePoint now);
  void end_rollback(TimePoint now);
  Ticket rollback_step(Ticket of);
  std::string rollback_report() const;
  bool can_be_rolled_back(Ticket ticket) const;
  bool is_to_be_cancelled() const;
  std::optional<Ticket> missing_step() const;
  void diverge(Ticket missing, TimePoint now);
  void end_replay(const BodyOutcome* outcome);
  void note_version(const std::vector<Entry>& history);

  // Delivery
  void deliver_in_order();
  void deliver_next();
  bool is_late(const Step& step) const;
  bool release_next(TimePoint now);
  bool reclaim(TimePoint now);
  void give_up_unasked();
  bool goes_on_elsewhere() const;

  Entry entry(EntryKind kind, Ticket ticket, TimePoint now) const;
  Entry identified_entry(EntryKind kind, Ticket ticket, TimePoint now) const;
  void append(Entry&& entry, Urgency urgency);

  // What every step needs comes first and together, the rest after it: with many instances, each line of memory that a
  // step touches counts.
  std::vector<Step> steps_;      // by ticket
  std::vector<Delivery> order_;  // outcomes in journal order
  std::size_t delivered_ = 0;    // of order_
  std::vector<Effect> effects_;
  Ticket free_ = 0;                      // all numbers below are taken
  Ticket newest_ = 0;                    // the highest number that was asked for
  std::uint32_t asked_ = 0;              // steps that the code asked for
  std::uint32_t asked_at_delivery_ = 0;  // ... when the last outcome was delivered
  std::uint32_t busy_ = 0;               // steps asked for that run, start, choose or end
  std::uint32_t unasked_ = 0;            // recorded steps that the code has not asked for in this life
  std::uint32_t endless_waits_ = 0;      // waits without a deadline
  // What the verb that is being called will answer.
  struct Asking {
    Ticket ticket = 0;
    bool run = false;
  };
  std::optional<Asking> asking_;
  // An outcome may be handed back by the verb that asks for it only if no other one is on its way to the code: branches
  // go on in the order in which their outcomes were delivered.
  bool resolve_queued_ = false;  // in effects_
  bool resolve_taken_ = false;   // and not yet settled
  std::uint32_t starting_nodes_ = 0;
  bool lets_go_on_ = false;  // an entry in effects_ will let the code go on
  bool pausing_ = false;
  bool rolling_back_ = false;
  bool roll_back_asked_ = false;
  bool cancels_ = false;  // code that cancels awaits goes on by itself: each of its questions is recorded at once
  Names names_;
  std::vector<std::uint32_t> gates_;  // gates_[k]: how many steps are asked for before outcome k of order_
  std::vector<Ticket> recorded_;      // steps of earlier lives, by `after`
  std::size_t first_unasked_ = 0;     // all of recorded_ before it are asked for
  std::set<Ticket> given_up_;         // ended, but not in order_ any more
  std::vector<Ticket> late_;          // ended, but not in order_, or unheard there; or withdrawn in an earlier life
  std::set<std::pair<TimePoint, Ticket>> deadlines_;  // of steps that rest, sleep or wait
  std::optional<Finished> result_;                    // set once `run` has ended

  std::unordered_map<std::string, std::deque<InboxEvent>> inbox_;  // untaken, by type
  std::unordered_map<std::string, std::deque<Ticket>> waits_;      // in the order asked, by type
  std::int64_t last_event_ = 0;
  std::vector<std::pair<Ticket, Work>> held_;  // in the order asked
  TimePoint pause_began_{};
  std::unordered_map<std::string, bool> patches_;  // as answered in this life
  struct Beat {
    std::string details{};
    TimePoint last{};
    TimePoint recorded{};
    std::string before{};  // what the attempt before said last
  };
  std::unordered_map<Ticket, Beat> beats_;

  // Rollback: the steps that are left, the last one first; the one that is being compensated.
  std::vector<Ticket> to_roll_back_;
  std::optional<Ticket> rollback_of_;
  std::optional<Failure> failure_;  // of `run`; absent when the instance is terminated
  bool chain_began_ = false;
  struct Compensated {
    Ticket of;
    Ticket ticket;
  };
  std::vector<Compensated> compensated_;

  std::optional<Finished> recorded_end_;             // the run's end, if it is in the history
  std::forward_list<std::string> recorded_sources_;  // of recorded steps; a deque would allocate even when empty
  bool restarted_ = false;                           // the history is what a restart has kept
  Identity identity_;
  Limits limits_;
};

}  // namespace workflows::core
