#pragma once
// Opens an SQLite file as a Database.

#include "storage/sqlite/sqlite_store.h"

namespace workflows::storage::sqlite {

std::expected<std::shared_ptr<Database>, Error> open_sqlite(const OpenOptions& options,
                                                            Millis busy_timeout = kBusyTimeout);

}  // namespace workflows::storage::sqlite
