#include "engine/core/idempotency.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace workflows::core {
namespace {

const Identity kIdentity{.workflow = "shop", .id = "order-1", .generation = 1, .created = TimePoint(Millis(1000))};

std::string key(const Identity& identity, StepKind kind = StepKind::do_, std::string_view name = "charge",
                std::uint32_t occurrence = 1) {
  return idempotency_key(identity, kind, name, occurrence);
}

// The outside world has seen these keys: this value may never change.
TEST(IdempotencyTest, S14_TheKeyIsAUuidV5ThatNeverChanges) {
  EXPECT_EQ(key(kIdentity), "63967756-88b4-5a83-8bdb-99df84afefe6");
}

TEST(IdempotencyTest, S14_EveryPartOfTheIdentityMakesAnotherKey) {
  Identity workflow = kIdentity, id = kIdentity, generation = kIdentity, created = kIdentity;
  workflow.workflow = "shop2";
  id.id = "order-2";
  generation.generation = 2;
  created.created += Millis(1);
  const std::set<std::string> keys = {key(kIdentity),
                                      key(workflow),
                                      key(id),
                                      key(generation),
                                      key(created),
                                      key(kIdentity, StepKind::sleep),
                                      key(kIdentity, StepKind::do_, "refund"),
                                      key(kIdentity, StepKind::do_, "charge", 2)};
  EXPECT_EQ(keys.size(), 8u);
}

TEST(IdempotencyTest, S14_PartsThatJoinToTheSameTextAreStillApart) {
  EXPECT_NE(key({.workflow = "ab", .id = "c"}), key({.workflow = "a", .id = "bc"}));
  EXPECT_NE(key(kIdentity, StepKind::do_, "x1:1", 1), key(kIdentity, StepKind::do_, "x", 11));
  EXPECT_NE(key({.workflow = "w", .id = "1", .generation = 11}), key({.workflow = "w", .id = "11", .generation = 1}));
}

}  // namespace
}  // namespace workflows::core
