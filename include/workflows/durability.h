#pragma once

#include <cstdint>

namespace workflows {

// What "acknowledged" means (S5). There is no third level.
enum class Durability : std::uint8_t {
  full,    // survives power loss
  normal,  // survives the death of the process; the last commits may be lost with the power
};

}  // namespace workflows
