#include <workflows/replay.h>

#include <string_view>
#include <vector>

#include "engine/workflow/loop.h"

namespace workflows {
namespace detail {

Replayed replay(InstanceHistory history, WorkflowFunction function) {
  const std::string workflow = history.info.workflow;
  Loop loop({.database = ":memory:", .workflows = {{.name = workflow}}}, {{workflow, std::move(function)}}, 1);
  loop.run();
  const std::string told = loop.replay(std::move(history)).reason;
  const auto verdict = told.substr(0, told.find(':'));
  const auto report = told.find(": ");
  return {.verdict = verdict == "match"        ? ReplayVerdict::match
                     : verdict == "incomplete" ? ReplayVerdict::incomplete
                                               : ReplayVerdict::diverged,
          .report = report == told.npos ? told : told.substr(report + 2)};
}

}  // namespace detail

namespace {

constexpr std::string_view kUsage =
    "usage: PROGRAM replay DATABASE [WORKFLOW/]ID...\n       PROGRAM replay DATABASE --all\n";

std::string_view word_for(ReplayVerdict verdict) {
  switch (verdict) {
    case ReplayVerdict::match:
      return "match";
    case ReplayVerdict::incomplete:
      return "incomplete";
    case ReplayVerdict::diverged:
      break;
  }
  return "diverged";
}

}  // namespace

void ReplayCommand::add_function(std::string name, detail::WorkflowFunction function) {
  check_workflow_name(name);
  functions_.insert_or_assign(std::move(name), std::move(function));
}

std::optional<int> ReplayCommand::run(int argc, const char* const* argv, std::ostream& out,
                                      std::ostream& errors) const {
  const std::vector<std::string> arguments(argv, argv + argc);
  if (arguments.size() < 2 || arguments[1] != "replay") return std::nullopt;
  if (arguments.size() < 4) {
    errors << kUsage;
    return exit_code(ErrorCode::invalid_config);
  }
  try {
    Client client({.database = arguments[2], .create = false, .read_only = true});
    bool diverged = false;
    const std::vector<std::string> ids(arguments.begin() + 3, arguments.end());
    for (const InstanceKey key : ids.front() == "--all" ? all(client) : named(client, ids)) {
      InstanceHistory history = client.history(key);
      const std::string name = history.info.workflow + "/" + history.info.id;
      const Replayed replayed = detail::replay(std::move(history), functions_.at(client.info(key).workflow));
      out << word_for(replayed.verdict) << "  " << name << '\n';
      if (replayed.verdict != ReplayVerdict::diverged) continue;
      out << replayed.report << '\n';
      diverged = true;
    }
    return diverged ? exit_code(ErrorCode::divergence) : 0;
  } catch (const WorkflowsError& error) {
    errors << error.what() << '\n';
    return exit_code(error.code());
  }
}

std::vector<InstanceKey> ReplayCommand::all(Client& client) const {
  std::vector<InstanceKey> keys;
  ListQuery query;
  for (auto page = client.list(query); !page.empty(); page = client.list(query)) {
    for (const InstanceInfo& info : page) {
      if (functions_.contains(info.workflow)) keys.push_back(info.key);
    }
    query.after = page.back().key;
  }
  return keys;
}

// An id alone is one of any workflow that was added.
std::vector<InstanceKey> ReplayCommand::named(Client& client, const std::vector<std::string>& ids) const {
  std::vector<InstanceKey> keys;
  for (const std::string& id : ids) {
    const auto slash = id.find('/');
    const std::size_t before = keys.size();
    for (const auto& [workflow, function] : functions_) {
      if (slash != std::string::npos && id.substr(0, slash) != workflow) continue;
      const std::string bare = slash == std::string::npos ? id : id.substr(slash + 1);
      if (client.exists(workflow, bare)) keys.push_back(client.get(workflow, bare).key);
    }
    if (keys.size() == before) {
      throw InstanceNotFoundError("there is no instance '" + id +
                                  "' of a workflow that this program has; give WORKFLOW/ID, or --all");
    }
  }
  return keys;
}

}  // namespace workflows
