#pragma once
// The newest journal entry of every instance that an owner is writing to. In the database it is stored lazily
// (instances.head): one update for many entries.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include <workflows/journal.h>

namespace workflows::storage::sqlite {

struct Head {
  std::int64_t newest = 0;
  std::int64_t stored = 0;
};

// Changes are provisional until `keep`; `undo` takes them back, as the database does with the transaction.
class Heads {
 public:
  const Head* find(InstanceKey instance) const {
    const auto found = heads_.find(instance);
    return found == heads_.end() ? nullptr : &found->second;
  }
  void set(InstanceKey instance, Head head) {
    const auto [place, added] = heads_.try_emplace(instance);
    undo_.emplace_back(instance, added ? std::nullopt : std::optional(place->second));
    place->second = head;
  }
  void erase(InstanceKey instance) {
    const auto found = heads_.find(instance);
    if (found == heads_.end()) return;
    undo_.emplace_back(instance, found->second);
    heads_.erase(found);
  }
  void keep() { undo_.clear(); }
  void undo() {
    for (; !undo_.empty(); undo_.pop_back()) {
      const auto& [instance, before] = undo_.back();
      if (before)
        heads_[instance] = *before;
      else
        heads_.erase(instance);
    }
  }
  void clear() {
    heads_.clear();
    undo_.clear();
  }

  std::size_t size() const { return heads_.size(); }
  auto begin() const { return heads_.begin(); }
  auto end() const { return heads_.end(); }

 private:
  boost::unordered_flat_map<InstanceKey, Head> heads_;
  std::vector<std::pair<InstanceKey, std::optional<Head>>> undo_;
};

}  // namespace workflows::storage::sqlite
