#include <workflows/history.h>

#include <algorithm>
#include <set>

#include "engine/values/json.h"
#include "engine/values/json_writer.h"
#include "engine/values/redaction.h"

namespace workflows {

using values::kRedacted;

namespace {

constexpr std::string_view kMark = "redacted";  // in the detail of the entry that ends an instance

// The config stands with the identity of a step, so it is on one of its entries at least.
std::set<std::uint32_t> sensitive_steps(const InstanceHistory& history) {
  std::set<std::uint32_t> steps;
  for (const auto& [cursor, entry] : history.entries) {
    const auto config = values::raw_member(entry.detail, "config");
    if (!values::raw_member(config, "sensitive").empty()) steps.insert(entry.step);
  }
  return steps;
}

bool is_failure(EntryKind kind) {
  return kind == EntryKind::attempt_failed || kind == EntryKind::step_failed || kind == EntryKind::wait_timed_out ||
         kind == EntryKind::rollback_started || kind == EntryKind::instance_errored;
}

// Entries that tell how the engine itself went on carry nothing of the user's.
bool is_the_engines(EntryKind kind) {
  return kind == EntryKind::paused || kind == EntryKind::version || kind == EntryKind::restarted;
}

// What is left of a failure.
std::string only_its_type(std::string_view failure) {
  const Failure known = Failure::from_json(failure);
  Failure shown;
  shown.type = known.type;
  shown.message = "[REDACTED]";
  shown.retryable = known.retryable;
  return shown.to_json();
}

// The same JSON, with only the types of its failures: the report of a rollback has them.
std::string without_failures(std::string_view json) {
  if (values::is_json_array(json)) return values::json_array(values::raw_elements(json), without_failures);
  if (!values::is_json_object(json)) return std::string(json);
  values::JsonObject shown;
  for (const auto& [key, value] : values::raw_members(json))
    shown.raw(key, key == "error" ? only_its_type(value) : without_failures(value));
  return shown.take();
}

bool was_redacted(const InstanceHistory& history) {
  return !history.entries.empty() && values::has_redaction_mark(history.entries.back().entry);
}

class Redactor {
 public:
  explicit Redactor(InstanceHistory history) : document_{.history = std::move(history)} {
    document_.redacted = was_redacted(document_.history);
  }

  HistoryDocument sensitive() {
    const auto steps = sensitive_steps(document_.history);
    for (auto& [cursor, entry] : document_.history.entries) {
      if (entry.kind >= EntryKind::rollback_started || !steps.contains(entry.step)) continue;
      if (!is_failure(entry.kind)) hide(entry.value);
      if (entry.event != 0) hide_event(entry.event);
    }
    return std::move(document_);
  }

  HistoryDocument everything() {
    hide(document_.history.params);
    for (InboxEvent& event : document_.history.inbox) hide(event.payload);
    for (auto& [cursor, entry] : document_.history.entries) {
      if (is_failure(entry.kind))
        hide_failure(entry.value);
      else if (!is_the_engines(entry.kind))
        hide(entry.value);
      hide_failures(entry.detail);
    }
    return std::move(document_);
  }

 private:
  void hide(std::string& value) {
    if (value.empty() || value == "null") return;
    value = kRedacted;
    document_.redacted = true;
  }

  void hide_event(std::int64_t id) {
    const auto found = std::ranges::find(document_.history.inbox, id, &InboxEvent::id);
    if (found != document_.history.inbox.end()) hide(found->payload);
  }

  void hide_failure(std::string& value) {
    if (value.empty()) return;
    value = only_its_type(value);
    document_.redacted = true;
  }

  void hide_failures(std::string& detail) {
    std::string shown = without_failures(detail);
    if (shown == detail) return;
    detail = std::move(shown);
    document_.redacted = true;
  }

  HistoryDocument document_;
};

}  // namespace

namespace values {

bool has_redaction_mark(const Entry& last) { return !raw_member(last.detail, kMark).empty(); }

void mark_as_redacted(InstanceHistory& history) {
  Entry& last = history.entries.back().entry;
  if (has_redaction_mark(last)) return;
  JsonObject marked;
  if (is_json_object(last.detail))
    for (const auto& [key, value] : raw_members(last.detail)) marked.raw(key, value);
  last.detail = marked.flag(kMark, true).take();
}

}  // namespace values

HistoryDocument redact(InstanceHistory history, Redaction redaction) {
  switch (redaction) {
    case Redaction::sensitive:
      return Redactor(std::move(history)).sensitive();
    case Redaction::everything:
      return Redactor(std::move(history)).everything();
    case Redaction::nothing:
      break;
  }
  const bool redacted = was_redacted(history);
  return {.history = std::move(history), .redacted = redacted};
}

}  // namespace workflows
