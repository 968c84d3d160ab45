#pragma once
// The fixture of the conformance suite: every test runs on every backend, through storage/store.h alone.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "storage/store.h"
#include "tests/support/temp_dir.h"

namespace workflows::storage {

inline constexpr Millis kHour = std::chrono::hours(1);

inline TimePoint at(std::int64_t ms) { return TimePoint(Millis(1'700'000'000'000 + ms)); }

// The value, or the end of the test with the error's message.
template <class T>
T must(std::expected<T, Error> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

template <class T>
Error error_of(const std::expected<T, Error>& result) {
  return result ? throw std::runtime_error("an error was expected") : result.error();
}

// A WriteBatch that keeps its items.
struct Batch {
  std::optional<Owner> owner{};
  std::vector<Item> items{};
  operator WriteBatch() const { return {owner, items}; }
};

template <class... Items>
Batch batch(std::optional<Owner> owner, Items... items) {
  return {.owner = owner, .items = {std::move(items)...}};
}

inline Create new_instance(std::string id, std::string workflow = "order") {
  return {.workflow = std::move(workflow), .id = std::move(id), .params = "{}", .version = "", .created = at(0)};
}

inline Entry completed(std::uint32_t step, std::string value = "1") {
  Entry entry;
  entry.kind = EntryKind::step_completed;
  entry.step = step;
  entry.step_kind = StepKind::do_;
  entry.name = "step";
  entry.occurrence = step + 1;
  entry.attempt = 1;
  entry.at = at(step);
  entry.value = std::move(value);
  return entry;
}

inline Entry ending(EntryKind kind, std::string value = "null") {
  Entry entry;
  entry.kind = kind;
  entry.at = at(1000);
  entry.value = std::move(value);
  return entry;
}

inline Entry taking(std::int64_t event) {
  Entry entry;
  entry.kind = EntryKind::wait_taken;
  entry.at = at(500);
  entry.event = event;
  return entry;
}

inline AppendEntry append(InstanceKey instance, Entry entry) {
  return {.instance = instance, .entry = std::move(entry)};
}

inline SetStatus set_status(InstanceKey instance, Status status, std::optional<TimePoint> wake = std::nullopt) {
  return {.instance = instance, .status = status, .wake = wake, .at = at(100)};
}

inline SetStatus unload(InstanceKey instance, std::optional<TimePoint> wake = std::nullopt) {
  auto item = set_status(instance, Status::waiting, wake);
  item.unload = true;
  return item;
}

inline SendEvent event_for(std::string id, std::string payload = "null", std::string event_id = "") {
  return {.workflow = "order",
          .id = std::move(id),
          .type = "paid",
          .payload = std::move(payload),
          .event_id = std::move(event_id),
          .at = at(10)};
}

class StoreContract : public ::testing::TestWithParam<std::string> {
 protected:
  // Another connection to the one database of the test.
  std::unique_ptr<Store> connect() { return must(database_->connect()); }

  static InstanceKey create(Store& store, std::string id, std::optional<Owner> owner = std::nullopt) {
    auto item = new_instance(std::move(id));
    item.owned = owner.has_value();
    return std::get<Created>(must(store.commit(batch(owner, item))).at(0)).key;
  }

  static std::vector<InstanceInfo> claim(Store& store, Owner owner, std::uint32_t queued, std::uint32_t waiting) {
    const auto item = Claim{.workflows = {"order"}, .queued = queued, .waiting = waiting};
    return std::get<Claimed>(must(store.commit(batch(owner, item))).at(0)).instances;
  }

  static Sent send(Store& store, SendEvent event) {
    return std::get<Sent>(must(store.commit(batch(std::nullopt, std::move(event)))).at(0));
  }

 private:
  std::shared_ptr<Database> open() const {
    return must(open_database({.location = GetParam() == "memory" ? ":memory:" : folder_.path() / "test.db"}));
  }

  testing::TempDir folder_;
  std::shared_ptr<Database> database_ = open();
};

inline std::vector<std::string> ids_of(const std::vector<InstanceInfo>& infos) {
  std::vector<std::string> ids;
  for (const auto& info : infos) ids.push_back(info.id);
  return ids;
}

}  // namespace workflows::storage
