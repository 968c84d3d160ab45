#include "engine/cli/json.h"

#include "engine/values/json.h"

namespace workflows::cli {
namespace {

using values::recorded_json;

std::string or_null(const std::optional<Failure>& failure) { return failure ? to_json(*failure) : "null"; }

std::string to_json(const AttemptInfo& attempt) {
  return JsonObject()
      .number("number", attempt.number)
      .time("began", attempt.began)
      .time("ended", attempt.ended)
      .raw("error", or_null(attempt.failure))
      .take();
}

}  // namespace

std::string to_json(const InstanceInfo& info) {
  JsonObject json;
  json.text("workflow", info.workflow)
      .text("id", info.id)
      .number("generation", info.generation)
      .text("status", to_string(info.status))
      .time("created", info.created)
      .time("updated", info.updated)
      .time("wake", info.wake)
      .text_or_null("version", info.version);
  if (info.owner == 0)
    json.raw("owner", "null");
  else
    json.number("owner", info.owner);
  return json.time("expires", info.expires).take();
}

std::string to_json(const Failure& failure) {
  return JsonObject()
      .text("type", failure.type)
      .text("message", failure.message)
      .flag("retryable", failure.retryable)
      .text_or_null("traceback", failure.traceback)
      .raw("cause", failure.cause ? to_json(*failure.cause) : "null")
      .take();
}

std::string to_json(const StepInfo& step) {
  return JsonObject()
      .number("number", step.number)
      .text("kind", to_string(step.kind))
      .text("name", step.name)
      .number("count", step.occurrence)
      .text("status", step.status)
      .raw("attempts", json_array(step.attempts, [](const auto& attempt) { return to_json(attempt); }))
      .time("began", step.began)
      .time("ended", step.ended)
      .time("deadline", step.deadline)
      .text_or_null("event_type", step.event_type)
      .raw("config", step.config.empty() ? "{}" : recorded_json(step.config))
      .raw("depends", json_array(step.depends, [](auto number) { return std::to_string(number); }))
      .raw("result", recorded_json(step.result))
      .raw("error", or_null(step.failure))
      .take();
}

std::string to_json(const WakeUp& wake_up) {
  return JsonObject()
      .text("source", wake_up.source)
      .text_or_null("step_kind", wake_up.step_kind == StepKind{} ? "" : to_string(wake_up.step_kind))
      .text_or_null("step", wake_up.step)
      .number("count", wake_up.occurrence)
      .time("at", wake_up.at)
      .text_or_null("event_type", wake_up.event_type)
      .take();
}

std::string to_json(const Picture& picture) {
  const auto text = [](const std::string& version) { return values::encode_json_string(version); };
  return JsonObject()
      .raw("instance", to_json(picture.history.info))
      .flag("served", picture.served)
      .raw("generations", json_array(picture.generations, [](const auto& info) { return to_json(info); }))
      .raw("versions", json_array(picture.versions, text))
      .raw("params", recorded_json(picture.history.params))
      .raw("steps", json_array(picture.steps, [](const auto& step) { return to_json(step); }))
      .raw("events", json_array(picture.history.inbox, [](const InboxEvent& event) { return to_json(event); }))
      .raw("wake_ups", json_array(picture.wake_ups, [](const auto& wake_up) { return to_json(wake_up); }))
      .raw("output", recorded_json(picture.status.output))
      .raw("error", or_null(picture.status.failure))
      .raw("rollback", recorded_json(picture.status.rollback))
      .text_or_null("reason", picture.status.reason)
      .take();
}

std::string to_json(const InstanceInfo& info, const RecordedEntry& recorded) {
  const Entry& entry = recorded.entry;
  const bool of_step = entry.kind < EntryKind::rollback_started;
  JsonObject json;
  json.number("cursor", recorded.cursor)
      .text("workflow", info.workflow)
      .text("id", info.id)
      .number("generation", info.generation)
      .text("kind", to_string(entry.kind))
      .time("at", entry.at);
  if (of_step)
    json.number("step", entry.step);
  else
    json.raw("step", "null");
  return json.text_or_null("step_kind", entry.step_kind == StepKind{} ? "" : to_string(entry.step_kind))
      .text_or_null("name", entry.name)
      .number("count", entry.occurrence)
      .number("attempt", entry.attempt)
      .time("began", entry.began)
      .time("deadline", entry.deadline)
      .text_or_null("event_type", entry.event_type)
      .text_or_null("source", entry.source)
      .raw("value",
           entry.kind == EntryKind::version ? values::encode_json_string(entry.value) : recorded_json(entry.value))
      .take();
}

}  // namespace workflows::cli
