// When the nodes of a graph are started, among the outcomes of other branches.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/runtime/host_access.h"
#include "storage/memory/memory_store.h"

namespace workflows {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::VariantWith;

// Or else a later life, which gets both outcomes at once, would let the other branch ask first.
TEST(Runtime, S7_ANodeIsStartedBeforeTheNextOutcomeIsDelivered) {
  HostOptions options{.clock = std::make_shared<ManualClock>(TimePoint())};
  options.workflows.push_back({.name = "w"});
  const auto host = HostAccess::open(options, storage::memory::open_memory(), [] { return runtime::SteadyTime(); });
  host->poll();
  host->create({.workflow = "w", .id = "i"});
  host->poll();
  HostAccess::write(*host);
  host->poll();
  const InstanceKey key = host->client().get("w", "i").key;
  const NodeId first = host->declare(key, "first");
  const NodeId second = host->declare(key, "second");
  host->connect(key, second, {first});
  host->call_node(key, second, 0, false);
  const Asked other = host->do_(key, {.name = "other"});
  ASSERT_THAT(host->poll(), ElementsAre(VariantWith<StartNode>(testing::_)));
  const Asked asked = host->do_(key, {.name = "first"});
  host->body_finished(key, asked.ticket, 1, Value{"1"});
  host->poll();
  HostAccess::write(*host);
  host->body_finished(key, other.ticket, 1, Value{"2"});
  ASSERT_THAT(host->poll(), ElementsAre(VariantWith<ResolveStep>(testing::_)));
  HostAccess::write(*host);  // the outcome of the other branch is there
  host->node_finished(key, first, true);
  EXPECT_THAT(host->poll(), ElementsAre(VariantWith<StartNode>(testing::Field(&StartNode::node, second))));
  host->do_(key, {.name = "second"});
  EXPECT_THAT(host->poll(), ElementsAre(VariantWith<ResolveStep>(testing::Field(&ResolveStep::ticket, other.ticket))));
}

// A recorded outcome is there when it is asked for. With it, the code could ask for the next step before the node does.
TEST(Runtime, S7_ANodeIsStartedBeforeARecordedOutcomeIsHandedBack) {
  HostOptions options{.clock = std::make_shared<ManualClock>(TimePoint())};
  options.workflows.push_back({.name = "w"});
  const auto database = storage::memory::open_memory();
  InstanceKey key = 0;
  const auto start = [&] {
    auto host = HostAccess::open(options, database, [] { return runtime::SteadyTime(); });
    for (int i = 0; i < 3; ++i) {
      host->poll();
      HostAccess::write(*host);
    }
    return host;
  };
  const auto begin = [&](Host& host) {
    const NodeId node = host.declare(key, "node");
    host.call_node(key, node, 0, false);
    return host.do_(key, {.name = "other"});
  };
  {
    const auto host = start();
    host->create({.workflow = "w", .id = "i"});
    host->poll();
    HostAccess::write(*host);
    host->poll();
    key = host->client().get("w", "i").key;
    const Asked other = begin(*host);
    host->poll();
    host->body_finished(key, other.ticket, 1, Value{"2"});
    host->poll();
    HostAccess::write(*host);
    host->close();
  }
  const auto host = start();
  ASSERT_NE(begin(*host).state, Asked::State::resolved);
  EXPECT_THAT(host->poll(), ElementsAre(VariantWith<StartNode>(testing::_)));
  host->do_(key, {.name = "the node's"});
  EXPECT_THAT(host->poll(), Contains(VariantWith<ResolveStep>(testing::_)));
}

}  // namespace
}  // namespace workflows
