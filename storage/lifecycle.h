#pragma once
// What every store answers alike: what a lifecycle call does to an instance of some status (S26), and how an instance
// stands by its last entry.

#include <optional>

#include <workflows/instance_info.h>
#include <workflows/journal.h>

#include "storage/store.h"

namespace workflows::storage {

// What has to happen in the store. The owner, if there is one, is told what else is to be done.
struct Transition {
  enum class Kind : std::uint8_t {
    refused,
    nothing,
    append,      // `entry` at the end of the journal, with the status that it brings
    set_status,  // `status`; the owner appends what is to be recorded
    remove,
  };
  Kind kind = Kind::refused;
  EntryKind entry{};
  Status status{};
  std::optional<Notice::Kind> notice{};
};

// `owned`: some engine has the instance. `fresh`: it has recorded nothing.
Transition transition(Status from, Verb verb, bool owned, bool fresh);

// `last`: the newest entry.
InstanceStatus outcome_of(Status status, const Entry& last);

}  // namespace workflows::storage
