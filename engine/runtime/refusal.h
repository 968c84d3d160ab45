#pragma once
// The words for what a store refused, the same for the engine and for clients.

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <workflows/client.h>
#include <workflows/error.h>

#include "storage/store.h"

namespace workflows::runtime {

// Why a create that met an existing instance is an error (S2), if it is.
std::optional<Error> conflict(const storage::Created& created, const CreateRequest& request);
// An event, or a look-up, for an instance that is finished or not there (S24).
Error refusal(ErrorCode code, const std::string& workflow, const std::string& id);
// A lifecycle call that was refused; `wanted` such as "paused".
Error refusal(const storage::Controlled& done, const std::string& workflow, const std::string& id,
              std::string_view wanted);
std::variant<InstanceRef, Error> outcome_of(const storage::Created& created, const CreateRequest& request);

}  // namespace workflows::runtime
