#pragma once
// The format of the file: who it belongs to, its version, and how each version becomes the next. FORMAT.md describes
// it.

#include <cstdint>

#include "storage/sqlite/connection.h"

namespace workflows::storage::sqlite {

inline constexpr std::int32_t kApplicationId = 0x57464C57;  // "WFLW"

// The version of the format that this library writes.
std::int32_t current_version();

// Brings a file of version `from` (0: an empty one) to the current version, in one transaction.
// Requires: no other writer.
void migrate(Connection& connection, std::int32_t from);

}  // namespace workflows::storage::sqlite
