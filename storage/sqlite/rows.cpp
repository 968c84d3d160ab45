#include "storage/sqlite/rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/sqlite/sql.h"

namespace workflows::storage::sqlite {
namespace {

constexpr int kEntryInstance = 0;
constexpr int kEntryPrev = 1;

Failed damaged(const Connection& connection, std::string_view what) {
  return {
      {ErrorCode::store_corrupt, fmt::format("'{}' is damaged: {}. Restore it from a backup", connection.path(), what)},
      true};
}

// A number that is kept for one of `Enum`.
template <class Enum>
Enum known(const Connection& connection, const Query& row, int column, std::string_view what) {
  const auto number = row.integer(column);
  const auto value = static_cast<Enum>(number);
  if (static_cast<std::int64_t>(value) != number || to_string(value) == "unknown")
    throw damaged(connection, fmt::format("it has {} {}, which this library does not know", what, number));
  return value;
}

// Entries of an instance as a whole are of no step.
StepKind step_kind(const Connection& connection, const Query& row, int column) {
  return row.integer(column) == 0 ? StepKind{} : known<StepKind>(connection, row, column, "the kind of step");
}

}  // namespace

StoredValue::StoredValue(Connection& connection, std::string_view text) : text_(text) {
  if (text.size() <= kInlineBytes) return;
  Query(connection, sql::kAddBlob, text).run();
  blob_ = connection.last_id();
}

void StoredValue::take_back(Connection& connection) const {
  if (blob_ != 0) Query(connection, sql::kRemoveBlob, blob_).run();
}

std::string read_value(Connection& connection, const Query& row, int column) {
  if (!row.is_integer(column)) return std::string(row.text(column));
  Query blob(connection, sql::kBlob, row.integer(column));
  if (!blob.next()) throw damaged(connection, fmt::format("blob {} is missing", row.integer(column)));
  return std::string(blob.text(0));
}

std::int64_t WorkflowNames::find(const std::string& name) {
  if (const auto known = ids_.find(name); known != ids_.end()) return known->second;
  Query row(connection_, sql::kWorkflowId, name);
  if (!row.next()) return 0;
  return ids_[name] = row.integer(0);
}

std::int64_t WorkflowNames::find_or_add(const std::string& name) {
  if (const auto id = find(name); id != 0) return id;
  Query(connection_, sql::kAddWorkflow, name).run();
  return ids_[name] = connection_.last_id();
}

const std::string& WorkflowNames::name(std::int64_t id) {
  if (const auto known = names_.find(id); known != names_.end()) return known->second;
  Query row(connection_, sql::kWorkflowName, id);
  if (!row.next()) throw damaged(connection_, fmt::format("the name of workflow {} is missing", id));
  return names_[id] = std::string(row.text(0));
}

void WorkflowNames::forget() {
  ids_.clear();
  names_.clear();
}

Status read_status(const Connection& connection, const Query& row, int column) {
  return known<Status>(connection, row, column, "the status");
}

InstanceInfo read_info(const Query& row, WorkflowNames& names) {
  return {.key = row.integer(0),
          .workflow = names.name(row.integer(1)),
          .id = std::string(row.text(2)),
          .generation = row.integer<std::uint32_t>(3),
          .status = read_status(names.connection(), row, 4),
          .created = row.time(5),
          .updated = row.time(6),
          .wake = row.optional_time(7),
          .version = std::string(row.text(8)),
          .owner = row.integer(9),
          .expires = row.optional_time(10)};
}

Entry read_entry(Connection& connection, const Query& row) {
  return {.kind = known<EntryKind>(connection, row, 2, "the kind of entry"),
          .step = row.integer<std::uint32_t>(3),
          .step_kind = step_kind(connection, row, 8),
          .occurrence = row.integer<std::uint32_t>(9),
          .name = std::string(row.text(7)),
          .after = row.integer<std::uint32_t>(10),
          .need = row.integer<std::uint32_t>(11),
          .attempt = row.integer<std::uint32_t>(4),
          .at = row.time(5),
          .began = row.optional_time(6),
          .deadline = row.optional_time(13),
          .event = row.integer(15),
          .event_type = std::string(row.text(16)),
          .detail = std::string(row.text(17)),
          .source = std::string(row.text(14)),
          .value = read_value(connection, row, 12)};
}

InboxEvent read_event(Connection& connection, const Query& row) {
  return {.id = row.integer(0),
          .type = std::string(row.text(2)),
          .payload = read_value(connection, row, 5),
          .at = row.time(3),
          .taken = row.integer(4) != 0};
}

std::vector<RecordedEntry> read_history(Connection& connection, InstanceKey instance, std::int64_t head,
                                        std::int64_t after) {
  std::vector<RecordedEntry> history;
  for (auto seq = head; seq > after;) {
    Query row(connection, sql::kEntry, seq);
    if (!row.next() || row.integer(kEntryInstance) != instance || row.integer(kEntryPrev) >= seq)
      throw damaged(connection,
                    fmt::format("journal entry {} of instance {} is missing or not its own", seq, instance));
    history.push_back({seq, read_entry(connection, row)});
    seq = row.integer(kEntryPrev);
  }
  std::ranges::reverse(history);
  return history;
}

}  // namespace workflows::storage::sqlite
