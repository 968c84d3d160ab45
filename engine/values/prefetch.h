#pragma once
// Where there are many instances, the memory of each is in no cache when its turn comes. Asked for some moments before,
// while others have theirs, it need not be waited for.

#include <cstddef>

namespace workflows::values {

// The first `bytes`: few lines at a time, for more would only queue.
template <std::size_t bytes>
void prefetch(const void* object) {
  constexpr std::size_t kLine = 64;
  const auto* const begin = static_cast<const char*>(object);
  for (std::size_t offset = 0; offset < bytes; offset += kLine) __builtin_prefetch(begin + offset);
  asm volatile("");  // without an effect, gcc 12 takes calls of functions that do nothing else for superfluous
}

}  // namespace workflows::values
