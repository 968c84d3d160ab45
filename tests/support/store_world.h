#pragma once
// What a database holds, as a reader sees it: told by a store, or by what was acknowledged to have been written.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/store.h"

namespace workflows::testing {

// An entry as text. An event that it took is named by its place in the inbox: ids are known only once they are stored.
struct WorldEntry {
  std::shared_ptr<const std::string> text;
  std::optional<std::size_t> event{};
};
WorldEntry world_entry(const Entry& entry, std::optional<std::size_t> event = std::nullopt);

struct WorldInstance {
  std::string id;
  InstanceKey key = 0;  // 0: not known yet
  std::uint32_t generation = 1;
  std::string params;
  Status status{};
  std::optional<TimePoint> wake{};
  std::optional<TimePoint> expires{};
  bool owned = false;
  std::vector<WorldEntry> history{};
  std::vector<InboxEvent> inbox{};
  std::vector<std::string> event_ids{};  // of the inbox; not stored where a reader sees them

  // At the end of its history, with the status that it brings.
  void record(const Entry& entry, std::optional<std::size_t> event = std::nullopt);
};

// Known by the name, because a reader is not told of it.
Retention retention_of(const std::string& id);

// In order of creation.
struct World {
  using Notice = std::pair<InstanceKey, storage::Notice::Kind>;

  std::vector<WorldInstance> instances;
  std::vector<Notice> notices{};  // there is one owner at a time

  // Everything that a store must bring back: two worlds with the same text are the same.
  std::string text() const;
  // The newest generation.
  WorldInstance* find(const std::string& id);
  // What becomes of everything that is owned when its owner is gone.
  void disown();
  // Every generation up to this one. Requires: `id` is no part of this world.
  void remove(const std::string& id, std::uint32_t up_to);
};

std::expected<World, Error> read_world(storage::Store& store, storage::OwnerId newest_owner);

// What no state of the database may show, whatever happened to it: damage, values that nobody refers to, entries
// outside of every chain, an event that is taken by no entry or an entry whose event is not. "" if all is well.
std::string unsound(storage::Store& store);

}  // namespace workflows::testing
