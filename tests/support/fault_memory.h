#pragma once
// SQLite's memory runs out on demand. Linked into a program, it is installed before main: SQLite takes no other
// allocator once it is in use.

#include <cstdint>

namespace workflows::testing {

class FaultMemory {
 public:
  // The `nth` allocation of SQLite from now fails; with `lasting`, so do all that follow. 0: none.
  static void fail(std::uint64_t nth, bool lasting = false);
  static bool has_failed();
};

}  // namespace workflows::testing
