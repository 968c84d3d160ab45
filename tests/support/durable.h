#pragma once
// What the runtime tells an instance when an entry that it awaits is on disk.

#include <utility>

#include "engine/core/instance.h"

namespace workflows::core {

inline void report_durable(Instance& instance, Entry entry, TimePoint now) {
  if (entry.kind >= EntryKind::rollback_started) {
    instance.finish_durable(now);
  } else {
    instance.durable(entry.step, {std::move(entry.value)}, now);
  }
}

}  // namespace workflows::core
