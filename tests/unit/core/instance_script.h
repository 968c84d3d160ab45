#pragma once
// Workflow code as data: programs of branches that ask in parallel, a host that plays them on a core::Instance, and the
// world that outlives the process. Whoever plays decides what comes next: which body ends, how much is committed, when
// a timer fires or an event arrives, when the process dies. Whatever is decided, these must hold, and are checked here:
//
// - a branch is given its own results, and in every later life the same ones (S7, S13, S22, S23);
// - no body runs twice at a time, twice for one attempt, after its result is committed, or, with limit 0, twice at all
//   (S10, S43);
// - a step keeps its idempotency key (S14); one that left no record does where all branches begin at once and none has
//   a time limit of the code's own;
// - nothing wakes early (S20); each event is given out once (S22);
// - timers are disarmed only when armed, and none is left at the end;
// - code that asks the same again is never stuck.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/core/instance.h"
#include "tests/support/durable.h"
#include "tests/unit/core/instance_harness.h"

namespace workflows::core {

struct Ask {
  StepKind kind = StepKind::do_;
  std::string name;
  std::uint32_t failing = 0;     // do: attempts that fail
  std::uint32_t limit = 1'000;   // do: retries
  std::optional<Millis> time{};  // sleep: how long; wait: timeout, absent: for ever
};

inline Ask do_once(std::string name) { return {.name = std::move(name), .limit = 0}; }
inline Ask do_(std::string name, std::uint32_t failing = 0) { return {.name = std::move(name), .failing = failing}; }
inline Ask sleep(std::string name, Millis time) {
  return {.kind = StepKind::sleep, .name = std::move(name), .time = time};
}
inline Ask wait(std::string name, std::optional<Millis> time = std::nullopt) {
  return {.kind = StepKind::wait_for_event, .name = std::move(name), .time = time};
}

// What a branch awaits at a time. Several: a race; the branch goes on with the first and cancels the others. Impatient:
// its await may be cancelled from outside, by a time limit of the code's own, say; then it goes on without a result.
struct Turn {
  std::vector<Ask> asks;
  bool impatient = false;
};
inline Turn one(Ask ask) { return {{std::move(ask)}, false}; }
inline Turn race(Ask a, Ask b) { return {{std::move(a), std::move(b)}, false}; }
inline Turn impatient(Ask ask) { return {{std::move(ask)}, true}; }

struct Branch {
  std::vector<Turn> turns;
  std::optional<std::pair<std::size_t, std::size_t>> follows{};  // begins when this (branch, turn) has ended
};

struct Program {
  std::vector<Branch> branches;
  std::uint32_t events = 0;  // of type "t", arriving one by one
};

inline std::string describe(const Ask& ask) {
  const char* const kinds[] = {"", "do ", "sleep ", "wait "};
  std::string text = kinds[static_cast<int>(ask.kind)] + ask.name;
  if (ask.limit == 0) text += " (once)";
  if (ask.failing > 0) text += " (fails " + std::to_string(ask.failing) + ")";
  if (ask.time) text += " " + std::to_string(ask.time->count()) + " ms";
  return text;
}

inline std::string describe(const Program& program) {
  std::string text = std::to_string(program.events) + " events";
  for (const Branch& branch : program.branches) {
    text += "\n  branch";
    if (branch.follows) {
      text += " after " + std::to_string(branch.follows->first) + "." + std::to_string(branch.follows->second);
    }
    for (const Turn& turn : branch.turns) {
      text += turn.impatient ? " | impatient " : " | ";
      for (const Ask& ask : turn.asks) text += (&ask == &turn.asks.front() ? "" : " or ") + describe(ask);
    }
  }
  return text;
}

// Where in a program: branch, turn, ask.
using Place = std::tuple<std::size_t, std::size_t, std::size_t>;

inline std::string describe(const Place& place) {
  const auto& [branch, turn, ask] = place;
  return std::to_string(branch) + "." + std::to_string(turn) + "." + std::to_string(ask);
}

// What outlives the process, and what the test remembers about all lives.
struct World {
  std::vector<Entry> journal;
  std::vector<InboxEvent> inbox;
  TimePoint now = kStart;

