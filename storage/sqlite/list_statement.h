#pragma once

#include <string>

#include <workflows/instance_info.h>

namespace workflows::storage::sqlite {

// Only the conditions that are asked for, so that each choice of them can use the index that suits it. Parameters: 1
// the key to go on after, 2 workflow, 3 status, 4 created after, 5 prefix of the id, 6 limit.
std::string list_statement(const ListQuery& query);

}  // namespace workflows::storage::sqlite
