// What a StoreWorker does to instances as a whole: as their owner, and as anybody may.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "storage/lifecycle.h"
#include "tests/support/store_worker.h"

namespace workflows::testing {

using namespace storage;

namespace {

bool is_newest(World& world, const WorldInstance& instance) {
  return instance.key != 0 && world.find(instance.id) == &instance;
}

}  // namespace

// ---------------------------------------------------------------- as the owner

// Nothing comes of it: the instance is not, or no longer, the owner's.
bool StoreWorker::add_lost_entry(Items& items, World& world) {
  const auto* target = pick(world, [](const auto& instance) { return !instance.owned && instance.key != 0; });
  if (!target) return false;
  items.push_back(AppendEntry{.instance = target->key, .entry = entry(EntryKind::step_completed, value())});
  return true;
}

// As somebody asked for.
bool StoreWorker::add_pause(Items& items, World& world) {
  auto* target = pick(world, [](const auto& instance) { return instance.status == Status::waiting_for_pause; });
  if (!target) return false;
  const auto recorded = entry(EntryKind::paused, "");
  items.push_back(AppendEntry{.instance = target->key, .entry = recorded});
  target->record(recorded);
  return true;
}

bool StoreWorker::add_rollback(Items& items, World& world) {
  auto* target = pick(world, [](const auto& instance) {
    return instance.owned && instance.key != 0 && instance.status == Status::running;
  });
  if (!target) return false;
  const auto recorded = entry(EntryKind::rollback_started, value());
  items.push_back(AppendEntry{.instance = target->key, .entry = recorded});
  target->record(recorded);
  return true;
}

bool StoreWorker::add_heard(Items& items, World& world) {
  const auto notices = store_->notices(owner_.id);
  if (!notices || notices->empty() || world.notices.size() != notices->size()) return false;
  const auto last = below(notices->size());
  items.push_back(Heard{.last = (*notices)[last].id});
  world.notices.erase(world.notices.begin(), world.notices.begin() + static_cast<std::ptrdiff_t>(last) + 1);
  return true;
}

// ---------------------------------------------------------------- as anybody

// Mostly what is not refused.
bool StoreWorker::add_control(Items& items, World& world) {
  const auto verb = static_cast<Verb>(below(5));
  const auto next_of = [verb](const WorldInstance& instance) {
    return transition(instance.status, verb, instance.owned, instance.history.empty());
  };
  const bool any = below(4) == 0;
  auto* target = pick(world, [&](const WorldInstance& instance) {
    return is_newest(world, instance) && (any || next_of(instance).kind != Transition::Kind::refused);
  });
  if (!target) return false;
  const Control item{.workflow = kWorkflow, .id = target->id, .verb = verb, .at = now()};
  items.push_back(item);
  const auto next = next_of(*target);
  if (next.kind == Transition::Kind::remove) {
    world.remove(item.id, target->generation);
    return true;
  }
  if (next.notice) world.notices.emplace_back(target->key, *next.notice);
  if (next.kind == Transition::Kind::append) target->record({.kind = next.entry, .at = item.at});
  if (next.kind == Transition::Kind::set_status) target->status = next.status;
  return true;
}

// Keeps the beginning of the history, or nothing.
bool StoreWorker::add_restart(Items& items, World& world) {
  auto* target = pick(world, [&](const auto& instance) { return is_newest(world, instance); });
  if (!target) return false;
  Restart item{.workflow = kWorkflow, .id = target->id, .at = now(), .keep = {}};
  WorldInstance next{.id = target->id, .generation = target->generation + 1, .params = target->params};
  if (below(2) == 0) {
    const auto kept = below(target->history.size() + 1);
    item.keep = [kept](const Loaded& loaded) -> std::expected<Kept, Error> {
      Kept beginning{.entries = {loaded.history.begin(), loaded.history.begin() + static_cast<std::ptrdiff_t>(kept)}};
      for (const auto& entry : beginning.entries)
        if (entry.event != 0) beginning.taken.push_back(entry.event);
      return beginning;
    };
    next.history = {target->history.begin(), target->history.begin() + static_cast<std::ptrdiff_t>(kept)};
    next.inbox = target->inbox;
    next.event_ids = target->event_ids;
    for (auto& event : next.inbox) event.taken = false;
    for (const auto& entry : next.history)
      if (entry.event) next.inbox[*entry.event].taken = true;
  }
  items.push_back(item);
  if (target->status == Status::rolling_back) return true;
  if (target->owned) world.notices.emplace_back(target->key, Notice::Kind::lost);
  if (!is_finished(target->status)) target->record({.kind = EntryKind::instance_terminated, .at = item.at});
  world.instances.push_back(std::move(next));
  return true;
}

// A copy of an instance, under another name.
bool StoreWorker::add_import(Items& items, World& world) {
  const auto* source = pick(world, [](const auto& instance) { return instance.key != 0; });
  if (!source) return false;
  auto loaded = store_->load(source->key);
  if (!loaded || loaded->history.size() != source->history.size() || loaded->inbox.size() != source->inbox.size())
    return false;  // it is not there yet as it will be
  auto copy = *source;
  copy.id = fmt::format("x{}", made_++);
  copy.key = 0;
  if (!is_finished(copy.status)) copy.status = Status::paused;
  copy.wake.reset();
  copy.expires.reset();
  copy.owned = false;
  copy.event_ids.assign(copy.inbox.size(), "");
  InstanceHistory history{.info = loaded->info, .params = std::move(loaded->params), .inbox = std::move(loaded->inbox)};
  history.info.id = copy.id;
  history.info.status = copy.status;
  history.info.wake.reset();
  for (auto& entry : loaded->history) history.entries.push_back({.entry = std::move(entry)});
  items.push_back(Import{.history = std::move(history)});
  world.instances.push_back(std::move(copy));
  return true;
}

}  // namespace workflows::testing
