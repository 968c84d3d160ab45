#include <algorithm>
#include <chrono>
#include <map>

#include "engine/cli/commands.h"
#include "engine/cli/entry_line.h"
#include "engine/cli/format.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/json.h"

namespace workflows::cli {
namespace {

constexpr Millis kPatience = std::chrono::milliseconds(100);  // until an interrupt is noticed
constexpr std::uint32_t kNewest = 20;
constexpr std::uint32_t kAtOnce = 1000;

bool ends(const Entry& entry) { return entry.kind >= EntryKind::instance_completed; }

int tail_one(Context& context, const TailRequest& request) {
  Maintenance& database = context.reading();
  const InstanceInfo info = find(database, request.name);
  EntryReader reader;
  const Interrupts interrupts;
  std::int64_t last = 0;
  for (bool ended = false; !ended && Interrupts::exit_code() == 0;) {
    for (const RecordedEntry& recorded : reader.read(database.client().entries(info.key, last))) {
      last = recorded.cursor;
      ended |= ends(recorded.entry);
      context.console.line(context.console.json() ? to_json(info, recorded)
                                                  : entry_line(context.console, recorded.entry));
    }
    check_output(context.console);
    if (!request.follow) break;
    if (!ended) database.client().wait_for_change(kPatience);
  }
  return Interrupts::exit_code();
}

// Of all instances. Without values: which of them are sensitive only the whole history of each instance tells.
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
    }
    check_output(console_);
  }

  void show(JournalEntry entry) {
    entry.recorded.entry.value.clear();
    const InstanceInfo& info = info_of(entry.instance);
    if (console_.json())
      console_.line(to_json(info, entry.recorded));
    else
      console_.line(name_of(info) + "  " + entry_line(console_, entry.recorded.entry));
  }

  const InstanceInfo& info_of(InstanceKey key) {
    const auto known = infos_.find(key);
    if (known != infos_.end()) return known->second;
    try {
      return infos_.emplace(key, database_.client().info(key)).first->second;
    } catch (const InstanceNotFoundError&) {
      return infos_.emplace(key, InstanceInfo{.key = key, .workflow = "removed", .id = "removed"}).first->second;
    }
  }

  Console& console_;
  Maintenance& database_;
  std::int64_t last_ = 0;
  std::map<InstanceKey, InstanceInfo> infos_;
};

}  // namespace

int tail(Context& context, const TailRequest& request) {
  if (!request.name.empty()) return tail_one(context, request);
  return TailAll(context).run(request.follow);
}

}  // namespace workflows::cli
