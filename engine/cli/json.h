#pragma once
// The shapes that JSON.md documents.

#include <string>

#include <workflows/history.h>
#include <workflows/instance_info.h>
#include <workflows/journal.h>
#include <workflows/maintenance.h>

#include "engine/cli/picture.h"
#include "engine/values/json_writer.h"

namespace workflows::cli {

using values::json_array;
using values::JsonObject;

std::string to_json(const InstanceInfo& info);
std::string to_json(const StepInfo& step);
std::string to_json(const Failure& failure);
std::string to_json(const WakeUp& wake_up);
std::string to_json(const Picture& picture);
// An entry as `tail` and `replay` show it.
std::string to_json(const InstanceInfo& info, const RecordedEntry& recorded);

}  // namespace workflows::cli
