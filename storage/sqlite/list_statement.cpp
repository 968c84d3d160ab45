#include "storage/sqlite/list_statement.h"

#include "storage/sqlite/sql.h"

namespace workflows::storage::sqlite {

// The `+` keeps SQLite from sorting all instances of a workflow for one page: it walks the keys instead.
std::string list_statement(const ListQuery& query) {
  std::string sql = "SELECT " WORKFLOWS_SQL_INFO " FROM instances WHERE key > ?1";
  if (query.workflow) sql += query.id_prefix.empty() ? " AND +workflow = ?2" : " AND workflow = ?2";
  if (query.status) sql += is_finished(*query.status) ? " AND status = ?3" : " AND status = ?3 AND status < 16";
  if (!query.status) sql += " AND status <> 19";
  if (query.created_after) sql += " AND created > ?4";
  // Ids are ASCII: everything that begins with the prefix lies below the prefix and the last character there is.
  if (!query.id_prefix.empty()) sql += " AND id >= ?5 AND id < ?5 || char(0x10FFFF)";
  if (query.newest_only) sql += " AND " WORKFLOWS_SQL_IS_NEWEST;
  return sql + " ORDER BY key LIMIT ?6";
}

}  // namespace workflows::storage::sqlite
