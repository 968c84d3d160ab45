// What a step takes from the allocator, counted.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include <workflows/workflows.h>

#include "tests/support/temp_dir.h"

namespace {
std::atomic<std::uint64_t> allocations = 0;
}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace workflows {
namespace {

Workflow<void> many_steps(const Event& event, Step& step) {
  const int steps = event.payload<int>();
  for (int i = 0; i < steps; ++i) {
    auto one = step.do_("step", [] { return std::string(62, 'r'); });
    co_await one;
  }
}

std::uint64_t allocations_of(Engine& engine, int steps) {
  const auto before = allocations.load();
  engine.create("many", steps).result<void>();
  return allocations.load() - before;
}

// The step and its attempt, the result (made, encoded, recorded, kept and decoded), what wakes the pool and the loop
// when a step comes alone.
TEST(Allocations, AStepTakesAtMostThirty) {
  const testing::TempDir dir;
  Engine engine({.database = dir.path() / "test.db"});
  engine.add("many", many_steps);
  engine.start();
  allocations_of(engine, 100);
  const auto few = allocations_of(engine, 100);
  const auto many = allocations_of(engine, 1'100);
  EXPECT_LE((many - few) / 1'000, 30);
}

}  // namespace
}  // namespace workflows