  bool ended() const { return !journal.empty() && journal.back().kind == EntryKind::instance_completed; }

  std::map<std::pair<std::size_t, std::size_t>, std::string> seen;  // by (branch, turn)
  std::map<Ticket, Place> places;
  std::map<Place, std::string> keys;
  std::map<Place, TimePoint> asked;
  std::map<std::int64_t, Place> events;
  std::set<Place> ran_once;
};

inline std::string describe(const Entry& entry) {
  std::string text = std::string(to_string(entry.kind)) + " " + std::to_string(entry.step) + " " + entry.name + "#" +
                     std::to_string(entry.occurrence) + "." + std::to_string(entry.attempt) + " after " +
                     std::to_string(entry.after) + " need " + std::to_string(entry.need);
  if (!entry.value.empty()) text += " " + entry.value;
  if (entry.event != 0) text += " event " + std::to_string(entry.event);
  return text + "; ";
}

inline std::string describe(const World& world) {
  std::string text = std::to_string(world.inbox.size()) + " events; ";
  for (const Entry& entry : world.journal) text += describe(entry);
  for (const auto& [at, seen] : world.seen) {
    text += std::to_string(at.first) + "." + std::to_string(at.second) + " saw " + seen + "; ";
  }
  for (const auto& [place, key] : world.keys) text += describe(place) + " has " + key + "; ";
  return text;
}

struct Move {
  enum class Kind { end_body, linger, commit_one, commit_all, timer, event, give_up } kind;
  std::size_t which = 0;  // body, or branch
};

inline std::string describe(Move move) {
  const char* const kinds[] = {"end_body ", "linger ", "commit_one ", "commit_all ", "timer ", "event ", "give_up "};
  return kinds[static_cast<int>(move.kind)] + std::to_string(move.which);
}

// In which branches begin; empty: as written.
using Order = std::vector<std::size_t>;

class ScriptHost {
 public:
  ScriptHost(const Program& program, World& world, Order order = {})
      : program_(program),
        world_(world),
        instance_(kIdentity, Limits{}, world.journal, as_stored(world.inbox, world.journal)),
        branches_(program.branches.size()) {
    if (order.empty()) {
      for (std::size_t i = 0; i < branches_.size(); ++i) order.push_back(i);
    }
    for (const Entry& entry : world.journal) {
      if (entry.kind == EntryKind::abandoned) given_up_before_.push_back(entry.step);
      if (entry.kind == EntryKind::reclaimed) std::erase(given_up_before_, entry.step);
    }
    for (const std::size_t branch : order) {
      if (!program.branches[branch].follows) ready_.push_back(branch);
    }
    turn();
  }
  ScriptHost(const ScriptHost&) = delete;
  ScriptHost& operator=(const ScriptHost&) = delete;

  bool done() const { return done_; }
  bool stuck() const { return !done_ && moves().empty(); }
  Instance& instance() { return instance_; }

  // What can happen next.
  std::vector<Move> moves() const {
    std::vector<Move> moves;
    if (done_) return moves;
    for (std::size_t i = 0; i < bodies_.size(); ++i) moves.push_back({Move::Kind::end_body, i});
    if (!pending_.empty()) moves.push_back({Move::Kind::commit_all});
    if (pending_.size() > 1) moves.push_back({Move::Kind::commit_one});
    if (earliest_pause()) moves.push_back({Move::Kind::timer});
    if (world_.inbox.size() < program_.events) moves.push_back({Move::Kind::event});
    for (std::size_t i = 0; i < branches_.size(); ++i) {
      if (may_give_up(i)) moves.push_back({Move::Kind::give_up, i});
    }
    return moves;
  }

  void play(Move move) {
    switch (move.kind) {
      case Move::Kind::end_body:
        end_body(bodies_[move.which]);
        break;
      case Move::Kind::linger:
        instance_.record_start(bodies_[move.which].first, bodies_[move.which].second, world_.now);
        break;
      case Move::Kind::commit_one:
        commit_one();
        break;
      case Move::Kind::commit_all:
        while (!pending_.empty()) commit_one();
        break;
      case Move::Kind::timer:
        fire(*earliest_pause());
        break;
      case Move::Kind::event:
        send_event();
        break;
      case Move::Kind::give_up:
        give_up(move.which);
        break;
    }
    turn();
  }

