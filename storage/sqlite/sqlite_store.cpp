#include "storage/sqlite/sqlite_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include "storage/sqlite/sql.h"

namespace workflows::storage::sqlite {

SqliteStore::SqliteStore(std::unique_ptr<Connection> connection, std::unique_ptr<LockFile> locks, Millis busy_timeout)
    : connection_(std::move(connection)),
      locks_(std::move(locks)),
      busy_timeout_(busy_timeout),
      pid_(getpid()),
      names_(*connection_),
      journal_(*connection_),
      data_version_(connection_->integer(sql::kDataVersion)),
      checkpoint_at_pages_(kCheckpointPages) {}

// An owner that was not closed dies with its lock: others see that at once.
SqliteStore::~SqliteStore() = default;

Store::Counters SqliteStore::counters() const {
  return {.transactions = transactions_, .statements = connection_->statements};
}

std::optional<Error> SqliteStore::unusable() const {
  if (pid_ == getpid()) return std::nullopt;
  return Error{ErrorCode::forked, fmt::format("'{}' was opened by process {} and is used by its child {}: a connection "
                                              "does not survive fork. Open the database again in the child",
                                              connection_->path(), pid_, getpid())};
}

}  // namespace workflows::storage::sqlite
