#pragma once
// Any sequence of entries, as a file of anybody may hold it. The core names what is wrong with it, or takes it as its
// history and goes on, whatever the code asks then. It never ends the process, and never fills the memory.

#include <string_view>

namespace workflows::fuzz {

// First the entries and the inbox, then what the code, the host and the clock do.
void any_history(std::string_view bytes);

}  // namespace workflows::fuzz
