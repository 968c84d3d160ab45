#include "tests/fuzz/damaged_database.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/values/text.h"
#include "storage/sqlite/sqlite_database.h"
#include "tests/fuzz/promise.h"
#include "tests/support/passing_vfs.h"
#include "tests/support/temp_dir.h"

namespace workflows::fuzz {
namespace {

using namespace storage;

constexpr std::size_t kEditBytes = 5;
const std::string kSides[] = {"", "-wal"};

// What becomes of the files is not looked at after a loss of power.
class FastDisk final : public testing::PassingVfs {
  int sync(File&, int) override { return SQLITE_OK; }
};

template <class T>
T must(std::expected<T, Error> result) {
  require(result.has_value(), result ? "" : result.error().message);
  return std::move(*result);
}

// Whatever was met, it is one of the store's errors, in text that can be shown.
template <class T>
bool is_fine(const std::expected<T, Error>& result) {
  if (result) return true;
  const Error& error = result.error();
  require(error.code == ErrorCode::store || error.code == ErrorCode::store_corrupt ||
              error.code == ErrorCode::store_version || error.code == ErrorCode::instance_not_found,
          "an error of the store: " + error.message);
  require(!error.message.empty() && values::as_valid_utf8(error.message) == error.message, "a message can be shown");
  return false;
}

Entry entry(EntryKind kind, std::string value, std::int64_t event = 0) {
  Entry made;
  made.kind = kind;
  made.step_kind = StepKind::do_;
  made.name = "step";
  made.occurrence = 1;
  made.event = event;
  made.value = std::move(value);
  return made;
}

void fill(Store& store, const Owner& owner) {
  const auto commit = [&](std::vector<Item> items) { return must(store.commit({.owner = owner, .items = items})); };
  for (const auto* id : {"a", "b", "c"})
    commit({Create{.workflow = "order", .id = id, .params = std::string(5000, ' '), .owned = true},
            SendEvent{.workflow = "order", .id = id, .type = "paid", .payload = "1", .event_id = "e"}});
  for (int round = 0; round < 12; ++round)
    commit({AppendEntry{.instance = 1, .entry = entry(EntryKind::step_completed, std::string(400, '1'))},
            AppendEntry{.instance = 2, .entry = entry(EntryKind::step_completed, std::string(5000, '2'))}});
  commit({AppendEntry{.instance = 1, .entry = entry(EntryKind::wait_taken, "", 1)},
          AppendEntry{.instance = 3, .entry = entry(EntryKind::instance_completed, "3")}});
}

struct Files {
  std::string contents[2];  // as kSides
};

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Some of it in the file, some in the WAL, with an engine that died.
Files sound_files() {
  const testing::TempDir folder;
  const std::string path = folder.path() / "sound.db";
  const auto open = [&] { return must(must(sqlite::open_sqlite({.location = path}))->connect()); };
  {
    const auto store = open();
    fill(*store, must(store->open_owner(std::chrono::hours(1))));
  }
  const auto store = open();
  const auto owner = must(store->open_owner(std::chrono::hours(1)));
  const Item claim = Claim{.workflows = {"order"}, .queued = 9};
  must(store->commit({.owner = owner, .items = {&claim, 1}}));
  const Item more = AppendEntry{.instance = 1, .entry = entry(EntryKind::step_completed, std::string(9000, '4'))};
  must(store->commit({.owner = owner, .items = {&more, 1}}));
  return {{bytes_of(path), bytes_of(path + "-wal")}};
}

void edit(Files& files, std::string_view edits) {
  const std::size_t all = files.contents[0].size() + files.contents[1].size();
  for (; edits.size() >= kEditBytes; edits.remove_prefix(kEditBytes)) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < 4; ++i) at = at << 8 | static_cast<unsigned char>(edits[i]);
    at %= all;
    auto& content = files.contents[at < files.contents[0].size() ? 0 : 1];
    content[at < files.contents[0].size() ? at : at - files.contents[0].size()] = edits[4];
  }
}

bool is_read(Store& store, const InstanceInfo& info) {
  require(to_string(info.status) != "unknown", "a status is one that is known");
  bool fine = is_fine(store.find(info.workflow, info.id));
  fine &= is_fine(store.status(info.key));
  const auto loaded = store.load(info.key);
  if (!is_fine(loaded)) return false;
  for (const Entry& recorded : loaded->history) {
    require(to_string(recorded.kind) != "unknown", "the kind of an entry is one that is known");
    require(recorded.step_kind == StepKind{} || to_string(recorded.step_kind) != "unknown", "so is that of a step");
  }
  return fine;
}

bool is_read(Store& store) {
  const auto infos = store.list({});
  if (!is_fine(infos)) return false;
  bool fine = true;
  for (const auto& info : *infos) fine &= is_read(store, info);
  return fine;
}

bool is_written(Store& store) {
  const auto owner = store.open_owner(std::chrono::hours(1));
  if (!is_fine(owner) || !is_fine(store.arrivals(owner->id, 0, 100)) || !is_fine(store.with_untaken_events(owner->id)))
    return false;
  const std::vector<Item> items{Create{.workflow = "order", .id = "new", .params = "{}", .owned = true},
                                SendEvent{.workflow = "order", .id = "a", .type = "paid", .payload = "2"},
                                Claim{.workflows = {"order"}, .queued = 9, .waiting = 9}};
  const auto results = store.commit({.owner = *owner, .items = items});
  if (!is_fine(results)) return false;
  for (const auto& info : std::get<Claimed>(results->at(2)).instances) {
    const Item next = AppendEntry{.instance = info.key, .entry = entry(EntryKind::step_completed, "5")};
    if (!is_fine(store.commit({.owner = *owner, .items = {&next, 1}}))) return false;
  }
  return is_fine(store.close_owner(*owner));
}

}  // namespace

Met damaged_database(std::string_view edits) {
  const FastDisk disk;
  static const Files sound = sound_files();
  static const testing::TempDir folder;
  const std::string path = folder.path() / "damaged.db";
  for (const auto& file : std::filesystem::directory_iterator(folder.path())) std::filesystem::remove(file);
  Files files = sound;
  edit(files, edits);
  for (std::size_t i = 0; i < std::size(kSides); ++i)
    std::ofstream(path + kSides[i], std::ios::binary) << files.contents[i];

  const auto database = sqlite::open_sqlite({.location = path}, Millis(0));
  if (!is_fine(database)) return Met::a_refusal;
  const auto store = (*database)->connect();
  if (!is_fine(store)) return Met::a_refusal;
  bool fine = is_read(**store);
  fine &= is_written(**store);
  fine &= is_read(**store);
  return fine ? Met::nothing : Met::an_error;
}

}  // namespace workflows::fuzz