  // Any timer, that of a body too.
  bool fire_any_timer(std::size_t choice) {
    if (timers_.empty()) return false;
    fire(std::next(timers_.begin(), static_cast<std::ptrdiff_t>(choice % timers_.size()))->first);
    turn();
    return true;
  }

  std::size_t open_bodies() const { return bodies_.size(); }

  // The host's last resort. What had been given up may be taken back now.
  bool release_stalled() {
    if (!instance_.release_stalled(world_.now)) return false;
    EXPECT_TRUE(is_impatient()) << "code that never cancels an await by itself is stuck";
    released_ = true;
    turn();
    return true;
  }

  // All that is left when the process dies now. What was given up, or taken back, without a trace on disk may come out
  // otherwise next time.
  World crash() const {
    World left = world_;
    for (const auto& [ticket, place] : places_) {
      const auto seen = left.seen.find({std::get<0>(place), std::get<1>(place)});
      if (seen == left.seen.end() || !turn_at(seen->first).impatient) continue;
      if ((seen->second == kGaveUp) != is_abandoned(ticket)) left.seen.erase(seen);
    }
    if (!keys_are_sure()) std::erase_if(left.keys, [&](const auto& key) { return !is_recorded(key.first); });
    return left;
  }

  // Lives that are in the same state go on in the same way.
  std::string state() const {
    std::string text = describe(world_);
    for (const auto& batch : pending_) {
      for (const Append& append : batch) text += "append " + describe(append.entry);
      text += "/ ";
    }
    for (const Body& body : bodies_) text += "body " + std::to_string(body.first) + "." + std::to_string(body.second);
    for (const auto& [ticket, at] : timers_) {
      text += " timer " + std::to_string(ticket) + " " + std::to_string((at - world_.now).count());
    }
    for (const State& state : branches_) {
      text += " branch " + std::to_string(state.turn) + (state.awaits ? " awaits" : "");
      for (const Ticket ticket : state.asked) text += " " + std::to_string(ticket);
    }
    return text;
  }

  // The code has ended; only the disk is waited for.
  bool finishing() const { return finishing_; }

 private:
  static constexpr const char* kGaveUp = "gave up";

  struct State {
    std::size_t turn = 0;
    bool awaits = false;
    std::vector<Ticket> asked;     // in this turn
    std::vector<Ticket> resolved;  // of these, in the order in which they were
    std::map<Ticket, Outcome> outcomes;
  };

  using Body = std::pair<Ticket, std::uint32_t>;

  const Turn& current(std::size_t branch) const { return program_.branches[branch].turns[branches_[branch].turn]; }
  const Turn& turn_at(const std::pair<std::size_t, std::size_t>& at) const {
    return program_.branches[at.first].turns[at.second];
  }
  // Time limits run out in the order in which they did before, and not at all where the code was given a result.
  bool may_give_up(std::size_t branch) const {
    const State& state = branches_[branch];
    if (!state.awaits || !current(branch).impatient) return false;
    const auto seen = world_.seen.find({branch, state.turn});
    if (seen != world_.seen.end() && seen->second != kGaveUp) return false;
    for (const Ticket before : given_up_before_) {
      if (before == state.asked.front()) return true;
      const auto& [other, turn, ask] = world_.places.at(before);
      if (program_.branches[other].turns[turn].impatient && branches_[other].turn <= turn) return false;
    }
    return true;
  }
  const Ask& ask_at(const Place& place) const {
    const auto& [branch, turn, ask] = place;
    return program_.branches[branch].turns[turn].asks[ask];
  }

  // ---- the code

  void turn() {
    while (carry_out() || !ready_.empty()) {
      for (; !ready_.empty(); ready_.pop_front()) run(ready_.front());
      instance_.settled();
    }
    if (!done_ && !finishing_ && std::ranges::all_of(branches_, [&](const State& state) {
          return state.turn == program_.branches[static_cast<std::size_t>(&state - branches_.data())].turns.size();
        })) {
      finishing_ = true;
      instance_.finish(Value{"\"done\""}, world_.now);
      carry_out();
      EXPECT_TRUE(timers_.empty()) << "a timer outlives the run";
    }
  }

