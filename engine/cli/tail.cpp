#include <algorithm>
#include <chrono>
#include <map>

#include "engine/cli/commands.h"
#include "engine/cli/entry_line.h"
#include "engine/cli/format.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/json.h"
#include "engine/cli/text.h"

namespace workflows::cli {
namespace {

constexpr Millis kPatience = std::chrono::milliseconds(100);  // until an interrupt is noticed
constexpr std::uint32_t kNewest = 20;
constexpr std::uint32_t kAtOnce = 1000;

bool ends(const Entry& entry) { return entry.kind >= EntryKind::instance_completed; }

std::vector<RecordedEntry> entries_after(Maintenance& database, const InstanceInfo& info, std::int64_t last) {
  try {
    return database.client().entries(info.key, last);
  } catch (const InstanceNotFoundError&) { throw InstanceNotFoundError(name_of(info) + " was deleted."); }
}

int tail_one(Context& context, const TailRequest& request) {
  Maintenance& database = context.reading();
  const InstanceInfo info = find(database, request.name);
  EntryReader reader;
  const Interrupts interrupts;
  std::int64_t last = 0;
  for (bool ended = false; !ended && Interrupts::exit_code() == 0;) {
    for (const RecordedEntry& recorded : reader.read(entries_after(database, info, last))) {
      last = recorded.cursor;
      ended |= ends(recorded.entry);
      if (context.console.json())
        context.console.json_line(to_json(info, recorded));
      else
        context.console.line(entry_line(context.console, recorded.entry));
    }
    check_output(context.console);
    if (!request.follow) break;
    if (!ended) database.client().wait_for_change(kPatience);
  }
  return Interrupts::exit_code();
}

// An instance of which an entry was shown.
struct Tailed {
  InstanceInfo info{};
  std::string name{};
  EntryReader reader{};
};

class TailAll {
 public:
  explicit TailAll(Context& context) : console_(context.console), database_(context.reading()) {}

  int run(bool follow) {
    const Interrupts interrupts;
    show(database_.journal(std::nullopt, kNewest));
    while (follow && Interrupts::exit_code() == 0) {
      const auto more = database_.journal(last_, kAtOnce);
      show(more);
      if (more.empty()) database_.client().wait_for_change(kPatience);
    }
    return Interrupts::exit_code();
  }

 private:
  void show(const std::vector<JournalEntry>& entries) {
    for (const JournalEntry& entry : entries) {
      last_ = entry.recorded.cursor;
      show(entry);
      if (ends(entry.recorded.entry)) tailed_.erase(entry.instance);
    }
    check_output(console_);
  }

  void show(const JournalEntry& entry) {
    auto known = tailed_.find(entry.instance);
    if (known == tailed_.end()) known = tailed_.emplace(entry.instance, tailed(entry.instance)).first;
    auto& [info, name, reader] = known->second;
    if (!reader.knows(entry.recorded.entry)) reader.read(entries_of(entry.instance));
    const bool known_to_be_shown = reader.knows(entry.recorded.entry);
    RecordedEntry shown = reader.read({entry.recorded}).front();
    if (!known_to_be_shown) shown.entry.value.clear();
    if (console_.json())
      console_.json_line(to_json(info, shown));
    else
      console_.line(entry_line(console_, shown.entry, cut_inside(name, console_.some_width() / 3)));
  }

  Tailed tailed(InstanceKey key) {
    const InstanceInfo info = info_of(key);
    const bool is_old = database_.client().generations(info.workflow, info.id).size() > 1;
    return {.info = info, .name = is_old ? exact_name_of(info) : name_of(info)};
  }

  // Empty: it was removed meanwhile.
  std::vector<RecordedEntry> entries_of(InstanceKey key) {
    try {
      return database_.client().entries(key, 0);
    } catch (const InstanceNotFoundError&) { return {}; }
  }

  InstanceInfo info_of(InstanceKey key) {
    try {
      return database_.client().info(key);
    } catch (const InstanceNotFoundError&) { return {.key = key, .workflow = "removed", .id = "removed"}; }
  }

  Console& console_;
  Maintenance& database_;
  std::int64_t last_ = 0;
  std::map<InstanceKey, Tailed> tailed_;
};

}  // namespace

int tail(Context& context, const TailRequest& request) {
  if (!request.name.empty()) return tail_one(context, request);
  return TailAll(context).run(request.follow);
}

}  // namespace workflows::cli
