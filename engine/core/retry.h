#pragma once
// When a failed attempt is tried again (S9).

#include <cstdint>

#include <workflows/config.h>

namespace workflows::core {

// The wait after `failed_attempt` (1-based), from 0 to `max_delay`. `random01`, from 0 to 1, fills the share of the
// delay that jitter leaves open: with jitter 0.2 the wait is 80 to 100 % of the delay.
Millis retry_delay(const Retries& retries, std::uint32_t failed_attempt, double random01);

}  // namespace workflows::core
