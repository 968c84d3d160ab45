#pragma once
// A PassingVfs that counts what is asked of the disk and can fail on demand.
//
//   CountingVfs disk;
//   ... open a database, write ...
//   EXPECT_EQ(disk.syncs(), 1u);
//   disk.fail_sync(1, SQLITE_IOERR_FSYNC);   // the next one fails, once

#include <atomic>
#include <cstdint>

#include "tests/support/passing_vfs.h"

namespace workflows::testing {

class CountingVfs : public PassingVfs {
 public:
  // Of all files since the beginning, failed ones included.
  std::uint64_t syncs() const { return syncs_.calls; }
  std::uint64_t writes() const { return writes_.calls; }
  std::uint64_t written_bytes() const { return written_bytes_; }

  // The `nth` call from now (1: the next) does nothing and fails with `code`; with `lasting`, so do all that follow.
  enum class Failure { once, lasting };
  void fail_sync(std::uint64_t nth, int code, Failure failure = Failure::once) { syncs_.fail(nth, code, failure); }
  void fail_write(std::uint64_t nth, int code, Failure failure = Failure::once) { writes_.fail(nth, code, failure); }
  void heal();

 private:
  struct Calls {
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> fail_from{0};  // 0: never
    std::atomic<std::uint64_t> fail_to{0};
    std::atomic<int> code{SQLITE_OK};

    void fail(std::uint64_t nth, int with, Failure failure);
    // Counts a call; not SQLITE_OK: it is to fail with this.
    int count();
  };

  int write(File& file, const void* bytes, int amount, sqlite3_int64 offset) override;
  int sync(File& file, int flags) override;

  Calls syncs_;
  Calls writes_;
  std::atomic<std::uint64_t> written_bytes_{0};
};

}  // namespace workflows::testing
