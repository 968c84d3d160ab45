// Any one call of the disk fails beneath an engine, once or from then on. It works on, or stops and says why to whoever
// asks it for something; nobody waits for ever, and opened again it finishes whatever was acknowledged (S44).

#include <gtest/gtest.h>

#include "tests/faults/damage.h"
#include "tests/faults/orders.h"

namespace workflows::testing {
namespace {

class FailingEngine : public Orders, public ::testing::WithParamInterface<bool> {
 protected:
  // True if the call was made.
  bool fail(std::uint64_t nth) {
    start_over();
    disk_.forget_files();
    disk_.fail({.nth = nth, .lasting = GetParam()});
    work();
    const bool failed = disk_.has_failed();
    disk_.heal();
    return failed;
  }

  FaultVfs disk_;
};

TEST_P(FailingEngine, S44_WhicheverCallFailsNothingAcknowledgedIsLost) {
  int stopped = 0;
  const std::uint64_t stride = is_long() ? 1 : 11;
  for (std::uint64_t nth = 1; fail(nth); nth += stride) {
    SCOPED_TRACE(::testing::Message() << "call " << nth);
    for (const auto& error : errors_) expect_clear(error, path());
    stopped += errors_.empty() ? 0 : 1;
    look_again();
    if (HasFailure()) return;
  }
  EXPECT_GT(stopped, 5);
}

INSTANTIATE_TEST_SUITE_P(For, FailingEngine, ::testing::Bool(),
                         [](const auto& lasting) { return lasting.param ? "Good" : "AMoment"; });

}  // namespace
}  // namespace workflows::testing
