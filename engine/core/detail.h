#pragma once
// What an entry tells of its step beside its identity: the rare things that Entry::detail holds as JSON.

#include <cstdint>
#include <optional>
#include <vector>

#include <workflows/config.h>
#include <workflows/journal.h>
#include <workflows/step_request.h>

namespace workflows::core {

struct Detail {
  StepConfig config{};
  std::optional<RollbackConfig> rollback{};
  std::vector<std::uint32_t> depends{};  // step numbers
};

// StoreCorruptError: it is not what an engine records.
Detail read_detail(const Entry& entry);

}  // namespace workflows::core
