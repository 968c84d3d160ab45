#pragma once
// Tells a forked child from its parent without a system call.

#include <cstdint>

namespace workflows::runtime {

// How many forks lie between the start of the program and this process.
std::uint32_t fork_count() noexcept;

}  // namespace workflows::runtime
