#pragma once
// Clients over a database that is open already, and on a clock of one's own.

#include <memory>

#include <workflows/client.h>
#include <workflows/time.h>

#include "storage/store.h"

namespace workflows {

class ClientAccess {
 public:
  // `clock` absent: the system's. Throws the error of a failed connect.
  static Client open(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);
};

}  // namespace workflows
