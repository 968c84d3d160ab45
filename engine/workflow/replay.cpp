#include <workflows/replay.h>

#include <boost/json.hpp>

#include <string>
#include <string_view>
#include <utility>
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
    "usage: PROGRAM replay DATABASE [--json] [WORKFLOW/]ID...\n"
    "       PROGRAM replay DATABASE [--json] --all [--workflow NAME] [--status STATUS]\n";

struct Wanted {
  bool all = false;
  bool json = false;
  ListQuery query{.newest_only = true};
  std::vector<std::string> ids{};
};

// Absent: they are not accepted.
std::optional<Wanted> read(const std::vector<std::string>& arguments) {
  Wanted wanted;
  for (std::size_t i = 3; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const bool takes_value = argument == "--workflow" || argument == "--status";
    if (takes_value && i + 1 == arguments.size()) return std::nullopt;
    if (argument == "--all") {
      wanted.all = true;
    } else if (argument == "--json") {
      wanted.json = true;
    } else if (argument == "--workflow") {
      wanted.query.workflow = arguments[++i];
    } else if (argument == "--status") {
      wanted.query.status = parse_status(arguments[++i]);
      if (!wanted.query.status) return std::nullopt;
    } else if (argument.starts_with("--")) {
      return std::nullopt;
    } else {
      wanted.ids.push_back(argument);
    }
  }
  const bool filters = wanted.query.workflow || wanted.query.status;
  if (wanted.all ? !wanted.ids.empty() : wanted.ids.empty() || filters) return std::nullopt;
  return wanted;
}

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

std::string as_text(const InstanceInfo& info, const Replayed& replayed) {
  std::string text = std::string(word_for(replayed.verdict)) + "  " + info.workflow + "/" + info.id;
  if (info.generation > 1) text += "@" + std::to_string(info.generation);
  return replayed.verdict == ReplayVerdict::diverged ? text + '\n' + replayed.report : text;
}

std::string as_json(const InstanceInfo& info, const Replayed& replayed) {
  return boost::json::serialize(boost::json::object{{"workflow", info.workflow},
                                                    {"id", info.id},
                                                    {"generation", info.generation},
                                                    {"outcome", word_for(replayed.verdict)},
                                                    {"report", replayed.report}});
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
  const auto wanted = read(arguments);
  if (!wanted) {
    errors << kUsage;
    return exit_code(ErrorCode::invalid_config);
  }
  try {
    Client client({.database = arguments[2], .create = false, .read_only = true});
    bool diverged = false;
    for (const InstanceKey key : wanted->all ? all(client, wanted->query) : named(client, wanted->ids)) {
      InstanceHistory history = client.history(key);
      const InstanceInfo info = history.info;
      const Replayed replayed = detail::replay(std::move(history), functions_.at(info.workflow));
      out << (wanted->json ? as_json(info, replayed) : as_text(info, replayed)) << '\n';
      diverged |= replayed.verdict == ReplayVerdict::diverged;
    }
    return diverged ? exit_code(ErrorCode::divergence) : 0;
  } catch (const WorkflowsError& error) {
    errors << error.what() << '\n';
    return exit_code(error.code());
  }
}

std::vector<InstanceKey> ReplayCommand::all(Client& client, ListQuery query) const {
  std::vector<InstanceKey> keys;
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
