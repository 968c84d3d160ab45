#include "storage/sqlite/journal_appender.h"

#include "storage/sqlite/sql.h"

namespace workflows::storage::sqlite {
namespace {

constexpr std::size_t kRowsAtOnce = 10;

}  // namespace

std::int64_t JournalAppender::append(InstanceKey instance, std::int64_t prev, const Entry& entry) {
  const Row row{++last_, instance, prev, entry, StoredValue(connection_, entry.value)};
  if (!is_common(entry)) {
    flush();
    write_one(row);
    return last_;
  }
  waiting_.push_back(row);
  if (waiting_.size() == kRowsAtOnce) {
    Query query(connection_, sql::kAppendTen);
    for (const Row& waiting : waiting_) bind_common(query, waiting);
    query.run();
    waiting_.clear();
  }
  return last_;
}

bool JournalAppender::is_common(const Entry& entry) {
  return entry.event == 0 && entry.event_type.empty() && entry.detail.empty();
}

void JournalAppender::flush() {
  for (const Row& row : waiting_) write_one(row);
  waiting_.clear();
}

void JournalAppender::write_one(const Row& row) {
  Query query(connection_, sql::kAppend);
  bind_common(query, row);
  const Entry& entry = row.entry;
  query.bind_next(entry.event, Maybe{entry.event_type}, Maybe{entry.detail});
  query.run();
}

void JournalAppender::bind_common(Query& query, const Row& row) {
  const Entry& entry = row.entry;
  query.bind_next(row.seq, row.instance, row.prev, static_cast<int>(entry.kind), entry.step, entry.attempt, entry.at,
                  entry.began, Maybe{entry.name}, static_cast<int>(entry.step_kind), entry.occurrence, entry.after,
                  entry.need, row.value, entry.deadline, Maybe{entry.source});
}

}  // namespace workflows::storage::sqlite
