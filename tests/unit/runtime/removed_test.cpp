// Instances that are removed at bad moments.

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/runtime/client_access.h"
#include "engine/runtime/host_access.h"
#include "storage/memory/memory_store.h"

namespace workflows {
namespace {

TEST(Runtime, S46_AnInstanceThatIsRemovedWhileItIsToBeLoadedDoesNotStopTheEngine) {
  const auto database = storage::memory::open_memory();
  Client client = ClientAccess::open(database, nullptr);
  client.create({.workflow = "w", .id = "a"});
  HostOptions options{.max_concurrent_instances = 1, .clock = std::make_shared<ManualClock>(TimePoint())};
  options.workflows.push_back({.name = "w"});
  const auto host = HostAccess::open(options, database, [] { return runtime::SteadyTime(); });
  HostAccess::write(*host);  // claims it
  host->poll();              // asks for it to be loaded
  client.remove("w", "a");
  client.create({.workflow = "w", .id = "b"});
  const auto is_start = [](const Action& action) { return std::holds_alternative<StartInstance>(action); };
  bool started = false;
  for (int turns = 0; turns < 5; ++turns) {
    HostAccess::write(*host);
    started |= std::ranges::any_of(host->poll(), is_start);
  }
  EXPECT_TRUE(started) << "the place of the one that is gone is free again";
}

}  // namespace
}  // namespace workflows
