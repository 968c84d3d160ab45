#include <workflows/maintenance.h>

#include <fmt/format.h>

#include <algorithm>
#include <expected>
#include <set>
#include <utility>

#include "engine/runtime/client_access.h"
#include "engine/values/json_writer.h"
#include "engine/values/mutex.h"
#include "engine/values/redaction.h"
#include "storage/store.h"

namespace workflows {
namespace {

template <class T>
T value_or_throw(std::expected<T, Error> result) {
  if (!result) throw_error(result.error());
  return std::move(*result);
}

std::optional<Status> end_of(EntryKind kind) {
  const auto status = status_of(kind);
  return status && is_finished(*status) ? status : std::nullopt;
}

[[noreturn]] void refuse(const InstanceInfo& info, std::string_view why) {
  throw SerializationError(
      fmt::format("The history of {}/{} cannot be imported: {}. Nothing was written.", info.workflow, info.id, why));
}

// An end stands at the end, and the status says the same.
void check_end(const InstanceHistory& history) {
  std::optional<Status> ended;
  for (const auto& [cursor, entry] : history.entries) {
    if (ended) refuse(history.info, "entries follow the one that ends it");
    ended = end_of(entry.kind);
  }
  const Status status = history.info.status;
  if (is_finished(status) != ended.has_value() || (ended && *ended != status))
    refuse(history.info, fmt::format("its status is {}, and its last entry says otherwise", to_string(status)));
}

// Each wait that got an event took another one, which the inbox has and marks as taken, and no other.
void check_events(const InstanceHistory& history) {
  std::set<std::int64_t> taken;
  for (const auto& [cursor, entry] : history.entries) {
    if ((entry.kind == EntryKind::wait_taken) != (entry.event != 0) ||
        (entry.event != 0 && !taken.insert(entry.event).second))
      refuse(history.info, fmt::format("the entry with cursor {} takes event {}", cursor, entry.event));
  }
  std::set<std::int64_t> known;
  for (const InboxEvent& event : history.inbox) {
    if (!known.insert(event.id).second) refuse(history.info, fmt::format("its inbox has two events {}", event.id));
    if (event.taken != (taken.erase(event.id) != 0))
      refuse(history.info, fmt::format("event {} is {}marked as taken, and its entries say otherwise", event.id,
                                       event.taken ? "" : "not "));
  }
  if (!taken.empty())
    refuse(history.info, fmt::format("it takes event {}, which its inbox does not have", *taken.begin()));
}

void pause(InstanceHistory& history, TimePoint now) {
  InstanceInfo& info = history.info;
  const bool is_paused = !history.entries.empty() && history.entries.back().entry.kind == EntryKind::paused;
  if (!is_paused) {
    const std::int64_t cursor = history.entries.empty() ? 1 : history.entries.back().cursor + 1;
    history.entries.push_back(
        {.cursor = cursor,
         .entry = {.kind = EntryKind::paused,
                   .at = now,
                   .value = values::JsonObject()
                                .text("reason", "imported")
                                .text("message", "resume it to let an engine of this database go on with it")
                                .take()}});
    info.updated = now;
  }
  info.status = Status::paused;
  info.wake.reset();
}

}  // namespace

void check_importable(const HistoryDocument& document) {
  const InstanceInfo& info = document.history.info;
  check_end(document.history);
  check_events(document.history);
  if (is_finished(info.status)) return;
  if (info.status == Status::rolling_back)
    refuse(info, "it is rolling back. Let it finish where it runs, and export it then");
  if (document.redacted)
    refuse(info, "it is not finished, and cannot go on with values that were redacted. Export it with --sensitive");
}

struct Maintenance::State {
  explicit State(const ClientOptions& options)
      : database(value_or_throw(storage::open_database(
            {.location = options.database, .create = options.create, .read_only = options.read_only}))),
        client(ClientAccess::open(database, nullptr)),
        store(value_or_throw(database->connect())) {}

  std::shared_ptr<storage::Database> database;
  Client client;
  values::Mutex mutex;
  std::unique_ptr<storage::Store> store PT_GUARDED_BY(mutex);
};

Maintenance::Maintenance(ClientOptions options) : state_(std::make_unique<State>(options)) {}
Maintenance::~Maintenance() = default;

Client& Maintenance::client() { return state_->client; }

std::vector<InstanceInfo> Maintenance::find_everywhere(const std::string& id) {
  const values::MutexLock lock(state_->mutex);
  return value_or_throw(state_->store->find_everywhere(id));
}

std::vector<JournalEntry> Maintenance::journal(std::optional<std::int64_t> after, std::uint32_t limit) {
  const values::MutexLock lock(state_->mutex);
  return value_or_throw(state_->store->journal(after, limit));
}

Statistics Maintenance::statistics(TimePoint now) {
  const values::MutexLock lock(state_->mutex);
  return value_or_throw(state_->store->statistics(now));
}

std::vector<EngineInfo> Maintenance::engines() {
  const values::MutexLock lock(state_->mutex);
  return value_or_throw(state_->store->engines());
}

std::vector<Finding> Maintenance::check(TimePoint now, const std::function<void(std::string_view)>& progress) {
  const values::MutexLock lock(state_->mutex);
  return value_or_throw(state_->store->check(now, progress));
}

InstanceRef Maintenance::import_history(HistoryDocument document, TimePoint now) {
  const values::MutexLock lock(state_->mutex);
  InstanceHistory& history = document.history;
  check_importable(document);
  if (document.redacted) values::mark_as_redacted(history);
  if (!is_finished(history.info.status)) pause(history, now);
  const InstanceRef ref{.workflow = history.info.workflow, .id = history.info.id};
  const storage::Item item = storage::Import{.history = std::move(history)};
  const auto created =
      std::get<storage::Created>(value_or_throw(state_->store->commit({.items = std::span(&item, 1)})).front());
  if (created.existed)
    throw InstanceExistsError(
        fmt::format("There is an instance {}/{} in this database already; nothing was imported. "
                    "Delete it first, or import into another file.",
                    ref.workflow, ref.id));
  return {.key = created.key, .workflow = ref.workflow, .id = ref.id};
}

}  // namespace workflows
