#include "engine/cli/entry_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "engine/cli/format.h"
#include "engine/cli/text.h"
#include "engine/values/text.h"

namespace workflows::cli {
namespace {

constexpr std::size_t kDateColumns = 11;  // of what `moment` gives

Style style_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::attempt_failed:
    case EntryKind::step_failed:
    case EntryKind::wait_timed_out:
    case EntryKind::instance_errored:
      return Style::red;
    case EntryKind::step_completed:
    case EntryKind::sleep_finished:
    case EntryKind::wait_taken:
    case EntryKind::instance_completed:
      return Style::green;
    case EntryKind::paused:
    case EntryKind::resumed:
    case EntryKind::rollback_started:
    case EntryKind::instance_terminated:
      return Style::yellow;
    default:
      return Style::plain;
  }
}

bool is_failure(EntryKind kind) { return style_of(kind) == Style::red || kind == EntryKind::rollback_started; }

bool is_of_step(const Entry& entry) { return entry.kind < EntryKind::rollback_started; }

std::string subject_of(const Entry& entry) {
  std::string text;
  if (!entry.name.empty())
    text = fmt::format("{} {}", to_string(entry.step_kind), step_label(entry.name, entry.occurrence));
  else if (is_of_step(entry))
    text = fmt::format("step {}", entry.step);
  if (entry.attempt > 1) text += fmt::format(", attempt {}", entry.attempt);
  if (!entry.event_type.empty()) text += fmt::format(", event {}", values::quoted(entry.event_type));
  if (entry.deadline && entry.kind != EntryKind::attempt_failed)
    text += fmt::format(", until {}", moment(*entry.deadline));
  return text;
}

// Less of it where there is little room.
std::string time_of(const Entry& entry, std::size_t width) {
  constexpr std::size_t kRoomForDate = 70;
  constexpr std::size_t kRoomForTime = 50;
  if (width < kRoomForTime) return "";
  return moment(entry.at).substr(width < kRoomForDate ? kDateColumns : 0) + "  ";
}

std::string value_of(const Entry& entry, std::size_t columns) {
  if (entry.value.empty() || entry.value == "null") return "";
  if (is_failure(entry.kind)) {
    std::string text = summary(Failure::from_json(entry.value));
    if (entry.kind == EntryKind::attempt_failed && entry.deadline)
      text += fmt::format(", next at {}", moment(*entry.deadline).substr(kDateColumns));
    return text;
  }
  return "= " + preview(entry.value, columns > 2 ? columns - 2 : 0);
}

}  // namespace

std::string entry_line(const Console& console, const Entry& entry, std::string_view head) {
  constexpr std::size_t kKindColumns = 19;
  constexpr std::size_t kLeastForValue = 20;
  const std::string before = head.empty() ? "" : fmt::format("{}  ", head);
  const std::string when = time_of(entry, console.some_width());
  const std::string kind = padded(std::string(to_string(entry.kind)), kKindColumns);
  const std::size_t taken = columns_of(before) + columns_of(when) + kKindColumns + 2;
  std::string text = subject_of(entry);
  if (!text.empty()) text += "  ";
  const std::size_t used = taken + columns_of(text);
  text += value_of(entry, std::max(console.some_width(), used + kLeastForValue) - used);
  if (console.width()) text = cut(text, *console.width() > taken ? *console.width() - taken : 0);
  std::string line = fmt::format("{}{}{}  {}", before, console.styled(Style::dim, when),
                                 console.styled(style_of(entry.kind), kind), text);
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::vector<RecordedEntry> EntryReader::read(std::vector<RecordedEntry> part) {
  InstanceHistory history;
  for (const auto& [step, first] : steps_) history.entries.push_back({.cursor = 0, .entry = first});
  const auto before = static_cast<std::ptrdiff_t>(history.entries.size());
  std::move(part.begin(), part.end(), std::back_inserter(history.entries));
  auto entries = redact(std::move(history), Redaction::sensitive).history.entries;
  entries.erase(entries.begin(), entries.begin() + before);
  for (auto& [cursor, entry] : entries) {
    if (is_of_step(entry)) identify(entry);
  }
  return entries;
}

bool EntryReader::knows(const Entry& entry) const {
  return !is_of_step(entry) || !entry.name.empty() || steps_.contains(entry.step);
}

void EntryReader::identify(Entry& entry) {
  const auto [known, is_new] = steps_.try_emplace(entry.step, entry);
  if (is_new) {
    known->second.value.clear();
    return;
  }
  entry.step_kind = known->second.step_kind;
  entry.name = known->second.name;
  entry.occurrence = known->second.occurrence;
}

}  // namespace workflows::cli
