#include "tests/support/store_world.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <functional>

namespace workflows::testing {
namespace {

using storage::Store;

std::string shown(const std::optional<TimePoint>& time) {
  return time ? std::to_string(time->time_since_epoch().count()) : "-";
}

// Long values by their length and hash.
std::string shown(const std::string& value) {
  return value.size() <= 40 ? value : fmt::format("{}#{:x}", value.size(), std::hash<std::string>{}(value));
}

std::optional<std::size_t> place_of(std::int64_t event, const std::vector<InboxEvent>& inbox) {
  if (event == 0) return std::nullopt;
  return static_cast<std::size_t>(std::ranges::find(inbox, event, &InboxEvent::id) - inbox.begin());
}

WorldInstance instance_of(storage::Loaded loaded) {
  WorldInstance instance{.id = loaded.info.id,
                         .key = loaded.info.key,
                         .params = std::move(loaded.params),
                         .status = loaded.info.status,
                         .wake = loaded.info.wake,
                         .owned = loaded.info.owner != 0};
  for (const auto& entry : loaded.history) {
    const auto event = place_of(entry.event, loaded.inbox);
    instance.history.push_back(world_entry(entry, event));
  }
  instance.inbox = std::move(loaded.inbox);
  instance.event_ids.resize(instance.inbox.size());
  return instance;
}

}  // namespace

WorldEntry world_entry(const Entry& entry, std::optional<std::size_t> event) {
  return std::make_shared<const std::string>(
      fmt::format("  {} step {} '{}' #{} attempt {} at {} event {} type '{}' value {}\n", static_cast<int>(entry.kind),
                  entry.step, entry.name, entry.occurrence, entry.attempt, shown(entry.at),
                  event ? std::to_string(*event) : "-", entry.event_type, shown(entry.value)));
}

std::string World::text() const {
  std::string text;
  for (const auto& instance : instances) {
    text += fmt::format("{} {}{} wake {} params {}\n", instance.id, to_string(instance.status),
                        instance.owned ? " owned" : "", shown(instance.wake), shown(instance.params));
    for (const auto& entry : instance.history) text += *entry;
    for (const auto& event : instance.inbox)
      text += fmt::format("  event {} at {} {} {}\n", event.type, shown(event.at), event.taken ? "taken" : "waits",
                          shown(event.payload));
  }
  return text;
}

WorldInstance* World::find(const std::string& id) {
  const auto found = std::ranges::find(instances, id, &WorldInstance::id);
  return found == instances.end() ? nullptr : &*found;
}

void World::disown() {
  for (auto& instance : instances) {
    if (instance.owned && instance.status == Status::running) instance.status = Status::queued;
    instance.owned = false;
  }
}

std::expected<World, Error> read_world(Store& store) {
  World world;
  const auto infos = store.list({.limit = 100'000});
  if (!infos) return std::unexpected(infos.error());
  for (const auto& info : *infos) {
    auto loaded = store.load(info.key);
    if (!loaded) return std::unexpected(loaded.error());
    world.instances.push_back(instance_of(std::move(*loaded)));
  }
  return world;
}

std::string unsound(const std::string& path) {
  struct Question {
    const char* sql;
    const char* expected;
  };
  constexpr std::array kQuestions{
      Question{"PRAGMA integrity_check", "ok"},
      Question{"SELECT count(*) FROM blobs WHERE id NOT IN (SELECT value FROM journal WHERE typeof(value) = 'integer' "
               "UNION ALL SELECT params FROM instances WHERE typeof(params) = 'integer' "
               "UNION ALL SELECT payload FROM inbox WHERE typeof(payload) = 'integer')",
               "0"},
      Question{"SELECT count(*) FROM inbox WHERE taken <> EXISTS "
               "(SELECT 1 FROM journal WHERE kind = 8 AND event = inbox.id AND journal.instance = inbox.instance)",
               "0"},
      // Each entry is the newest of its instance or the one before exactly one other.
      Question{"SELECT count(*) FROM (SELECT instance, prev FROM journal GROUP BY instance, prev HAVING count(*) > 1)",
               "0"},
      Question{"SELECT count(*) FROM instances WHERE owner <> 0 AND owner NOT IN (SELECT id FROM owners)", "0"},
  };
  sqlite3* database = nullptr;
  std::string found;
  if (sqlite3_open(path.c_str(), &database) != SQLITE_OK) found = "cannot be opened";
  for (const auto& question : kQuestions) {
    std::string answer;
    const auto keep = [](void* into, int, char** values, char**) {
      *static_cast<std::string*>(into) += values[0] ? values[0] : "NULL";
      return 0;
    };
    if (sqlite3_exec(database, question.sql, keep, &answer, nullptr) != SQLITE_OK) answer = sqlite3_errmsg(database);
    if (answer != question.expected) found += fmt::format("{}: {}\n", question.sql, answer);
  }
  sqlite3_close(database);
  return found;
}

}  // namespace workflows::testing
