#pragma once
// The Store in memory: for tests and for databases that need not outlive the process. Thread-safe through one mutex;
// the data lives as long as the Database or one of its Stores.

#include "storage/store.h"

namespace workflows::storage::memory {

struct Data;  // memory_data.h

std::shared_ptr<Database> open_memory();
// Over data that the caller looks at, and whose time is the caller's.
std::shared_ptr<Database> open_memory(std::shared_ptr<Data> data);

}  // namespace workflows::storage::memory
