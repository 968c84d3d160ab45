#pragma once
// Hosts without a thread, over a database that is open already: whoever opens one moves it, and its time.

#include <memory>

#include <workflows/host.h>

#include "engine/runtime/writer.h"
#include "storage/store.h"

namespace workflows {

class HostAccess {
 public:
  // By `steady` the lease is renewed.
  static std::unique_ptr<Host> open(HostOptions options, std::shared_ptr<storage::Database> database,
                                    runtime::SteadyClock steady);
  // What the writer's thread does between two sleeps.
  static void write(Host& host);
};

}  // namespace workflows
