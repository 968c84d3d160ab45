#include "tests/support/counting_vfs.h"

namespace workflows::testing {

int CountingVfs::write(File& file, const void* bytes, int amount, sqlite3_int64 offset) {
  if (const int code = writes_.count(); code != SQLITE_OK) return code;
  written_bytes_ += static_cast<std::uint64_t>(amount);
  return PassingVfs::write(file, bytes, amount, offset);
}

int CountingVfs::sync(File& file, int flags) {
  if (const int code = syncs_.count(); code != SQLITE_OK) return code;
  return PassingVfs::sync(file, flags);
}

void CountingVfs::heal() {
  syncs_.fail_from = 0;
  writes_.fail_from = 0;
}

void CountingVfs::Calls::fail(std::uint64_t nth, int with, Failure failure) {
  code = with;
  fail_to = failure == Failure::once ? calls + nth : UINT64_MAX;
  fail_from = calls + nth;
}

int CountingVfs::Calls::count() {
  const auto call = ++calls;
  const auto from = fail_from.load();
  return from != 0 && call >= from && call <= fail_to ? code.load() : SQLITE_OK;
}

}  // namespace workflows::testing
