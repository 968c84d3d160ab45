// Time travel: the recorded history, entry by entry, with how the instance stood after each.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "engine/cli/commands.h"
#include "engine/cli/entry_line.h"
#include "engine/cli/format.h"
#include "engine/cli/json.h"
#include "engine/cli/text.h"
#include "engine/cli/timeline.h"
#include "engine/values/text.h"

namespace workflows::cli {
namespace {

using values::quoted;

bool is_outcome(EntryKind kind) {
  return kind == EntryKind::step_completed || kind == EntryKind::step_failed || kind == EntryKind::sleep_finished ||
         kind == EntryKind::wait_taken || kind == EntryKind::wait_timed_out;
}

// An open step, by the entry that it is open with: a body runs, or something is waited for.
bool is_body(const Entry& open) { return open.kind == EntryKind::attempt_started; }

std::string words_of(const Entry& open) {
  const std::string step = fmt::format("{} {}", to_string(open.step_kind), step_label(open.name, open.occurrence));
  if (is_body(open)) return step + " runs";
  const std::string until = open.deadline ? fmt::format(" until {}", moment(*open.deadline)) : " for ever";
  if (open.kind == EntryKind::attempt_failed) return step + " rests" + until;
  return step + until;
}

// How an instance stands after an entry, as its engine would have told.
class Standing {
 public:
  void follow(const Entry& entry) {
    if (is_outcome(entry.kind)) open_.erase(entry.step);
    if (opens(entry.kind)) open_[entry.step] = &entry;
    if (entry.kind == EntryKind::resumed) settled_.reset();
    if (const auto status = status_of(entry.kind)) settled_ = status;
    began_ = true;
  }

  // `waiting`: every open step sleeps, waits or rests (S26).
  Status status() const {
    if (!began_) return Status::queued;
    const auto is_running = [](const auto& open) { return is_body(*open.second); };
    return settled_.value_or(open_.empty() || std::ranges::any_of(open_, is_running) ? Status::running
                                                                                     : Status::waiting);
  }

  // "▶ running: do charge runs; sleep a day until 2026-01-01 00:00:00Z; 3 more", or less of it where it does not fit.
  std::string text(const Console& console, std::size_t columns) const {
    const std::string head = fmt::format("{} {}", look_of(status()).glyph, to_string(status()));
    std::string open;
    std::size_t left = settled_ ? 0 : open_.size();
    for (auto step = open_.begin(); left > 0 && open_.size() - left < kMostOpen; ++step, --left)
      open += (open.empty() ? ": " : "; ") + words_of(*step->second);
    if (left > 0) open += fmt::format("; {} more", left);
    const std::size_t used = columns_of(head);
    return status_text(console, status()) + (columns > used ? cut(open, columns - used) : "");
  }

 private:
  static constexpr std::size_t kMostOpen = 3;

  static bool opens(EntryKind kind) {
    return kind == EntryKind::attempt_started || kind == EntryKind::attempt_failed ||
           kind == EntryKind::sleep_started || kind == EntryKind::wait_started;
  }

  bool began_ = false;
  std::optional<Status> settled_;  // by an entry, whatever is open
  std::map<std::uint32_t, const Entry*> open_;
};

struct StepName {
  std::string name;
  std::uint32_t count = 1;
};

StepName parse_step(const std::string& text) {
  const auto hash = text.rfind('#');
  if (hash == std::string::npos) return {.name = text};
  StepName step{.name = text.substr(0, hash)};
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data() + hash + 1, end, step.count);
  if (error == std::errc() && read == end && step.count > 0) return step;
  return {.name = text};  // names may contain a #
}

// How many entries there are up to the outcome of this step, that one included.
std::size_t end_of_step(const InstanceHistory& history, const std::string& text) {
  const StepName wanted = parse_step(text);
  for (std::size_t i = 0; i < history.entries.size(); ++i) {
    const Entry& entry = history.entries[i].entry;
    if (is_outcome(entry.kind) && entry.name == wanted.name && entry.occurrence == wanted.count) return i + 1;
  }
  std::string known;
  for (const StepInfo& step : steps_of(history))
    known += fmt::format("\n  {}#{}", harmless(step.name), step.occurrence);
  throw InvalidConfigError(fmt::format("No step {} has ended in this history. Its steps:{}", quoted(text), known));
}

std::size_t end_of_time(const InstanceHistory& history, TimePoint at) {
  const auto later = std::ranges::find_if(history.entries, [&](const auto& each) { return each.entry.at > at; });
  return static_cast<std::size_t>(later - history.entries.begin());
}

class Replay {
 public:
  // `at`: the time that was asked for, if one was.
  Replay(Console& console, Source source, std::size_t end, std::optional<TimePoint> at)
      : console_(console), source_(std::move(source)), end_(end), at_(at) {}

