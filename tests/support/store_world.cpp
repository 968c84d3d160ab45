#include "tests/support/store_world.h"

#include <fmt/format.h>

#include <algorithm>
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
                         .generation = loaded.info.generation,
                         .params = std::move(loaded.params),
                         .status = loaded.info.status,
                         .wake = loaded.info.wake,
                         .expires = loaded.info.expires,
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
  const std::string text =
      fmt::format("  {} step {} '{}' #{} attempt {} at {} event {} type '{}' value {}\n", static_cast<int>(entry.kind),
                  entry.step, entry.name, entry.occurrence, entry.attempt, shown(entry.at),
                  event ? std::to_string(*event) : "-", entry.event_type, shown(entry.value));
  return {.text = std::make_shared<const std::string>(text), .event = event};
}

Retention retention_of(const std::string& id) {
  if (id.front() != 'i' || id.back() % 2 != 0) return {};
  return {.success = Duration(Millis(3)), .failure = Duration(Millis(10))};
}

void WorldInstance::record(const Entry& entry, std::optional<std::size_t> event) {
  history.push_back(world_entry(entry, event));
  const auto brought = entry.kind == EntryKind::resumed ? Status::queued : status_of(entry.kind);
  if (!brought) return;
  status = *brought;
  wake.reset();
  owned = owned && status == Status::rolling_back;
  const auto kept = retention_of(id);
  const auto& keep = status == Status::complete ? kept.success : kept.failure;
  if (is_finished(status) && keep) expires = entry.at + keep->millis();
}

std::string World::text() const {
  std::string text;
  for (const auto& instance : instances) {
    text += fmt::format("{}@{} {}{} wake {} expires {} params {}\n", instance.id, instance.generation,
                        to_string(instance.status), instance.owned ? " owned" : "", shown(instance.wake),
                        shown(instance.expires), shown(instance.params));
    for (const auto& entry : instance.history) text += *entry.text;
    for (const auto& event : instance.inbox)
      text += fmt::format("  event {} at {} {} {}\n", event.type, shown(event.at), event.taken ? "taken" : "waits",
                          shown(event.payload));
  }
  for (const auto& [key, kind] : notices) text += fmt::format("notice {} of {}\n", static_cast<int>(kind), key);
  return text;
}

WorldInstance* World::find(const std::string& id) {
  const auto found = std::ranges::find(instances.rbegin(), instances.rend(), id, &WorldInstance::id);
  return found == instances.rend() ? nullptr : &*found;
}

void World::disown() {
  for (auto& instance : instances) {
    if (instance.owned && instance.status == Status::running) instance.status = Status::queued;
    if (instance.owned && instance.status == Status::waiting_for_pause) instance.status = Status::paused;
    instance.owned = false;
  }
  notices.clear();
}

void World::remove(const std::string& id, std::uint32_t up_to) {
  const auto goes = [&](const WorldInstance& instance) { return instance.id == id && instance.generation <= up_to; };
  for (const auto& instance : instances)
    if (goes(instance) && instance.owned) notices.emplace_back(instance.key, storage::Notice::Kind::lost);
  std::erase_if(instances, goes);
}

std::expected<World, Error> read_world(Store& store, storage::OwnerId newest_owner) {
  World world;
  const auto infos = store.list({.limit = 100'000});
  if (!infos) return std::unexpected(infos.error());
  for (const auto& info : *infos) {
    auto loaded = store.load(info.key);
    if (!loaded) return std::unexpected(loaded.error());
    world.instances.push_back(instance_of(std::move(*loaded)));
  }
  for (storage::OwnerId owner = 1; owner <= newest_owner; ++owner) {
    const auto notices = store.notices(owner);
    if (!notices) return std::unexpected(notices.error());
    for (const auto& notice : *notices) world.notices.emplace_back(notice.instance, notice.kind);
  }
  return world;
}

std::string unsound(Store& store) {
  const auto findings = store.check(TimePoint(), [](std::string_view) {});
  if (!findings) return "cannot be checked: " + findings.error().message;
  std::string found;
  for (const Finding& finding : *findings) {
    // The worker's instances wait for nothing that is written down.
    if (finding.severity != Finding::Severity::problem || finding.check == "waits_for_nothing") continue;
    found += fmt::format("{}: {}\n", finding.check, finding.message);
  }
  return found;
}

}  // namespace workflows::testing
