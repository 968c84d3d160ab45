#pragma once
// Appends to the journal: numbers the entries and writes them ten to a statement, for most of what SQLite does for one
// row it does once a statement.

#include <cstdint>
#include <vector>

#include "storage/sqlite/connection.h"
#include "storage/sqlite/rows.h"

namespace workflows::storage::sqlite {

class JournalAppender {
 public:
  explicit JournalAppender(Connection& connection) : connection_(connection) {}

  // In a transaction, before its first entry: `newest` is the greatest `seq` that there is.
  void number_after(std::int64_t newest) { last_ = newest; }
  // The entry's `seq`. Requires: the entry stays where it is until `flush`.
  std::int64_t append(InstanceKey instance, std::int64_t prev, const Entry& entry);
  // Before the transaction ends.
  void flush();
  // After a rollback.
  void forget() { waiting_.clear(); }
  std::int64_t last() const { return last_; }

 private:
  struct Row {
    std::int64_t seq;
    InstanceKey instance;
    std::int64_t prev;
    const Entry& entry;
    StoredValue value;
  };

  static bool is_common(const Entry& entry);
  void write_one(const Row& row);
  static void bind_common(Query& query, const Row& row);

  Connection& connection_;
  std::vector<Row> waiting_;  // common ones
  std::int64_t last_ = 0;
};

}  // namespace workflows::storage::sqlite
