#pragma once
// How the values of the engine lie in rows, and back.

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <workflows/instance_info.h>
#include <workflows/journal.h>

#include "storage/sqlite/connection.h"

namespace workflows::storage::sqlite {

// Longer values get a row of their own, so that the hot tables stay small.
inline constexpr std::size_t kInlineBytes = 4096;

// A value on its way into a column: absent, in place, or the id of its blob.
class StoredValue {
 public:
  // Writes the blob if one is needed. The text must outlive this.
  StoredValue(Connection& connection, std::string_view text);
  void bind_to(auto bind) const {
    if (blob_ != 0)
      bind(blob_);
    else
      bind(Maybe{text_});
  }
  // The column was not written after all.
  void take_back(Connection& connection) const;

 private:
  std::string_view text_;
  std::int64_t blob_ = 0;
};
std::string read_value(Connection& connection, const Query& row, int column);

// A retention on its way into its columns: NULL is not known yet.
struct StoredRetention {
  explicit StoredRetention(const std::optional<Retention>& retention) {
    if (!retention) return;
    success = millis(retention->success);
    failure = millis(retention->failure);
  }
  static std::int64_t millis(const std::optional<Duration>& duration) {
    constexpr std::int64_t kForEver = -1;
    return duration ? duration->millis().count() : kForEver;
  }

  std::optional<std::int64_t> success{};
  std::optional<std::int64_t> failure{};
};

// Workflows' names are kept once. Remembers what it has seen.
class WorkflowNames {
 public:
  explicit WorkflowNames(Connection& connection) : connection_(connection) {}

  // 0: no instance of this workflow was ever created.
  std::int64_t find(const std::string& name);
  std::int64_t find_or_add(const std::string& name);
  const std::string& name(std::int64_t id);
  // After a rollback: what was added is gone.
  void forget();

  const Connection& connection() const { return connection_; }

 private:
  Connection& connection_;
  std::unordered_map<std::string, std::int64_t> ids_;
  std::unordered_map<std::int64_t, std::string> names_;
};

// A status is known, or the row is damaged.
Status read_status(const Connection& connection, const Query& row, int column);

// Rows of the columns that sql.h lists for them.
InstanceInfo read_info(const Query& row, WorkflowNames& names);
Entry read_entry(Connection& connection, const Query& row);
InboxEvent read_event(Connection& connection, const Query& row);

// The instance's entries from `head` back to the first one after `after`, in commit order. Throws Failed
// (store_corrupt) on a broken chain.
std::vector<RecordedEntry> read_history(Connection& connection, InstanceKey instance, std::int64_t head,
                                        std::int64_t after);

}  // namespace workflows::storage::sqlite