  // Until the branch awaits something.
  void run(std::size_t branch) {
    State& state = branches_[branch];
    if (state.awaits) end_turn(branch);
    while (state.turn < program_.branches[branch].turns.size()) {
      begin_turn(branch);
      if (state.resolved.empty()) return;
      end_turn(branch);
    }
  }

  void begin_turn(std::size_t branch) {
    State& state = branches_[branch];
    state.awaits = true;
    state.asked.clear();
    state.resolved.clear();
    state.outcomes.clear();
    for (std::size_t i = 0; i < current(branch).asks.size(); ++i) ask({branch, state.turn, i});
  }

  void ask(const Place& place) {
    const Ask& what = ask_at(place);
    State& state = branches_[std::get<0>(place)];
    world_.asked.try_emplace(place, world_.now);
    auto asked = verb(what);
    ASSERT_TRUE(asked) << asked.error().message;
    ASSERT_FALSE(places_.contains(asked->ticket)) << "one number for two questions";
    places_[asked->ticket] = place;
    world_.places[asked->ticket] = place;
    state.asked.push_back(asked->ticket);
    const std::string key = instance_.idempotency_key(asked->ticket);
    EXPECT_EQ(world_.keys.try_emplace(place, key).first->second, key) << "S14 at " << describe(place);
    if (asked->state == Asked::State::run) begin_body(asked->ticket, asked->attempt);
    if (asked->state == Asked::State::resolved) {
      state.resolved.push_back(asked->ticket);
      state.outcomes[asked->ticket] = std::move(*asked->outcome);
    }
  }

  std::expected<Asked, Error> verb(const Ask& what) {
    switch (what.kind) {
      case StepKind::do_:
        return instance_.do_({what.name, {.retries = {.limit = what.limit, .delay = Millis(10)}}, {}}, world_.now);
      case StepKind::sleep:
        return instance_.sleep({what.name, *what.time}, world_.now);
      default:
        break;
    }
    return instance_.wait({what.name, "t", what.time ? std::optional<Duration>(*what.time) : std::nullopt}, world_.now);
  }

  void end_turn(std::size_t branch) {
    State& state = branches_[branch];
    std::string seen = kGaveUp;
    if (!state.resolved.empty()) {
      const Ticket winner = state.resolved.front();
      const Place place = places_.at(winner);
      const Outcome& outcome = state.outcomes.at(winner);
      check(place, outcome);
      seen = std::to_string(std::get<2>(place)) + " " + text(outcome);
    }
    for (const Ticket loser : state.asked) {
      if (!state.outcomes.contains(loser)) instance_.abandon(loser, world_.now);
    }
    auto& before = world_.seen.try_emplace({branch, state.turn}, seen).first->second;
    if (released_ && before == kGaveUp) before = seen;
    EXPECT_EQ(before, seen) << "in an earlier life branch " << branch << " was given something else in turn "
                            << state.turn;
    state.awaits = false;
    ++state.turn;
    for (std::size_t i = 0; i < branches_.size(); ++i) {
      if (program_.branches[i].follows == std::pair(branch, state.turn - 1)) ready_.push_back(i);
    }
  }

  void check(const Place& place, const Outcome& outcome) {
    const Ask& what = ask_at(place);
    if (const auto* value = std::get_if<Value>(&outcome)) {
      if (what.kind == StepKind::do_) {
        EXPECT_EQ(value->json, describe(place)) << "another step's result";
        EXPECT_LE(what.failing, what.limit);
      } else {
        EXPECT_EQ(what.kind, StepKind::sleep);
        EXPECT_GE(world_.now, world_.asked.at(place) + *what.time) << "S20";
      }
    } else if (const auto* received = std::get_if<Received>(&outcome)) {
      EXPECT_EQ(what.kind, StepKind::wait_for_event);
      const auto event = world_.events.try_emplace(std::stoll(received->payload), place).first;
      EXPECT_EQ(event->second, place) << "S22: one event, two waits";
    } else {
      check(place, std::get<Failure>(outcome));
    }
  }

