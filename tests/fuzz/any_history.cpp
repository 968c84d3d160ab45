#include "tests/fuzz/any_history.h"

#include <workflows/history.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/instance.h"
#include "engine/core/report.h"
#include "engine/core/restart.h"
#include "tests/fuzz/promise.h"
#include "tests/support/durable.h"

namespace workflows::fuzz {
namespace {

using namespace core;

constexpr TimePoint kStart{std::chrono::days(20'000)};
constexpr std::size_t kMostEntries = 64;

constexpr std::array kNames = {"a", "b", "c", ""};
constexpr std::array kDetails = {
    "",
    "",
    "",
    R"({"config":{"retries":{"limit":2}},"rollback":{"on_failure":"continue"}})",
    R"({"rollback":{"on_failure":"stop"},"depends":[0]})",
    R"({"config":{"sensitive":"output"},"depends":[1,2]})",
    R"({"config":{"retries":7}})",
    R"({"config":[]})",
    R"({"rollback":1})",
    R"({"rollback":{}})",
    R"({"depends":[-1]})",
    R"({"depends":"all"})",
    "[]",
    "{",
};
constexpr std::array kValues = {"", "1", R"({"type":"E","message":"m"})", "true", "{", "[[", "\xFF"};

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  bool left() const { return !bytes_.empty(); }
  std::uint8_t byte() {
    if (!left()) return 0;
    const auto first = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return first;
  }
  std::size_t below(std::size_t limit) { return byte() % limit; }
  bool chance() { return below(8) == 0; }
  // Nearly always one that may be right.
  std::uint32_t count() {
    const auto first = byte();
    if (first < 0xF0) return first % 8;
    return first == 0xFF ? UINT32_MAX : 1u << (first % 8 + 24);
  }
  const char* one_of(const auto& texts) { return texts[below(texts.size())]; }
  TimePoint time() { return kStart + Millis(count()); }

 private:
  std::string_view bytes_;
};

EntryKind kind(Bytes& bytes) {
  for (;;) {
    const auto any = static_cast<EntryKind>(bytes.below(35));
    if (to_string(any) != "unknown") return any;
    if (!bytes.left()) return EntryKind::step_completed;
  }
}

StepKind step_kind(Bytes& bytes) {
  constexpr std::array kKinds = {StepKind::do_,   StepKind::do_,   StepKind::sleep,   StepKind::wait_for_event,
                                 StepKind::value, StepKind::value, StepKind::rollback};
  return kKinds[bytes.below(kKinds.size())];
}

Entry entry(Bytes& bytes) {
  Entry made;
  made.kind = kind(bytes);
  made.at = bytes.time();
  made.value = bytes.one_of(kValues);
  if (made.kind >= EntryKind::rollback_started) return made;
  made.step = bytes.count();
  made.step_kind = step_kind(bytes);
  made.name = bytes.one_of(kNames);
  made.occurrence = bytes.count();
  made.after = bytes.count();
  made.need = bytes.count();
  made.attempt = bytes.count();
  if (bytes.chance()) made.began = bytes.time();
  if (bytes.chance()) made.deadline = bytes.time();
  made.event = bytes.count();
  if (bytes.chance()) made.event_type = "paid";
  made.detail = bytes.one_of(kDetails);
  return made;
}

InstanceHistory history(Bytes& bytes) {
  InstanceHistory made;
  made.info = {.key = 1, .workflow = "shop", .id = "order", .generation = 1, .status = Status::running};
  made.params = "null";
  for (auto count = bytes.below(kMostEntries); count > 0; --count)
    made.entries.push_back({static_cast<std::int64_t>(made.entries.size()) + 1, entry(bytes)});
  for (auto count = bytes.below(4); count > 0; --count)
    made.inbox.push_back({.id = static_cast<std::int64_t>(made.inbox.size()) + 1,
                          .type = "paid",
                          .payload = "1",
                          .at = kStart,
                          .taken = bytes.chance()});
  return made;
}

// Workflow code that does anything, under a host that keeps the rules.
class Play {
 public:
  Play(Instance& instance, Bytes& bytes) : instance_(instance), bytes_(bytes) {}

  void play() {
    collect();
    while (bytes_.left() && !instance_.ended()) {
      if (!code_ended_ && !instance_.rolling_back()) ask();
      report();
      collect();
    }
    for (int round = 0; round < 100 && !finished_; ++round) {
      if (!instance_.ended() && !code_ended_ && !instance_.release_stalled(now_)) finish();
      commit();
      collect();
      if (bodies_.empty() && timers_.empty() && awaited_.empty() && round > 10) return;
      end_body();
      fire();
      collect();
    }
  }

 private:
  struct Body {
    Ticket ticket;
    std::uint32_t attempt;
  };

  void ask() {
    const std::string name = kNames[bytes_.below(3)];
    switch (bytes_.below(8)) {
      case 0:
      case 1:
        return note(instance_.do_({.name = name, .config = {}, .depends = {}, .rollback = rollback()}, now_));
      case 2:
        return note(instance_.sleep({name, Millis(bytes_.byte())}, now_));
      case 3:
        return note(instance_.wait({name, "paid", std::chrono::hours(1)}, now_));
      case 4:
        return static_cast<void>(instance_.value({name, {"1"}}, now_));
      case 5:
        return static_cast<void>(instance_.patched(name, nullptr, now_));
      case 6:
        if (!asked_.empty()) instance_.abandon(take(asked_), now_);
        return;
      default:
        return finish();
    }
  }

  void report() {
    now_ += Millis(bytes_.byte());
    switch (bytes_.below(9)) {
      case 0:
      case 1:
        return commit();
      case 2:
        return end_body();
      case 3:
        return fire();
      case 4:
        return static_cast<void>(instance_.release_stalled(now_));
      case 5:
        return instance_.event({.id = ++last_event_, .type = "paid", .payload = "2", .at = now_}, now_);
      case 6:
        return instance_.pause(now_);
      case 7:
        return instance_.resume(now_);
      default:
        return instance_.roll_back(now_);
    }
  }

  std::optional<RollbackConfig> rollback() { return bytes_.chance() ? std::optional(RollbackConfig{}) : std::nullopt; }

  void note(const std::expected<Asked, Error>& asked) {
    if (!asked) return require_shown(asked.error());
    if (asked->state == Asked::State::run) bodies_.push_back({asked->ticket, asked->attempt});
    if (asked->state != Asked::State::resolved) asked_.push_back(asked->ticket);
  }

  void finish() {
    code_ended_ = true;
    instance_.finish(outcome(), now_);
  }

  BodyOutcome outcome() {
    if (bytes_.byte() % 2 == 0) return Value{"1"};
    return Failure::from_json(R"({"type":"E"})");
  }

  void end_body() {
    if (bodies_.empty()) return;
    const Body body = take(bodies_);
    instance_.body_finished(body.ticket, body.attempt, outcome(), now_);
  }

  void fire() {
    if (!timers_.empty()) instance_.timer(take(timers_), now_);
  }

  void commit() {
    for (const Entry& entry : std::exchange(awaited_, {})) report_durable(instance_, entry, now_);
  }

  void collect() {
    std::vector<Effect> effects;
    instance_.take_effects(effects);
    for (const Effect& effect : effects) {
      if (const auto* append = std::get_if<Append>(&effect)) note(*append);
      if (const auto* run = std::get_if<RunBody>(&effect)) bodies_.push_back({run->ticket, run->attempt});
      if (const auto* run = std::get_if<RollBack>(&effect)) bodies_.push_back({run->ticket, run->attempt});
      if (const auto* choose = std::get_if<ChooseDelay>(&effect))
        instance_.delay_chosen(choose->ticket, choose->attempt, Millis(1), now_);
      if (const auto* arm = std::get_if<Arm>(&effect)) timers_.push_back(arm->ticket);
      if (const auto* disarm = std::get_if<Disarm>(&effect)) std::erase(timers_, disarm->ticket);
      if (const auto* resolve = std::get_if<Resolve>(&effect)) std::erase(asked_, resolve->ticket);
      finished_ |= std::holds_alternative<Finished>(effect);
    }
    instance_.settled();
  }

  void note(const Append& append) {
    if (append.urgency == Urgency::awaited) awaited_.push_back(append.entry);
  }

  template <class T>
  T take(std::vector<T>& from) {
    const auto at = from.begin() + static_cast<std::ptrdiff_t>(bytes_.below(from.size()));
    const T taken = *at;
    from.erase(at);
    return taken;
  }

  Instance& instance_;
  Bytes& bytes_;
  TimePoint now_ = kStart;
  std::int64_t last_event_ = 100;
  std::vector<Ticket> asked_;
  std::vector<Body> bodies_;
  std::vector<Ticket> timers_;
  std::vector<Entry> awaited_;
  bool code_ended_ = false;
  bool finished_ = false;
};

std::vector<Entry> entries_of(const InstanceHistory& history) {
  std::vector<Entry> entries;
  for (const auto& [cursor, entry] : history.entries) entries.push_back(entry);
  return entries;
}

// What is exported is read again as it was, or refused.
void pass_on(const InstanceHistory& history) {
  const std::string document = to_json({.history = history});
  named([&] { require(to_json(parse_history(document)) == document, "a document is read as it was written"); });
}

}  // namespace

void any_history(std::string_view text) {
  Bytes bytes(text);
  const InstanceHistory recorded = history(bytes);
  const std::vector<Entry> entries = entries_of(recorded);
  report_steps(entries, recorded.inbox);
  status_of(recorded);
  pass_on(recorded);
  for (const Entry& entry : entries)
    named([&] { keep_for_restart(entries, {entry.name, entry.occurrence, entry.step_kind}); });
  named([&] {
    const Identity identity{.workflow = "shop", .id = "order", .generation = 1, .created = kStart};
    Instance instance(identity, {.steps = 100, .replay_only = bytes.chance()}, entries, recorded.inbox);
    Play(instance, bytes).play();
  });
}

}  // namespace workflows::fuzz
