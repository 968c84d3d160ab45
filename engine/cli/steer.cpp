// The commands that change an instance.

#include <fmt/format.h>

#include "engine/cli/commands.h"
#include "engine/cli/format.h"
#include "engine/cli/json.h"
#include "engine/cli/text.h"
#include "engine/values/text.h"

namespace workflows::cli {
namespace {

void report(Context& context, const InstanceInfo& info) {
  Console& console = context.console;
  if (console.json())
    console.json_line(to_json(info));
  else
    console.line(fmt::format("{}  {}", status_text(console, info.status), name_of(info)));
}

// `act` on the instance, and tell how it stands afterwards.
template <class Act>
int steer(Context& context, const std::string& name, Act act) {
  Maintenance& database = context.writing();
  const InstanceInfo info = find_newest(database, name);
  act(database.client(), info);
  report(context, database.client().info(info.key));
  return kOk;
}

}  // namespace

int send_event(Context& context, const EventRequest& request) {
  Maintenance& database = context.writing();
  const InstanceInfo info = find_newest(database, request.name);
  database.client().send_event({.workflow = info.workflow,
                                .id = info.id,
                                .type = request.type,
                                .payload = request.payload,
                                .event_id = request.event_id});
  if (context.console.json())
    context.console.json_line(JsonObject()
                                  .text("workflow", info.workflow)
                                  .text("id", info.id)
                                  .text("type", request.type)
                                  .text_or_null("event_id", request.event_id)
                                  .take());
  else
    context.console.line(fmt::format("Sent {} to {}.", values::quoted(request.type), name_of(info)));
  return kOk;
}

int pause(Context& context, const std::string& name) {
  return steer(context, name, [](Client& client, const InstanceInfo& info) { client.pause(info.workflow, info.id); });
}

int resume(Context& context, const std::string& name) {
  return steer(context, name, [](Client& client, const InstanceInfo& info) { client.resume(info.workflow, info.id); });
}

int terminate(Context& context, const TerminateRequest& request) {
  return steer(context, request.name, [&](Client& client, const InstanceInfo& info) {
    client.terminate(info.workflow, info.id, request.rollback);
  });
}

int restart(Context& context, const RestartCommand& command) {
  Maintenance& database = context.writing();
  const InstanceInfo info = find_newest(database, command.name);
  RestartRequest request = command.request;
  request.workflow = info.workflow;
  request.id = info.id;
  const Restarted restarted = database.client().restart(request);
  const InstanceInfo now = database.client().info(restarted.instance.key);
  if (context.console.json()) {
    const auto kept = json_array(restarted.kept, [](const StepInfo& step) { return to_json(step); });
    context.console.json_line(JsonObject().raw("instance", to_json(now)).raw("kept", kept).take());
    return kOk;
  }
  report(context, now);
  for (const StepInfo& step : restarted.kept)
    context.console.line(fmt::format("  keeps {} {}", to_string(step.kind), step_label(step.name, step.occurrence)));
  return kOk;
}

int remove(Context& context, const std::string& name) {
  Maintenance& database = context.writing();
  const InstanceInfo info = find_newest(database, name);
  database.client().remove(info.workflow, info.id);
  if (context.console.json())
    context.console.json_line(
        JsonObject().text("workflow", info.workflow).text("id", info.id).flag("deleted", true).take());
  else
    context.console.line(fmt::format("Deleted {}/{}.", harmless(info.workflow), harmless(info.id)));
  return kOk;
}

}  // namespace workflows::cli
