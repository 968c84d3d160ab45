// A history as a JSON document, and back. What is read may come from anywhere: nothing of it is trusted.

#include <workflows/error.h>
#include <workflows/history.h>
#include <workflows/host.h>

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <map>
#include <utility>

#include "engine/values/iso_time.h"
#include "engine/values/json.h"
#include "engine/values/json_writer.h"
#include "engine/values/text.h"

namespace workflows {
namespace {

using values::JsonObject;

constexpr std::string_view kFormat = "workflows-history";
constexpr int kVersion = 1;

[[noreturn]] void refuse(std::string_view where, std::string_view found, std::string_view accepted) {
  throw SerializationError(fmt::format("This is not a history as `workflows export` writes it: {} is {}. Accepted: {}.",
                                       where, values::quoted(found.empty() ? "missing" : found), accepted));
}

// ---- writing

std::string write(const InstanceInfo& info) {
  return JsonObject()
      .text("workflow", info.workflow)
      .text("id", info.id)
      .number("generation", info.generation)
      .text("status", to_string(info.status))
      .time("created", info.created)
      .time("updated", info.updated)
      .time("wake", info.wake)
      .text_or_null("version", info.version)
      .take();
}

// What is empty or zero is left out.
std::string write(const RecordedEntry& recorded) {
  const Entry& entry = recorded.entry;
  JsonObject json;
  json.number("cursor", recorded.cursor).text("kind", to_string(entry.kind)).time("at", entry.at);
  const auto number = [&](std::string_view key, auto value) {
    if (value != 0) json.number(key, value);
  };
  const auto text = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) json.text(key, value);
  };
  number("step", entry.step);
  if (entry.step_kind != StepKind{}) json.text("step_kind", to_string(entry.step_kind));
  text("name", entry.name);
  number("occurrence", entry.occurrence);
  number("after", entry.after);
  number("need", entry.need);
  number("attempt", entry.attempt);
  if (entry.began) json.time("began", entry.began);
  if (entry.deadline) json.time("deadline", entry.deadline);
  number("event", entry.event);
  text("event_type", entry.event_type);
  if (!entry.detail.empty()) json.raw("detail", values::recorded_json(entry.detail));
  text("source", entry.source);
  if (entry.kind == EntryKind::version)
    text("value", entry.value);  // also where it looks like a number
  else if (!entry.value.empty())
    json.raw("value", values::recorded_json(entry.value));
  return json.take();
}

// ---- reading

// The members of one object, each with its type checked.
class Members {
 public:
  Members(std::string_view object, std::string where) : where_(std::move(where)) {
    if (!values::is_json_object(object)) refuse(where_, object, "an object");
    for (const auto& [key, value] : values::raw_members(object)) values_[key] = value;
  }

  std::string_view raw(std::string_view key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::string_view() : found->second;
  }
  std::string text(std::string_view key) const {
    const auto value = raw(key);
    if (value.empty() || value == "null") return {};
    if (!values::is_json_string(value)) refuse(name(key), value, "a text");
    return values::decode_json_string(value);
  }
  template <class Number>
  Number number(std::string_view key) const {
    const auto value = raw(key);
    if (value.empty()) return 0;
    Number number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size())
      refuse(name(key), value, fmt::format("an integer up to {}", std::numeric_limits<Number>::max()));
    return number;
  }
  bool flag(std::string_view key) const {
    const auto value = raw(key);
    if (value != "true" && value != "false" && !value.empty()) refuse(name(key), value, "true or false");
    return value == "true";
  }
  std::optional<TimePoint> optional_time(std::string_view key) const {
    const auto value = raw(key);
    if (value.empty() || value == "null") return std::nullopt;
    const auto time =
        values::is_json_string(value) ? values::parse_iso_time(values::decode_json_string(value)) : std::nullopt;
    if (!time) refuse(name(key), value, "a time such as \"2026-01-01T00:00:00.000Z\"");
    return time;
  }
  TimePoint time(std::string_view key) const {
    const auto time = optional_time(key);
    if (!time) refuse(name(key), "", "a time such as \"2026-01-01T00:00:00.000Z\"");
    return *time;
  }
  std::vector<std::string_view> elements(std::string_view key) const {
    const auto value = raw(key);
    if (!values::is_json_array(value)) refuse(name(key), value, "an array");
    return values::raw_elements(value);
  }
  std::string name(std::string_view key) const { return fmt::format("{}.{}", where_, key); }

 private:
  std::string where_;
  std::map<std::string_view, std::string_view> values_;
};

InstanceInfo read_info(const Members& json) {
  InstanceInfo info{.workflow = json.text("workflow"), .id = json.text("id")};
  check_workflow_name(info.workflow);
  check_instance_id(info.id);
  info.generation = json.number<std::uint32_t>("generation");
  constexpr std::uint32_t kGreatest = std::numeric_limits<std::int32_t>::max();  // a restart makes the next one
  if (info.generation == 0 || info.generation > kGreatest)
    refuse(json.name("generation"), json.raw("generation"), fmt::format("1 to {}", kGreatest));
  const auto status = parse_status(json.text("status"));
  if (!status) refuse(json.name("status"), json.raw("status"), "the word of a status, such as \"complete\"");
  info.status = *status;
  info.created = json.time("created");
  info.updated = json.time("updated");
  info.wake = json.optional_time("wake");
  info.version = json.text("version");
  return info;
}