  void check(const Place& place, const Failure& failed) {
    const Ask& what = ask_at(place);
    if (what.kind == StepKind::wait_for_event) {
      EXPECT_EQ(failed.type, "WaitTimeoutError");
      EXPECT_GE(world_.now, world_.asked.at(place) + *what.time) << "S20";
    } else if (failed.type == "Busy") {
      EXPECT_EQ(failed.message, describe(place)) << "another step's failure";
      EXPECT_GT(what.failing, what.limit);
    } else {
      EXPECT_EQ(what.limit, 0u) << failed.message;
    }
  }

  static std::string text(const Outcome& outcome) {
    if (const auto* value = std::get_if<Value>(&outcome)) return value->json;
    if (const auto* failed = std::get_if<Failure>(&outcome)) return "!" + failed->to_json();
    return std::get<Received>(outcome).payload;
  }

  void give_up(std::size_t branch) {
    if (!branches_[branch].awaits) return;
    end_turn(branch);
    ready_.push_back(branch);
  }

  // ---- the host

  void begin_body(Ticket ticket, std::uint32_t attempt) {
    const Place place = places_.at(ticket);
    EXPECT_TRUE(attempts_.emplace(ticket, attempt).second) << "an attempt runs twice";
    EXPECT_TRUE(std::ranges::none_of(bodies_, [&](const Body& body) { return body.first == ticket; }))
        << "S43: a body runs twice at a time";
    EXPECT_TRUE(std::ranges::none_of(world_.journal, [&](const Entry& entry) {
      return entry.step == ticket && (entry.kind == EntryKind::step_completed || entry.kind == EntryKind::step_failed);
    })) << "S43: a body runs after its result was committed";
    EXPECT_TRUE(ask_at(place).limit > 0 || world_.ran_once.insert(place).second) << "S10: at most once";
    bodies_.emplace_back(ticket, attempt);
  }

  void end_body(Body body) {
    std::erase(bodies_, body);
    const Place place = places_.at(body.first);
    BodyOutcome outcome = Value{describe(place)};
    if (body.second <= ask_at(place).failing) {
      Failure busy = failure("Busy");
      busy.message = describe(place);
      outcome = std::move(busy);
    }
    instance_.body_finished(body.first, body.second, std::move(outcome), world_.now);
  }

  // False if there are none. What is taken together is committed together.
  bool carry_out() {
    std::vector<Effect> effects;
    instance_.take_effects(effects);
    pending_.emplace_back();
    for (Effect& effect : effects) {
      std::visit([this](auto& e) { carry_out(e); }, effect);
    }
    if (pending_.back().empty()) pending_.pop_back();
    return !effects.empty();
  }

  void carry_out(Append& append) {
    EXPECT_NE(append.entry.kind, EntryKind::paused)
        << "S39: no program changes, yet one diverged: " << append.entry.value;
    pending_.back().push_back(std::move(append));
  }
  void carry_out(const RollBack&) { ADD_FAILURE() << "no program rolls back"; }
  void carry_out(const RunBody& run) { begin_body(run.ticket, run.attempt); }
  void carry_out(const CancelBody& cancel) {
    EXPECT_EQ(std::erase(bodies_, Body{cancel.ticket, cancel.attempt}), 1u) << "no such body runs";
  }
  void carry_out(const AttemptDue& due) { instance_.attempt_due(due.ticket, due.attempt, due.since, world_.now); }
  void carry_out(const ChooseDelay&) { ADD_FAILURE() << "no program chooses delays"; }
  void carry_out(const Arm& arm) { timers_[arm.ticket] = arm.at; }
  void carry_out(const Disarm& disarm) { EXPECT_EQ(timers_.erase(disarm.ticket), 1u) << "disarmed, but not armed"; }
  void carry_out(Resolve& resolve) {
    const std::size_t branch = std::get<0>(places_.at(resolve.ticket));
    State& state = branches_[branch];
    if (!state.awaits || std::ranges::count(state.asked, resolve.ticket) == 0) {
      return;  // its await was cancelled in this very turn
    }
    state.outcomes[resolve.ticket] = std::move(resolve.outcome);
    state.resolved.push_back(resolve.ticket);
    if (state.resolved.size() == 1) ready_.push_back(branch);
  }
  void carry_out(const LateResult&) { ADD_FAILURE() << "a late result"; }
  void carry_out(const Finished&) { done_ = true; }

