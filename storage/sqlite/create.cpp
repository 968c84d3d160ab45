// New instances. Those with new ids are written by tens.

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "engine/values/json.h"
#include "storage/sqlite/sql.h"
#include "storage/sqlite/sqlite_store.h"

namespace workflows::storage::sqlite {
namespace {

constexpr std::size_t kRowsAtOnce = 10;

}  // namespace

// What of an instance is not in its Create. Writes its params, if they need a row of their own.
struct SqliteStore::NewRow {
  NewRow(SqliteStore& store, const WriteBatch& batch, const Create& new_instance)
      : item(new_instance),
        owner(item.owned ? owner_of(batch).id : 0),
        workflow(store.names_.find_or_add(item.workflow)),
        params(*store.connection_, item.params),
        retention(item.retention) {}

  void bind_to(Query& query) const {
    const auto status = item.owned ? Status::running : Status::queued;
    query.bind_next(workflow, item.id, static_cast<int>(status), owner, item.owned, item.created, item.created,
                    Maybe{item.version}, params, retention.success, retention.failure);
  }

  const Create& item;
  OwnerId owner;
  std::int64_t workflow;
  StoredValue params;
  StoredRetention retention;
};

ItemResult SqliteStore::apply(const WriteBatch& batch, const Create& item) { return create(batch, item); }

ItemResult SqliteStore::apply(const WriteBatch& batch, const CreateBatch& item) {
  CreatedBatch results;
  results.created.reserve(item.creates.size());
  for (std::span<const Create> left = item.creates; !left.empty();) {
    const auto first = left.first(std::min(kRowsAtOnce, left.size()));
    if (first.size() == kRowsAtOnce && std::ranges::all_of(first, &Create::new_id)) {
      create_new(batch, first, results.created);
    } else {
      for (const Create& one : first) results.created.push_back(create(batch, one));
    }
    left = left.subspan(first.size());
  }
  return results;
}

Created SqliteStore::create(const WriteBatch& batch, const Create& item) {
  const NewRow row(*this, batch, item);
  {
    Query query(*connection_, item.new_id ? sql::kCreateNew : sql::kCreate);
    row.bind_to(query);
    query.run();
  }
  if (connection_->changed_rows() == 1) return created(connection_->last_id(), item);
  row.params.take_back(*connection_);
  Query existing(*connection_, sql::kParamsById, row.workflow, item.id);
  existing.next();
  return Created{.key = existing.integer(0),
                 .existed = true,
                 .same_params = values::is_same_json(read_value(*connection_, existing, 1), item.params)};
}

// The keys of rows that one statement inserts follow each other.
void SqliteStore::create_new(const WriteBatch& batch, std::span<const Create> ten, std::vector<Created>& results) {
  std::vector<NewRow> rows;
  rows.reserve(ten.size());
  for (const Create& item : ten) rows.emplace_back(*this, batch, item);
  Query query(*connection_, sql::kCreateTen);
  for (const NewRow& row : rows) row.bind_to(query);
  query.run();
  const auto count = static_cast<InstanceKey>(ten.size());
  InstanceKey key = connection_->last_id() - count;
  for (const Create& item : ten) results.push_back(created(++key, item));
}

Created SqliteStore::created(InstanceKey key, const Create& item) {
  if (item.owned) heads_.set(key, {});
  return Created{.key = key, .owned = item.owned};
}

}  // namespace workflows::storage::sqlite
