#pragma once
// Plays everything that surrounds one core::Instance: workflow code, host, journal, inbox and clock, all by hand.
//
// Steps and effects are written as text, "charge#2.3" being attempt 3 of the second `charge`:
//
//   Life run;
//   EXPECT_EQ(run.do_("charge"), "run charge#1.1");
//   run.expect({"arm charge#1 +600000"});
//   run.body("charge#1.1", Value{"42"});
//   run.expect({"disarm charge#1", "append step_completed charge#1.1 42 awaited"});
//   run.commit();
//   run.expect({"resolve charge#1 42"});
//   Life second = run.crash();
//
// A Life that ends with effects which no `expect` named fails its test. Times are milliseconds since kStart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/instance.h"
#include "tests/support/durable.h"

namespace workflows::core {

inline constexpr TimePoint kStart{std::chrono::days(20'000)};
inline const Identity kIdentity{.workflow = "shop", .id = "order-17", .generation = 1, .created = kStart};

inline Failure failure(std::string type, bool retryable = true) {
  Failure made;
  made.type = std::move(type);
  made.message = "for the test";
  made.retryable = retryable;
  return made;
}

// The events that an instance finds when it is loaded with this history.
inline std::vector<InboxEvent> as_stored(std::vector<InboxEvent> inbox, const std::vector<Entry>& history) {
  for (InboxEvent& event : inbox) {
    event.taken = std::ranges::any_of(
        history, [&](const Entry& e) { return e.kind == EntryKind::wait_taken && e.event == event.id; });
  }
  return inbox;
}

class Life {
 public:
  explicit Life(Limits limits = {}) : Life(limits, {}, {}, kStart) {}
  // One that finds this history.
  explicit Life(std::vector<Entry> history) : Life({}, std::move(history), {}, kStart) {}
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  ~Life() {
    collect();
    for (const std::string& effect : effects_) ADD_FAILURE() << "nobody expected: " << effect;
  }

  // A second life that finds the first `kept` entries of this one. What this life still had in hand is lost.
  Life crash(std::optional<std::size_t> kept = std::nullopt) {
    collect();
    effects_.clear();
    return after(kept.value_or(journal_.size()));
  }
  // The same; this life goes on.
  Life after(std::size_t kept) const {
    std::vector<Entry> history(journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(kept));
    return Life(limits_, std::move(history), inbox_, now_);
  }

  // ---- what the code asks. The answer: "run a#1.1", "pending a#1", "resolved a#1 42" or "refused <code>".
  std::string do_(const std::string& name, StepConfig config = {}, std::vector<Ticket> depends = {}) {
    return answer(instance_.do_({name, config, std::move(depends)}, now_));
  }
  std::string do_failed(const std::string& name, Failure cause) {
    return answer(instance_.do_failed({name, {}, {}}, std::move(cause), now_));
  }
  std::string sleep(const std::string& name, Millis duration) {
    return answer(instance_.sleep({name, duration}, now_));
  }
  std::string sleep_until(const std::string& name, TimePoint until) {
    return answer(instance_.sleep({name, until}, now_));
  }
  std::string wait(const std::string& name, const std::string& type,
                   std::optional<Duration> timeout = std::chrono::hours(24)) {
    return answer(instance_.wait({name, type, timeout}, now_));
  }
  // A step that can be rolled back.
  std::string do_undoable(const std::string& name, RollbackConfig rollback = {}, StepConfig config = {}) {
    return answer(instance_.do_({.name = name, .config = config, .rollback = std::move(rollback)}, now_));
  }
  std::string value(const std::string& name, const std::string& now) {
    return instance_.value({name, {now}}, now_).value().json;
  }
  bool patched(const std::string& id) { return instance_.patched(id, nullptr, now_).value(); }
  void abandon(const std::string& step) { instance_.abandon(ticket(step), now_); }
  void finish(BodyOutcome outcome) { instance_.finish(std::move(outcome), now_); }

  // ---- what the host reports
  void body(const std::string& attempt, BodyOutcome outcome) {
    instance_.body_finished(ticket(attempt), number(attempt), std::move(outcome), now_);
  }
  // When its body began; absent: it has not.
  void attempt_due(const std::string& attempt, std::optional<TimePoint> began) {
    instance_.attempt_due(ticket(attempt), number(attempt), began, now_);
  }
  // The timer of an attempt goes off whose body began when it was told to.
  void time_out(const std::string& attempt, TimePoint began) {
    timer(attempt);
    attempt_due(attempt, began);
  }
  void delay(const std::string& attempt, std::variant<Millis, Failure> chosen) {
    instance_.delay_chosen(ticket(attempt), number(attempt), std::move(chosen), now_);
  }
  void linger(const std::string& attempt) { instance_.record_start(ticket(attempt), number(attempt), now_); }
  bool release_stalled() { return instance_.release_stalled(now_); }
  void settled() { instance_.settled(); }
  void heartbeat(const std::string& attempt, const std::string& details) {
    instance_.heartbeat(ticket(attempt), number(attempt), {details}, now_);
  }
  // Of the rollback of a step, named as that step is.
  void undone(const std::string& attempt, BodyOutcome outcome = Value{"null"}) {
    instance_.body_finished(undo_ticket(attempt), number(attempt), std::move(outcome), now_);
  }
  void undo_due(const std::string& attempt, TimePoint began) {
    instance_.attempt_due(undo_ticket(attempt), number(attempt), began, now_);
  }
  void undo_timer(const std::string& step) { instance_.timer(undo_ticket(step), now_); }

  // ---- what is asked from outside
  void pause() { instance_.pause(now_); }
  void resume() { instance_.resume(now_); }
  void roll_back() { instance_.roll_back(now_); }

  // ---- what the runtime reports
  // All entries are on disk.
  void commit() {
    collect();
    for (const Entry& entry : std::exchange(awaited_, {})) report_durable(instance_, entry, now_);
  }
  // The store did not take what is on its way.
  void refuse() {
    collect();
    awaited_.clear();
  }
  void timer(const std::string& step) { instance_.timer(ticket(step), now_); }
  // An event that is on disk; the second time that its id comes, it is the same event again.
  void event(std::int64_t id, const std::string& type, const std::string& payload) {
    event_while_down(id, type, payload);
    instance_.event(inbox_.back(), now_);
    if (std::ranges::count(inbox_, id, &InboxEvent::id) > 1) inbox_.pop_back();
  }
  void event_while_down(std::int64_t id, const std::string& type, const std::string& payload) {
    inbox_.push_back({.id = id, .type = type, .payload = payload, .at = now_, .taken = false});
  }
  void advance(Millis by) { now_ += by; }

  // ---- what is seen
  // All effects since the last call, exactly these, in this order.
  void expect(const std::vector<std::string>& effects,
              const std::source_location& where = std::source_location::current()) {
    const testing::ScopedTrace trace(where.file_name(), static_cast<int>(where.line()), "expected here");
    collect();
    EXPECT_THAT(std::exchange(effects_, {}), testing::ElementsAreArray(effects));
  }
  const std::vector<Entry>& journal() const { return journal_; }
  const Entry& last_entry() {
    collect();
    return journal_.back();
  }
  Instance& instance() { return instance_; }
  const std::optional<Error>& error() const { return error_; }
  TimePoint now() const { return now_; }

  Ticket ticket(std::string_view step) const {
    const auto found = tickets_.find(std::string(step.substr(0, step.find('.'))));
    if (found == tickets_.end()) throw std::out_of_range("the code has not asked for " + std::string(step));
    return found->second;
  }

  std::string describe(const Effect& effect) const {
    return std::visit([this](const auto& e) { return this->text(e); }, effect);
  }

 private:
  Life(Limits limits, std::vector<Entry> history, std::vector<InboxEvent> inbox, TimePoint now)
      : limits_(limits),
        journal_(std::move(history)),
        inbox_(std::move(inbox)),
        now_(now),
        instance_(kIdentity, limits, journal_, as_stored(inbox_, journal_)) {}

  Ticket undo_ticket(std::string_view attempt) {
    collect();
    return undos_.at(std::string(attempt.substr(0, attempt.find('.'))));
  }
  static std::uint32_t number(std::string_view attempt) {
    return static_cast<std::uint32_t>(std::stoul(std::string(attempt.substr(attempt.find('.') + 1))));
  }

  std::string answer(std::expected<Asked, Error> asked) {
    if (!asked) {
      error_ = asked.error();
      return "refused " + std::string(to_string(asked.error().code));
    }
    const std::string step = label(asked->ticket);
    tickets_[step] = asked->ticket;
    switch (asked->state) {
      case Asked::State::run:
        return "run " + step + "." + std::to_string(asked->attempt);
      case Asked::State::resolved:
        return "resolved " + step + " " + text(*asked->outcome);
      case Asked::State::pending:
        break;
    }
    return "pending " + step;
  }

  void collect() {
    std::vector<Effect> effects;
    instance_.take_effects(effects);
    for (const Effect& effect : effects) {
      effects_.push_back(describe(effect));
      if (const auto* undo = std::get_if<RollBack>(&effect)) undos_[label(undo->ticket)] = undo->ticket;
      if (const auto* append = std::get_if<Append>(&effect)) note(*append);
    }
  }

  void note(const Append& append) {
    journal_.push_back(append.entry);
    if (append.urgency == Urgency::awaited) awaited_.push_back(append.entry);
  }

  std::string label(Ticket ticket) const {
    return std::string(instance_.step_name(ticket)) + "#" + std::to_string(instance_.occurrence(ticket));
  }
  std::string label(Ticket ticket, std::uint32_t attempt) const {
    return label(ticket) + (attempt > 0 ? "." + std::to_string(attempt) : "");
  }
  static std::string text(TimePoint at) {
    const auto ms = (at - kStart).count();
    return (ms < 0 ? "" : "+") + std::to_string(ms);
  }
  static std::string text(const Outcome& outcome) {
    if (const auto* value = std::get_if<Value>(&outcome)) return value->json;
    if (const auto* failed = std::get_if<Failure>(&outcome)) return "!" + failed->type;
    const auto& received = std::get<Received>(outcome);
    return "<" + received.type + " " + received.payload + ">";
  }
  static std::string text(EntryKind kind, const std::string& value) {
    const bool failed = kind == EntryKind::attempt_failed || kind == EntryKind::step_failed ||
                        kind == EntryKind::wait_timed_out || kind == EntryKind::instance_errored ||
                        (kind == EntryKind::rollback_started && !value.empty());
    return failed ? "!" + Failure::from_json(value).type : value;
  }
  std::string text(const Append& append) const {
    const Entry& entry = append.entry;
    std::string line = "append " + std::string(to_string(entry.kind));
    if (entry.kind < EntryKind::rollback_started) line += " " + label(entry.step, entry.attempt);
    if (!entry.value.empty()) line += " " + text(entry.kind, entry.value);
    if (entry.event != 0) line += " event " + std::to_string(entry.event);
    if (entry.deadline) line += " until " + text(*entry.deadline);
    return line + (append.urgency == Urgency::awaited ? " awaited" : " eager");
  }
  std::string text(const RunBody& run) const { return "run " + label(run.ticket, run.attempt); }
  std::string text(const RollBack& rollback) const {
    const auto output = instance_.output(rollback.of);
    return "roll back " + label(rollback.ticket, rollback.attempt) + " !" + instance_.rollback_reason().type +
           (output ? " " + output->json : "");
  }
  std::string text(const CancelBody& cancel) const { return "cancel " + label(cancel.ticket, cancel.attempt); }
  std::string text(const AttemptDue& due) const {
    return "due " + label(due.ticket, due.attempt) + " since " + text(due.since);
  }
  std::string text(const ChooseDelay& choose) const {
    return "choose " + label(choose.ticket, choose.attempt) + " !" + choose.failure.type;
  }
  std::string text(const Arm& arm) const { return "arm " + label(arm.ticket) + " " + text(arm.at); }
  std::string text(const Disarm& disarm) const { return "disarm " + label(disarm.ticket); }
  std::string text(const Resolve& resolve) const {
    return "resolve " + label(resolve.ticket) + " " + text(resolve.outcome);
  }
  std::string text(const LateResult& late) const { return "late " + label(late.ticket, late.attempt); }
  static std::string text(const Finished& finished) {
    return "finished " + std::string(to_string(finished.kind)) + " " + text(finished.kind, finished.value);
  }

  Limits limits_;
  std::vector<Entry> journal_;
  std::vector<InboxEvent> inbox_;
  TimePoint now_;
  Instance instance_;
  std::vector<std::string> effects_;  // not yet expected
  std::vector<Entry> awaited_;
  std::map<std::string, Ticket> tickets_;
  std::map<std::string, Ticket> undos_;
  std::optional<Error> error_;
};

}  // namespace workflows::core
