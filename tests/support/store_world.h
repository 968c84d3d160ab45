#pragma once
// What a database holds, as a reader sees it: told by a store, or by what was acknowledged to have been written.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/store.h"

namespace workflows::testing {

// An entry as text. An event that it took is named by its place in the inbox: ids are known only once they are stored.
using WorldEntry = std::shared_ptr<const std::string>;
WorldEntry world_entry(const Entry& entry, std::optional<std::size_t> event = std::nullopt);

struct WorldInstance {
  std::string id;
  InstanceKey key = 0;  // 0: not known yet
  std::string params;
  Status status{};
  std::optional<TimePoint> wake{};
  bool owned = false;
  std::vector<WorldEntry> history{};
  std::vector<InboxEvent> inbox{};
  std::vector<std::string> event_ids{};  // of the inbox; not stored where a reader sees them
};

// In order of creation.
struct World {
  std::vector<WorldInstance> instances;

  // Everything that a store must bring back: two worlds with the same text are the same.
  std::string text() const;
  WorldInstance* find(const std::string& id);
  // What becomes of everything that is owned when its owner is gone.
  void disown();
};

std::expected<World, Error> read_world(storage::Store& store);

// What no state of the database may show, whatever happened to it: damage, values that nobody refers to, entries
// outside of every chain, an event that is taken by no entry or an entry whose event is not. "" if all is well.
std::string unsound(const std::string& path);

}  // namespace workflows::testing
