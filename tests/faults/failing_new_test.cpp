// Any one allocation of the engine fails. It goes on, or stops with an error that names memory; the process lives, and
// opened again the file has everything that was acknowledged (S44).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/faults/damage.h"
#include "tests/faults/orders.h"

namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> failing{0};  // 0: none

void* allocate(std::size_t bytes) {
  if (failing != 0 && ++allocations == failing) throw std::bad_alloc();
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace workflows::testing {
namespace {

// On a plain disk: that of the other tests allocates beneath SQLite, which knows no exceptions.
class FailingNew : public Orders {
 protected:
  // True if an allocation failed.
  bool run_out(std::uint64_t nth) {
    start_over();
    allocations = 0;
    failing = nth;
    work();
    failing = 0;
    return allocations >= nth;
  }
};

TEST_F(FailingNew, S44_WhicheverAllocationFailsNothingAcknowledgedIsLost) {
  int stopped = 0;
  const std::uint64_t stride = is_long() ? 1 : 19;
  for (std::uint64_t nth = 1; run_out(nth); nth += stride) {
    SCOPED_TRACE(::testing::Message() << "allocation " << nth);
    for (const auto& error : errors_) EXPECT_THAT(error.message, ::testing::HasSubstr("memory ran out"));
    stopped += errors_.empty() ? 0 : 1;
    look_again();
    if (HasFailure()) return;
  }
  EXPECT_GT(stopped, 10);
}

}  // namespace
}  // namespace workflows::testing
