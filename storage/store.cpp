// What a store can answer by its other verbs. A backend that has a shorter way takes that.

#include "storage/store.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

namespace workflows::storage {
namespace {

std::expected<void, Error> for_each(Store& store, ListQuery query,
                                    const std::function<void(const InstanceInfo&)>& look) {
  for (;;) {
    const auto page = store.list(query);
    if (!page) return std::unexpected(page.error());
    for (const InstanceInfo& info : *page) look(info);
    if (page->size() < query.limit) return {};
    query.after = page->back().key;
  }
}

}  // namespace

Error out_of_memory() {
  return {ErrorCode::store,
          "memory ran out, and what was under way was dropped; nothing that was acknowledged is lost. Give the process "
          "more memory and open the database again"};
}

std::expected<std::vector<InstanceInfo>, Error> Store::find_everywhere(const std::string& id) {
  std::map<std::string, InstanceInfo> newest;
  const auto looked = for_each(*this, {.id_prefix = id}, [&](const InstanceInfo& info) {
    if (info.id == id) newest[info.workflow] = info;  // a later generation has a greater key
  });
  if (!looked) return std::unexpected(looked.error());
  std::vector<InstanceInfo> found;
  found.reserve(newest.size());
  for (auto& [workflow, info] : newest) found.push_back(std::move(info));
  return found;
}

std::expected<std::vector<JournalEntry>, Error> Store::journal(std::optional<std::int64_t> after, std::uint32_t limit) {
  std::vector<JournalEntry> found;
  std::optional<Error> failed;
  const auto looked = for_each(*this, {}, [&](const InstanceInfo& info) {
    auto recorded = entries(info.key, after.value_or(0));
    if (!recorded) failed = recorded.error();
    if (failed) return;
    for (RecordedEntry& entry : *recorded) found.push_back({.instance = info.key, .recorded = std::move(entry)});
  });
  if (!looked) return std::unexpected(looked.error());
  if (failed) return std::unexpected(*failed);
  std::ranges::sort(found, {}, [](const JournalEntry& entry) { return entry.recorded.cursor; });
  const auto excess = static_cast<std::ptrdiff_t>(found.size() - std::min<std::size_t>(limit, found.size()));
  if (after)
    found.erase(found.end() - excess, found.end());
  else
    found.erase(found.begin(), found.begin() + excess);
  return found;
}

std::expected<Statistics, Error> Store::statistics(TimePoint) {
  Statistics statistics;
  std::map<std::pair<std::string, Status>, std::uint64_t> counts;
  const auto looked = for_each(*this, {.newest_only = true}, [&](const InstanceInfo& info) {
    ++counts[{info.workflow, info.status}];
    if (info.status == Status::queued)
      statistics.oldest_runnable = std::min(info.updated, statistics.oldest_runnable.value_or(info.updated));
  });
  if (!looked) return std::unexpected(looked.error());
  for (const auto& [what, instances] : counts)
    statistics.counts.push_back({.workflow = what.first, .status = what.second, .instances = instances});
  const auto engines = this->engines();
  if (!engines) return std::unexpected(engines.error());
  statistics.engines = static_cast<std::uint64_t>(std::ranges::count_if(*engines, &EngineInfo::alive));
  return statistics;
}

std::expected<std::vector<EngineInfo>, Error> Store::engines() { return std::vector<EngineInfo>(); }

std::expected<std::vector<Finding>, Error> Store::check(TimePoint, const std::function<void(std::string_view)>&) {
  return std::vector<Finding>();
}

}  // namespace workflows::storage
