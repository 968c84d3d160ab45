#pragma once
// A history from which values were taken out stays known as such when it is imported: the entry that ends it says so.

#include <string_view>

#include <workflows/instance_info.h>

namespace workflows::values {

inline constexpr std::string_view kRedacted = "\"[REDACTED]\"";  // in the place of a value

bool has_redaction_mark(const Entry& last);
// Requires: it has ended.
void mark_as_redacted(InstanceHistory& history);

}  // namespace workflows::values
