#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "engine/cli/commands.h"
#include "engine/cli/entry_line.h"
#include "engine/cli/format.h"
#include "engine/cli/json.h"
#include "engine/cli/text.h"
#include "engine/values/json.h"

namespace workflows::cli {
namespace {

// What operators and the engine did to an instance is no part of what its code did.
bool is_of_the_code(const Entry& entry) {
  return entry.kind < EntryKind::rollback_started || entry.kind >= EntryKind::instance_completed;
}

// What two runs are compared by: not when something happened, which engine it was, or how its JSON was laid out.
Entry without_times(Entry entry) {
  entry.at = {};
  entry.began.reset();
  entry.deadline.reset();
  entry.event = 0;
  entry.source.clear();
  entry.value = values::compact_json(entry.value);
  entry.detail = values::compact_json(entry.detail);
  return entry;
}

using StepName = std::tuple<StepKind, std::string, std::uint32_t>;

std::string label_of(const StepName& name) {
  return fmt::format("{} {}", to_string(std::get<0>(name)), step_label(std::get<1>(name), std::get<2>(name)));
}

std::string message_of(const std::optional<Failure>& failure) {
  return failure ? failure->type + failure->message : std::string();
}

bool same(const StepInfo& a, const StepInfo& b) {
  return a.status == b.status && values::compact_json(a.result) == values::compact_json(b.result) &&
         a.attempts.size() == b.attempts.size() && message_of(a.failure) == message_of(b.failure);
}

struct Summary {
  std::size_t same = 0;
  std::vector<StepName> different{};
  std::vector<StepName> only_a{};
  std::vector<StepName> only_b{};
};

Summary compare_steps(const InstanceHistory& a, const InstanceHistory& b) {
  std::map<StepName, std::pair<std::optional<StepInfo>, std::optional<StepInfo>>> pairs;
  const auto name_of_step = [](const StepInfo& step) { return StepName(step.kind, step.name, step.occurrence); };
  for (const StepInfo& step : steps_of(a)) pairs[name_of_step(step)].first = step;
  for (const StepInfo& step : steps_of(b)) pairs[name_of_step(step)].second = step;
  Summary summary;
  for (const auto& [name, steps] : pairs) {
    if (!steps.second)
      summary.only_a.push_back(name);
    else if (!steps.first)
      summary.only_b.push_back(name);
    else if (same(*steps.first, *steps.second))
      ++summary.same;
    else
      summary.different.push_back(name);
  }
  return summary;
}

// Where the histories part; null at the end of one.
struct Parting {
  const RecordedEntry* a = nullptr;
  const RecordedEntry* b = nullptr;
};

std::vector<const RecordedEntry*> of_the_code(const InstanceHistory& history) {
  std::vector<const RecordedEntry*> entries;
  for (const RecordedEntry& recorded : history.entries)
    if (is_of_the_code(recorded.entry)) entries.push_back(&recorded);
  return entries;
}

std::optional<Parting> first_difference(const InstanceHistory& a, const InstanceHistory& b) {
  const auto left = of_the_code(a);
  const auto right = of_the_code(b);
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    const Parting here{i < left.size() ? left[i] : nullptr, i < right.size() ? right[i] : nullptr};
    if (here.a == nullptr || here.b == nullptr || without_times(here.a->entry) != without_times(here.b->entry))
      return here;
  }
  return std::nullopt;
}

struct Difference {
  bool params = false;
  std::optional<Parting> first{};
  Summary steps{};

  bool any() const { return params || first; }
};

std::string entry_json(const InstanceHistory& history, const RecordedEntry* entry) {
  return entry == nullptr ? "null" : to_json(history.info, *entry);
}

std::string names_json(const std::vector<StepName>& names) {
  return json_array(names, [](const StepName& name) {
    return JsonObject()
        .text("kind", to_string(std::get<0>(name)))
        .text("name", std::get<1>(name))
        .number("count", std::get<2>(name))
        .take();
  });
}

std::string to_json(const Source& a, const Source& b, const Difference& difference) {
  JsonObject json;
  json.flag("equal", !difference.any()).flag("params_equal", !difference.params);
  if (difference.first)
    json.raw("first", JsonObject()
                          .raw("a", entry_json(a.history, difference.first->a))
                          .raw("b", entry_json(b.history, difference.first->b))
                          .take());
  else
    json.raw("first", "null");
  return json.number("steps_same", difference.steps.same)
      .raw("steps_different", names_json(difference.steps.different))
      .raw("steps_only_a", names_json(difference.steps.only_a))
      .raw("steps_only_b", names_json(difference.steps.only_b))
      .text("status_a", to_string(a.history.info.status))
      .text("status_b", to_string(b.history.info.status))
      .take();
}

void print_side(Console& console, std::string_view side, const RecordedEntry* entry) {
  const auto head = fmt::format("  {}", side);
  console.line(entry == nullptr ? head + "  nothing more" : entry_line(console, entry->entry, head));
}

void print_names(Console& console, std::string_view head, const std::vector<StepName>& names) {
  constexpr std::size_t kShown = 10;
  if (names.empty()) return;
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i) shown.push_back(label_of(names[i]));
  const auto more = names.size() > kShown ? fmt::format(", and {} more", names.size() - kShown) : "";
  console.paragraph("", 0, fmt::format("{}: {}{}", head, fmt::join(shown, ", "), more));
}

void print(Console& console, const Source& a, const Source& b, const Difference& difference) {
  console.line(fmt::format("A {}  {}\nB {}  {}", a.label, to_string(a.history.info.status), b.label,
                           to_string(b.history.info.status)));
  if (!difference.any()) return console.line("They are the same, but for times.");
  if (difference.params)
    console.line(fmt::format("params differ\n  A {}\n  B {}", preview(a.history.params, console.some_width() - 4),
                             preview(b.history.params, console.some_width() - 4)));
  if (difference.first) {
    console.line("first difference");
    print_side(console, "A", difference.first->a);
    print_side(console, "B", difference.first->b);
  }
  console.line(fmt::format("steps the same: {}", difference.steps.same));
  print_names(console, "steps that differ", difference.steps.different);
  print_names(console, "steps only of A", difference.steps.only_a);
  print_names(console, "steps only of B", difference.steps.only_b);
}

}  // namespace

int diff(Context& context, const std::string& first, const std::string& second) {
  const Source a = load_source(context, first);
  const Source b = load_source(context, second);
  const Difference difference{
      .params = values::compact_json(a.history.params) != values::compact_json(b.history.params),
      .first = first_difference(a.history, b.history),
      .steps = compare_steps(a.history, b.history)};
  if (context.console.json())
    context.console.json_line(to_json(a, b, difference));
  else
    print(context.console, a, b, difference);
  return difference.any() ? kFound : kOk;
}

}  // namespace workflows::cli
