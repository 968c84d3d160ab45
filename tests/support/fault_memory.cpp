#include "tests/support/fault_memory.h"

#include <sqlite3.h>

#include <atomic>
#include <cstdlib>

namespace workflows::testing {
namespace {

std::atomic<std::uint64_t> calls{0};
std::atomic<std::uint64_t> fail_from{0};
std::atomic<bool> fail_on{false};
sqlite3_mem_methods real;

bool fails() {
  const auto from = fail_from.load();
  if (from == 0) return false;
  const auto call = ++calls;
  return call == from || (call > from && fail_on);
}

bool install() {
  if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK) std::abort();
  auto failing = real;
  failing.xMalloc = [](int bytes) { return fails() ? nullptr : real.xMalloc(bytes); };
  failing.xRealloc = [](void* old, int bytes) { return fails() ? nullptr : real.xRealloc(old, bytes); };
  if (sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) != SQLITE_OK) std::abort();
  return true;
}

[[maybe_unused]] const bool installed = install();

}  // namespace

void FaultMemory::fail(std::uint64_t nth, bool lasting) {
  calls = 0;
  fail_on = lasting;
  fail_from = nth;
}

bool FaultMemory::has_failed() {
  const auto from = fail_from.load();
  return from != 0 && calls >= from;
}

}  // namespace workflows::testing
