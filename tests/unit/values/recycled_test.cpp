#include "engine/values/recycled.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace workflows::values {
namespace {

struct Thing : Recycled<Thing> {
  char text[100] = {};
};

TEST(Recycled, WhatAThreadDroppedIsWhatItGetsNext) {
  auto first = std::make_unique<Thing>();
  const Thing* const place = first.get();
  first.reset();
  const auto next = std::make_unique<Thing>();
  const auto further = std::make_unique<Thing>();
  EXPECT_EQ(next.get(), place);
  EXPECT_NE(further.get(), place);
}

// The sanitizers look whether anything is lost or given back twice.
TEST(Recycled, ThingsMayBeDroppedByOtherThreadsAndOutliveTheirOwn) {
  std::unique_ptr<Thing> made_there;
  auto made_here = std::make_unique<Thing>();
  std::thread([&] {
    made_there = std::make_unique<Thing>();
    made_here.reset();
  }).join();
  made_there->text[0] = 'x';
  made_there.reset();
}

// Thread-locals go in the reverse order of their making: this one after what it dropped.
TEST(Recycled, AThingMayBeDroppedAtTheVeryEndOfItsThread) {
  std::thread([] {
    thread_local std::unique_ptr<Thing> last;
    last = std::make_unique<Thing>();
    std::make_unique<Thing>().reset();
  }).join();
}

}  // namespace
}  // namespace workflows::values
