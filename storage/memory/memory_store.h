#pragma once
// The Store in memory: for tests and for databases that need not outlive the process. Thread-safe through one mutex;
// the data lives as long as the Database or one of its Stores.

#include "storage/store.h"

namespace workflows::storage::memory {

std::shared_ptr<Database> open_memory();

}  // namespace workflows::storage::memory
