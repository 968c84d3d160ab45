#pragma once
// A step's idempotency key (S14).

#include <cstdint>
#include <string>
#include <string_view>

#include <workflows/journal.h>

#include "engine/core/instance.h"

namespace workflows::core {

// A UUID v5, the same for all attempts and replays of a step, another one for every other step, instance and
// generation. Users hand it to the outside world: its encoding must never change.
std::string idempotency_key(const Identity& identity, StepKind kind, std::string_view name, std::uint32_t occurrence);

}  // namespace workflows::core