InboxEvent read_event(const Members& json) {
  InboxEvent event{.id = json.number<std::int64_t>("id"), .type = json.text("type")};
  check_event_type(event.type);
  event.payload = json.raw("payload");
  event.at = json.time("at");
  event.taken = json.flag("taken");
  return event;
}

EntryKind read_kind(const Members& json) {
  const std::string word = json.text("kind");
  constexpr std::uint8_t kGreatest = static_cast<std::uint8_t>(EntryKind::instance_terminated);
  for (std::uint8_t number = 1; number <= kGreatest; ++number) {
    const auto kind = static_cast<EntryKind>(number);
    if (to_string(kind) == word && word != "unknown") return kind;
  }
  refuse(json.name("kind"), json.raw("kind"), "a kind of entry that this version knows, such as \"step_completed\"");
}

StepKind read_step_kind(const Members& json) {
  if (json.raw("step_kind").empty()) return {};
  const auto kind = parse_step_kind(json.text("step_kind"));
  if (!kind) refuse(json.name("step_kind"), json.raw("step_kind"), "the word of a kind of step, such as \"do\"");
  return *kind;
}

Entry read_entry(const Members& json) {
  Entry entry{.kind = read_kind(json), .step = json.number<std::uint32_t>("step"), .step_kind = read_step_kind(json)};
  entry.occurrence = json.number<std::uint32_t>("occurrence");
  entry.name = json.text("name");
  if (!entry.name.empty()) check_step_name(entry.name);
  entry.after = json.number<std::uint32_t>("after");
  entry.need = json.number<std::uint32_t>("need");
  entry.attempt = json.number<std::uint32_t>("attempt");
  entry.at = json.time("at");
  entry.began = json.optional_time("began");
  entry.deadline = json.optional_time("deadline");
  entry.event = json.number<std::int64_t>("event");
  entry.event_type = json.text("event_type");
  entry.detail = json.raw("detail");
  if (!entry.detail.empty() && !values::is_json_object(entry.detail))
    refuse(json.name("detail"), entry.detail, "an object");
  entry.source = json.text("source");
  const bool is_text = entry.kind == EntryKind::version && values::is_json_string(json.raw("value"));
  entry.value = is_text ? json.text("value") : std::string(json.raw("value"));
  return entry;
}

void check_format(const Members& json) {
  if (json.text("format") != kFormat) refuse("format", json.raw("format"), "\"workflows-history\"");
  const auto version = json.number<int>("version");
  if (version == kVersion) return;
  throw StoreVersionError(
      fmt::format("This history has document version {}; this library reads version {}. Upgrade "
                  "the library, or export it again with this version.",
                  version, kVersion));
}

}  // namespace

std::string to_json(const InboxEvent& event) {
  return JsonObject()
      .number("id", event.id)
      .text("type", event.type)
      .raw("payload", values::recorded_json(event.payload))
      .time("at", event.at)
      .flag("taken", event.taken)
      .take();
}

std::string to_json(const HistoryDocument& document) {
  const InstanceHistory& history = document.history;
  return JsonObject()
      .text("format", kFormat)
      .number("version", kVersion)
      .flag("redacted", document.redacted)
      .raw("instance", write(history.info))
      .raw("params", values::recorded_json(history.params))
      .raw("entries", values::json_array(history.entries, [](const auto& entry) { return write(entry); }))
      .raw("inbox", values::json_array(history.inbox, [](const auto& event) { return to_json(event); }))
      .take();
}

HistoryDocument parse_history(std::string_view json) {
  if (const auto problem = values::json_problem(json))
    throw SerializationError(
        fmt::format("This is not a history as `workflows export` writes it: it is not JSON: {}. It "
                    "reads {}.",
                    *problem, values::quoted(json)));
  const Members members(values::trim_json(json), "the document");
  check_format(members);
  HistoryDocument document{.history = {}, .redacted = members.flag("redacted")};
  InstanceHistory& history = document.history;
  history.info = read_info({members.raw("instance"), "instance"});
  history.params = members.raw("params");
  std::int64_t cursor = 0;
  for (const auto element : members.elements("entries")) {
    const Members entry(element, fmt::format("entries[{}]", history.entries.size()));
    history.entries.push_back({.cursor = entry.number<std::int64_t>("cursor"), .entry = read_entry(entry)});
    if (history.entries.back().cursor <= cursor) refuse(entry.name("cursor"), entry.raw("cursor"), "a growing number");
    cursor = history.entries.back().cursor;
  }
  for (const auto element : members.elements("inbox"))
    history.inbox.push_back(read_event({element, fmt::format("inbox[{}]", history.inbox.size())}));
  return document;
}

}  // namespace workflows