  void walk() { console_.json() ? walk_json() : walk_text(); }

  void interactive() {
    std::size_t at = 0;
    show(at);
    for (;;) {
      const auto answer = console_.ask("next, back, state or quit? ");
      if (!answer || answer->starts_with('q')) return;
      if (answer->starts_with('s'))
        print_state(at);
      else if (answer->starts_with('b'))
        show(at -= at > 0 ? 1 : 0);
      else if (answer->empty() || answer->starts_with('n'))
        show(at += at < end_ ? 1 : 0);
      else
        console_.line(fmt::format("{} is not a command here.", quoted(*answer)));
    }
  }

 private:
  const InstanceHistory& history() const { return source_.history; }

  Standing standing_at(std::size_t count) const {
    Standing standing;
    for (std::size_t i = 0; i < count; ++i) standing.follow(history().entries[i].entry);
    return standing;
  }

  // What was known after so many entries.
  InstanceHistory until(std::size_t count) const {
    InstanceHistory part = history();
    part.entries.resize(count);
    part.info.status = standing_at(count).status();
    if (count > 0) part.info.updated = part.entries.back().entry.at;
    return part;
  }

  // " 7/12", as wide for every entry.
  std::string place(std::size_t count) const {
    const std::string end = std::to_string(end_);
    return fmt::format("{:>{}}/{}", count, end.size(), end);
  }

  void show(std::size_t count) { show(count, standing_at(count)); }

  void show(std::size_t count, const Standing& standing) {
    if (count == 0)
      console_.line(fmt::format("{}  {}  created {}", place(0), source_.label, moment(history().info.created)));
    else
      console_.line(entry_line(console_, history().entries[count - 1].entry, place(count)));
    const std::string margin(place(count).size() + 2, ' ');
    constexpr std::size_t kAny = 10'000;
    console_.line(margin + standing.text(console_, console_.width().value_or(kAny) - margin.size()));
  }

  void print_state(std::size_t count) {
    const InstanceHistory part = until(count);
    console_.line(fmt::format("{}  {}", status_text(console_, part.info.status), source_.label));
    const TimePoint last = count == 0 ? part.info.created : part.info.updated;
    print_timeline(console_, part.info, steps_of(part), std::max(count == end_ ? at_.value_or(last) : last, last));
    const InstanceStatus status = status_of(part);
    if (!status.output.empty()) console_.line("output  " + preview(status.output, console_.some_width() - 8));
    if (status.failure) console_.paragraph("error   ", 8, summary(*status.failure));
  }

  void walk_text() {
    Standing standing;
    for (std::size_t count = 1; count <= end_; ++count) {
      standing.follow(history().entries[count - 1].entry);
      show(count, standing);
    }
    console_.line();
    print_state(end_);
  }

  // With each entry its step as it stood then.
  void walk_json() {
    std::map<std::uint32_t, InstanceHistory> steps;
    Standing standing;
    for (std::size_t i = 0; i < end_; ++i) {
      const RecordedEntry& recorded = history().entries[i];
      standing.follow(recorded.entry);
      std::string step = "null";
      if (recorded.entry.kind < EntryKind::rollback_started) {
        InstanceHistory& own = steps[recorded.entry.step];
        if (own.entries.empty()) own.inbox = history().inbox;
        own.entries.push_back(recorded);
        step = to_json(steps_of(own).front());
      }
      console_.json_line(JsonObject()
                             .raw("entry", to_json(history().info, recorded))
                             .text("status", to_string(standing.status()))
                             .raw("step", step)
                             .take());
    }
  }

  Console& console_;
  Source source_;
  std::size_t end_;
  std::optional<TimePoint> at_;
};

}  // namespace

int replay(Context& context, const ReplayRequest& request) {
  Source source = load_source(context, request.name);
  std::size_t end = source.history.entries.size();
  if (!request.until.empty()) end = end_of_step(source.history, request.until);
  if (request.at) end = std::min(end, end_of_time(source.history, *request.at));
  const auto at = request.at ? std::optional(std::min(*request.at, context.console.now())) : std::nullopt;
  Replay replay(context.console, std::move(source), end, at);
  context.close();  // a person may take their time
  if (request.step)
    replay.interactive();
  else
    replay.walk();
  return kOk;
}

}  // namespace workflows::cli
