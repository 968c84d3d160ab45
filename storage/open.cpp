#include "storage/memory/memory_store.h"
#include "storage/sqlite/sqlite_database.h"
#include "storage/store.h"

namespace workflows::storage {

std::expected<std::shared_ptr<Database>, Error> open_database(const OpenOptions& options) {
  if (options.location == ":memory:") return memory::open_memory();
  return sqlite::open_sqlite(options);
}

}  // namespace workflows::storage
