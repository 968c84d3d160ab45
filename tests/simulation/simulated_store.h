#pragma once
// A connection of one engine to the database in memory, and what may go wrong on it.

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "storage/memory/memory_data.h"

namespace workflows::simulation {

enum class WriteFault : std::uint8_t {
  none,
  busy,         // nothing is written, once; to be tried again
  fails,        // nothing is written, and this connection refuses everything from now on
  unheard,      // it is written, and told to have failed
  dies_before,  // the process dies
  dies_after,   // the process dies when it is written
};

// All connections of one engine.
struct Wire {
  bool cut = false;   // the process is dead, or must not write any more
  bool died = false;  // in a write
  std::function<WriteFault(std::string_view write)> fault{};
  // Before and after what may have changed the database; after a failure too.
  std::function<void(const storage::WriteBatch&)> before{};
  std::function<void(const storage::WriteBatch&, const std::expected<std::vector<storage::ItemResult>, Error>&)>
      after{};
  std::function<void()> changed{};
};

std::shared_ptr<storage::Database> connect_by(std::shared_ptr<storage::memory::Data> data, std::shared_ptr<Wire> wire);

}  // namespace workflows::simulation