  // ---- the runtime

  void commit_one() {
    const std::vector<Append> batch = std::move(pending_.front());
    pending_.pop_front();
    for (const Append& append : batch) world_.journal.push_back(append.entry);
    for (const auto& [entry, urgency] : batch) {
      if (urgency == Urgency::awaited) report_durable(instance_, entry, world_.now);
    }
  }

  std::optional<Ticket> earliest_pause() const {
    std::optional<Ticket> earliest;
    for (const auto& [ticket, at] : timers_) {
      const bool of_body = std::ranges::any_of(bodies_, [t = ticket](const Body& body) { return body.first == t; });
      if (!of_body && (!earliest || at < timers_.at(*earliest))) earliest = ticket;
    }
    return earliest;
  }

  void fire(Ticket ticket) {
    world_.now = std::max(world_.now, timers_.at(ticket));
    timers_.erase(ticket);
    instance_.timer(ticket, world_.now);
  }

  void send_event() {
    const auto id = static_cast<std::int64_t>(world_.inbox.size() + 1);
    world_.inbox.push_back({.id = id, .type = "t", .payload = std::to_string(id), .at = world_.now, .taken = false});
    instance_.event(world_.inbox.back(), world_.now);
  }

  bool is_impatient() const {
    return std::ranges::any_of(program_.branches, [](const Branch& branch) {
      return std::ranges::any_of(branch.turns, [](const Turn& turn) { return turn.impatient; });
    });
  }
  bool keys_are_sure() const {
    return !is_impatient() &&
           std::ranges::none_of(program_.branches, [](const Branch& branch) { return branch.follows.has_value(); });
  }

  bool is_recorded(const Place& place) const {
    return std::ranges::any_of(world_.journal, [&](const Entry& entry) {
      return entry.kind < EntryKind::instance_completed && world_.places.at(entry.step) == place;
    });
  }

  bool is_abandoned(Ticket ticket) const {
    bool abandoned = false;
    for (const Entry& entry : world_.journal) {
      if (entry.step != ticket) continue;
      abandoned = (abandoned || entry.kind == EntryKind::abandoned) && entry.kind != EntryKind::reclaimed;
    }
    return abandoned;
  }

  const Program& program_;
  World& world_;
  Instance instance_;
  std::vector<State> branches_;
  std::deque<std::size_t> ready_;
  std::map<Ticket, Place> places_;
  std::vector<Ticket> given_up_before_;
  std::set<Body> attempts_;  // that ran in this life
  std::vector<Body> bodies_;
  std::map<Ticket, TimePoint> timers_;
  std::deque<std::vector<Append>> pending_;
  bool finishing_ = false;
  bool done_ = false;
  bool released_ = false;
};

// The whole history again: the code comes to the same end without any body, wait or record, but what it had given up.
inline void check_replay(const Program& program, World world, const Order& order = {}) {
  ASSERT_TRUE(world.ended());
  world.journal.pop_back();
  ScriptHost host(program, world, order);
  for (auto moves = host.moves(); !host.finishing(); moves = host.moves()) {
    const auto give_up = std::ranges::find(moves, Move::Kind::give_up, &Move::kind);
    ASSERT_NE(give_up, moves.end()) << "the replay of the whole history does not come to its end";
    host.play(*give_up);
  }
}

// Walks through all paths of a tree whose branching is found on the way.
class Paths {
 public:
  std::size_t choose(std::size_t options) {
    if (at_ == path_.size()) path_.emplace_back(0, options);
    return path_[at_++].first;
  }
  // The path has been followed to where the last one ended or turned off.
  bool walked() const { return at_ == path_.size(); }
  // On to the next path; false when all were walked.
  bool next() {
    at_ = 0;
    while (!path_.empty() && path_.back().first + 1 == path_.back().second) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().first;
    return true;
  }

 private:
  std::vector<std::pair<std::size_t, std::size_t>> path_;  // choice, options
  std::size_t at_ = 0;
};

}  // namespace workflows::core
