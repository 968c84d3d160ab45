#include "engine/cli/arguments.h"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <charconv>
#include <sstream>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/text.h"
#include "engine/values/iso_time.h"
#include "engine/values/json.h"
#include "engine/values/text.h"

namespace workflows::cli {
namespace {

const std::vector<std::string> kStatuses = {"queued",      "running",  "waiting", "waitingForPause", "paused",
                                            "rollingBack", "complete", "errored", "terminated"};
const std::vector<std::string> kKinds = {"do", "sleep", "wait_for_event", "value"};
const std::vector<std::string> kFormats = {"text", "mermaid", "dot"};
const std::vector<std::string> kShells = {"bash", "zsh", "fish"};

struct Library {
  std::string name;
  std::string version;
};

std::vector<Library> libraries() {
  return {{"workflows", WORKFLOWS_VERSION},
          {"SQLite", sqlite_version()},
          {"Boost.JSON", WORKFLOWS_BOOST_VERSION},
          {"CLI11", CLI11_VERSION},
          {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)}};
}

std::string version_text() {
  std::string text;
  for (const auto& [name, version] : libraries())
    text += fmt::format("{}{} {}", text.empty() ? "" : "\n", name, version);
  return text;
}

std::string version_json() {
  JsonObject json;
  for (const auto& [name, version] : libraries()) json.text(name, version);
  return json.take();
}

// ISO 8601, or how long ago.
TimePoint parse_time(const std::string& text, TimePoint now) {
  if (const auto time = values::parse_iso_time(text)) return *time;
  try {
    return now - parse_duration(text);
  } catch (const InvalidDurationError&) {
    throw InvalidDurationError(
        fmt::format("The time {} is not accepted. Accepted: ISO 8601 with a time zone, such as "
                    "2026-05-01T09:00:00Z, or how long ago, at most 10 years, such as \"2 hours\".",
                    values::quoted(text)));
  }
}

Status parse_status_word(const std::string& word) {
  if (const auto status = parse_status(word)) return *status;
  throw InvalidConfigError(
      fmt::format("The status {} is not accepted. Accepted: {}.", values::quoted(word), fmt::join(kStatuses, ", ")));
}

StepKind parse_kind_word(const std::string& word) {
  if (const auto kind = parse_step_kind(word)) return *kind;
  throw InvalidConfigError(
      fmt::format("The kind {} is not accepted. Accepted: {}.", values::quoted(word), fmt::join(kKinds, ", ")));
}

std::string json_or_file(const std::string& given) {
  return given.starts_with('@') ? read_file(given.substr(1)) : given;
}

std::string checked_params(const std::string& given) {
  std::string params = json_or_file(given);
  if (const auto problem = values::json_problem(params))
    throw SerializationError(fmt::format("The params are not JSON: {}.", *problem));
  return params;
}

// A number from `least` on; CLI11's own words for it name the greatest double.
CLI::Validator number_from(std::uint64_t least) {
  const auto problem = [least](const std::string& text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number >= least) return std::string();
    return fmt::format("{} is not accepted. Accepted: a number from {}", values::quoted(text), least);
  };
  return {problem, "", "number"};
}

// What is given as "" is most often a variable of a shell that is not set, and never means to leave it out.
CLI::Validator not_empty() {
  return {[](const std::string& text) {
            return std::string(text.empty() ? "\"\" is not accepted. Give a value, or leave it out" : "");
          },
          "", "text"};
}

constexpr const char* kNewest = "ID or WORKFLOW/ID";
constexpr const char* kAnyGeneration = "ID or WORKFLOW/ID, of an older generation with @GENERATION";

// CLI11 would take the word behind `--option=` for its value.
void split_empty_values(std::vector<std::string>& arguments) {
  const auto end = std::ranges::find(arguments, "--") - arguments.begin();
  for (auto at = end; at-- > 0;) {
    std::string& word = arguments[static_cast<std::size_t>(at)];
    if (!word.starts_with("--") || word.find('=') + 1 != word.size()) continue;
    word.pop_back();
    arguments.insert(arguments.begin() + at + 1, "");
  }
}

// The grammar. Options of a command are kept beside the function that will read them.
class Grammar {
 public:
  Grammar(Context& context, const RunCode& run_code) : context_(context), run_code_(run_code) {
    app_.name("workflows");
    app_.description("Looks at the instances of a workflows database, and steers them.");
    app_.require_subcommand(1);
    app_.add_option("--db", context_.database, "The database file")->envname("WORKFLOWS_DB");
    app_.add_flag("--json", json_, "JSON for programs: one object, or one a line for lists");
    app_.set_version_flag("--version", version_text());
    app_.footer(
        "A command tells more: workflows COMMAND --help\nExit codes: 0 done, 1 something was found (diff, "
        "doctor), 2 usage, 3 no such instance, 5 wrong status, 10 the workflow failed, 12 diverged, from 20 on "
        "the database.");
    add_reading();
    add_steering();
    add_files();
    add_care();
    add_code();
  }

  Parsed parse(std::vector<std::string> arguments) {
    split_empty_values(arguments);
    std::reverse(arguments.begin(), arguments.end());
    try {
      app_.parse(std::move(arguments));
    } catch (const CLI::RequiredError& error) {
      return {.problem = missing_part(error)};
    } catch (const CLI::CallForVersion&) {
      return {.text = context_.console.json() ? version_json() : version_text()};
    } catch (const CLI::Success& asked) { return {.text = text_of(asked)}; } catch (const CLI::ParseError& error) {
      return {.problem = fmt::format("{}\n{}", error.what(), hint())};
    }
    context_.console.set_json(json_);
    return {.command = command_};
  }

 private:
  // `example`: what follows `workflows` in the help.
  CLI::App& add(const std::string& name, const std::string& description, const std::string& example,
                std::function<int(Context&)> command) {
    CLI::App& sub = *app_.add_subcommand(name, description);
    sub.fallthrough();
    sub.footer(fmt::format("With every command: --db PATH (or WORKFLOWS_DB), --json\nExample: workflows {}", example));
    sub.callback([this, command = std::move(command)] { command_ = command; });
    return sub;
  }

  // A command that has an instance and nothing else.
  CLI::App& add_named(const std::string& name, const std::string& description, const char* which,
                      int (*command)(Context&, const std::string&)) {
    auto id = std::make_shared<std::string>();
    CLI::App& sub = add(name, description, name + " order-17 --db shop.db",
                        [id, command](Context& context) { return command(context, *id); });
    add_id(sub, *id, which);
    return sub;
  }

  static CLI::Option* add_id(CLI::App& sub, std::string& id, const char* which) {
    return sub.add_option("ID", id, which)->required();
  }

  void add_reading() {
    add_list();
    add_named("inspect", "What happened in an instance, step by step, and what it waits for", kAnyGeneration, inspect);
    auto tailed = std::make_shared<TailRequest>();
    CLI::App& tailing = add("tail", "What was recorded, entry by entry", "tail order-17 -f",
                            [tailed](Context& context) { return tail(context, *tailed); });
    tailing
        .add_option(
            "ID", tailed->name,
            "ID or WORKFLOW/ID, with @GENERATION if not the newest; without one: the newest entries of all instances")
        ->check(not_empty());
    tailing.add_flag("-f,--follow", tailed->follow, "Go on until the instance is finished");
    auto drawn = std::make_shared<GraphRequest>();
    CLI::App& drawing = add("graph", "The graph of the steps that ran", "graph order-17 --format mermaid",
                            [drawn](Context& context) { return graph(context, *drawn); });
    add_source(drawing, "ID", drawn->name);
    drawing.add_option("--format", drawn->format, "text, mermaid or dot")->check(CLI::IsMember(kFormats));
    add("stats", "How many instances there are, and how busy it is", "stats --db shop.db", stats);
  }

  void add_list() {
    struct Given {
      std::string workflow, status, created_after;
      ListRequest request;
    };
    auto given = std::make_shared<Given>();
    CLI::App& sub =
        add("list", "The instances, oldest first", "list --workflow order --status errored", [given](Context& context) {
          ListQuery& query = given->request.query;
          if (!given->workflow.empty()) query.workflow = given->workflow;
          if (!given->status.empty()) query.status = parse_status_word(given->status);
          if (!given->created_after.empty())
            query.created_after = parse_time(given->created_after, context.console.now());
          return list(context, given->request);
        });
    sub.add_option("--workflow", given->workflow, "Only of this workflow")->check(not_empty());
    sub.add_option("--status", given->status, "Only of this status")->check(not_empty());
    sub.add_option("--created-after", given->created_after, "Only younger ones: a time, or how long ago")
        ->check(not_empty());
    sub.add_option("--id-prefix", given->request.query.id_prefix, "Only ids that begin with this");
    sub.add_option("--limit", given->request.limit, "At most so many")->check(number_from(0));
    sub.add_flag_callback(
        "--all-generations", [given] { given->request.query.newest_only = false; },
        "Also generations that a restart has replaced");
    sub.add_flag("--count", given->request.count, "Only how many there are");
  }

  static void add_source(CLI::App& sub, const std::string& name, std::string& value) {
    sub.add_option(name, value, "ID or WORKFLOW/ID, with @GENERATION if not the newest, or an exported FILE.json")
        ->required();
  }

  void add_steering() {
    auto event = std::make_shared<EventRequest>();
    CLI::App& sending = add("send-event", "Send an event to an instance", R"(send-event order-17 paid '{"sum": 12}')",
                            [event](Context& context) {
                              event->payload = json_or_file(event->payload);
                              return send_event(context, *event);
                            });
    add_id(sending, event->name, kNewest);
    sending.add_option("TYPE", event->type, "The type that the wait asks for")->required();
    sending.add_option("PAYLOAD", event->payload, "JSON, or @FILE; default: null");
    sending.add_option("--event-id", event->event_id, "A second event of the same id is ignored")->check(not_empty());
    add_named("pause", "Let running bodies finish, and go on with nothing until resumed", kNewest, pause);
    add_named("resume", "Let a paused instance go on", kNewest, resume);
    auto ended = std::make_shared<TerminateRequest>();
    CLI::App& ending = add("terminate", "End an instance", "terminate order-17 --rollback",
                           [ended](Context& context) { return terminate(context, *ended); });
    add_id(ending, ended->name, kNewest);
    ending.add_flag("--rollback", ended->rollback, "Compensate its steps first");
    add_restart();
    add_named("delete", "Remove an instance, with all generations and events", kNewest, remove);
  }

  void add_restart() {
    struct Given {
      RestartCommand command;
      std::string kind = "do";
    };
    auto given = std::make_shared<Given>();
    CLI::App& sub = add("restart", "Begin a new generation of an instance", "restart order-17 --from-step charge",
                        [given](Context& context) {
                          given->command.request.kind = parse_kind_word(given->kind);
                          return restart(context, given->command);
                        });
    add_id(sub, given->command.name, kNewest);
    auto* from = sub.add_option("--from-step", given->command.request.from_step, "Keep what this step does not follow")
                     ->check(not_empty());
    sub.add_option("--count", given->command.request.count, "The how-manieth step of this name")
        ->needs(from)
        ->check(number_from(1));
    sub.add_option("--kind", given->kind, "do, sleep, wait_for_event or value")->needs(from);
  }

  void add_files() {
    auto sources = std::make_shared<std::pair<std::string, std::string>>();
    CLI::App& differing =
        add("diff", "Where two instances, generations or exported files differ first", "diff order-17@1 order-17",
            [sources](Context& context) { return diff(context, sources->first, sources->second); });
    add_source(differing, "A", sources->first);
    add_source(differing, "B", sources->second);
    auto exported = std::make_shared<ExportRequest>();
    CLI::App& exporting =
        add("export", "An instance's history as one JSON document", "export order-17 -o order-17.json",
            [exported](Context& context) { return export_history(context, *exported); });
    add_id(exporting, exported->name, kAnyGeneration);
    exporting.add_option("-o,--output", exported->output, "The file to write; default: standard output")
        ->check(not_empty());
    auto* redacted = exporting.add_flag_callback(
        "--redact", [exported] { exported->redaction = Redaction::everything; }, "Without any value of the user's");
    exporting
        .add_flag_callback(
            "--sensitive", [exported] { exported->redaction = Redaction::nothing; },
            "With the results of sensitive steps, which are [REDACTED] otherwise")
        ->excludes(redacted);
    auto file = std::make_shared<std::string>();
    CLI::App& importing =
        add("import", "Bring an exported history into the database; an unfinished one comes paused",
            "import order-17.json --db copy.db", [file](Context& context) { return import_history(context, *file); });
    importing.add_option("FILE", *file, "What export wrote; - for standard input")->required();
  }

  void add_care() {
    add("gc", "Remove finished instances whose retention is over", "gc --db shop.db", collect_garbage);
    add("doctor", "Is the database sound?", "doctor --db shop.db", doctor);
    auto shell = std::make_shared<std::string>();
    CLI::App& completing = add("completion", "The completion script of a shell", "completion bash > ~/.workflows.bash",
                               [this, shell](Context& context) { return completion(context, *shell, commands()); });
    completing.add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember(kShells));
  }

  void add_code() {
    add_replay();
    auto run = std::make_shared<CodeRequest>();
    run->command = "run";
    CLI::App& running = add("run", "Run one instance to its end (Python)",
                            "run shop:Order --params @order.json --id o-1", [this, run](Context&) {
                              if (!run->params.empty()) run->params = checked_params(run->params);
                              return with_code(*run);
                            });
    running.add_option("MODULE:NAME", run->targets, "The workflow")->required()->expected(1);
    running.add_option("--params", run->params, "JSON, or @FILE")->check(not_empty());
    running.add_option("--id", run->id, "Create this instance, or go on with it")->check(not_empty());
    auto worker = std::make_shared<CodeRequest>();
    worker->command = "worker";
    CLI::App& working = add("worker", "Serve the workflows of Python modules until SIGTERM", "worker shop --db shop.db",
                            [this, worker](Context&) { return with_code(*worker); });
    working.add_option("MODULE", worker->targets, "Modules, or MODULE:NAME for one workflow")->required();
  }

  void add_replay() {
    struct Given {
      ReplayRequest request;
      std::string at;
      std::vector<std::string> words;
      CodeRequest code;
    };
    auto given = std::make_shared<Given>();
    CLI::App& sub = add("replay", "The recorded history step by step, or Python code against it",
                        "replay order-17 --until charge", [this, given](Context& context) {
                          return replay_what(context, given->request, given->at, given->words, given->code);
                        });
    sub.add_option(
        "ID", given->words,
        "ID or WORKFLOW/ID, or an exported FILE.json; then MODULE:NAME to run that code against the history");
    sub.add_option("--until", given->request.until, "Stop after this step: NAME, or NAME#COUNT")->check(not_empty());
    sub.add_option("--at", given->at, "Stop at this time: a time, or how long ago")->check(not_empty());
    sub.add_flag("--step", given->request.step, "One entry at a time");
    sub.add_option("--debug", given->code.debug,
                   "With MODULE:NAME: open pdb where the code gets the outcome of this step: NAME, or NAME#COUNT")
        ->check(not_empty());
    auto* all = sub.add_flag("--all", given->code.all, "MODULE:NAME against every instance");
    sub.add_option("--workflow", given->code.workflow, "With --all: only of this workflow")
        ->check(not_empty())
        ->needs(all);
    sub.add_option("--status", given->code.status, "With --all: only of this status")->check(not_empty())->needs(all);
  }

  int replay_what(Context& context, ReplayRequest request, const std::string& at, std::vector<std::string> words,
                  CodeRequest code) {
    const std::size_t wanted = code.all ? 1 : 2;
    if (words.empty() || words.size() > wanted)
      throw InvalidConfigError("Accepted: replay ID, replay ID MODULE:NAME, or replay --all MODULE:NAME.");
    if (!code.debug.empty() && (code.all || words.size() == 1))
      throw InvalidConfigError("--debug needs one instance and its code: replay ID MODULE:NAME --debug STEP.");
    if (!code.all && words.size() == 1) {
      if (request.step && json_) throw InvalidConfigError("--step asks a person; leave out --step or --json.");
      request.name = words.front();
      if (!at.empty()) request.at = parse_time(at, context.console.now());
      return replay(context, request);
    }
    if (!request.until.empty() || !at.empty() || request.step)
      throw InvalidConfigError(
          "--until, --at and --step go with a recorded history alone: replay ID --until STEP. Code is always replayed "
          "to the end.");
    if (!code.status.empty()) parse_status_word(code.status);
    code.command = "replay";
    code.targets = {words.back()};
    if (!code.all) code.id = words.front();
    return with_code(code);
  }

  int with_code(CodeRequest request) {
    if (!run_code_)
      throw InvalidConfigError(
          "This program holds no Python code. Use the program `workflows` of the Python package (pip install "
          "workflows).");
    request.database = context_.database;
    request.json = json_;
    if (request.database.empty() && !names_a_file(request.id))
      throw InvalidConfigError("No database was named. Give --db PATH, or set WORKFLOWS_DB.");
    return run_code_(request);
  }

  CompletedCommand commands() const {
    CompletedCommand whole{.options = options_of(app_)};
    for (const CLI::App* sub : app_.get_subcommands(nullptr)) {
      CompletedCommand command{
          .name = sub->get_name(), .description = sub->get_description(), .options = options_of(*sub)};
      if (command.name == "completion") command.words = kShells;
      for (const CompletedOption& shared : whole.options) {
        if (shared.name != "--help" && shared.name != "--version") command.options.push_back(shared);
      }
      whole.commands.push_back(std::move(command));
    }
    return whole;
  }

  static std::vector<CompletedOption> options_of(const CLI::App& app) {
    std::vector<CompletedOption> options;
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_lnames().empty()) continue;
      CompletedOption one{.name = "--" + option->get_lnames().front()};
      if (!option->get_snames().empty()) one.short_name = "-" + option->get_snames().front();
      one.takes_value = option->get_items_expected_max() > 0;
      if (one.name == "--status") one.values = kStatuses;
      if (one.name == "--kind") one.values = kKinds;
      if (one.name == "--format") one.values = kFormats;
      options.push_back(std::move(one));
    }
    return options;
  }

  std::string text_of(const CLI::Success& asked) {
    std::ostringstream out;
    app_.exit(asked, out, out);
    std::string text = out.str();
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }

  // Without a command of the known ones, the first word was meant to be one.
  std::string missing_part(const CLI::RequiredError& error) const {
    if (!app_.get_subcommands().empty()) {
      const auto words = app_.remaining(true);
      const auto option = std::ranges::find_if(words, [](const std::string& word) { return word.starts_with('-'); });
      if (option != words.end()) return fmt::format("There is no option {}\n{}", values::quoted(*option), hint());
      return fmt::format("{}\n{}", error.what(), hint());
    }
    std::vector<std::string> names;
    for (const CLI::App* sub : app_.get_subcommands(nullptr)) names.push_back(sub->get_name());
    const auto words = app_.remaining();
    const auto given =
        words.empty() ? "No command was given" : fmt::format("There is no command {}", values::quoted(words.front()));
    return fmt::format("{}. Accepted: {}.\n{}", given, fmt::join(names, ", "), hint());
  }

  std::string hint() const {
    const auto given = app_.get_subcommands();
    return fmt::format("workflows {}--help tells more.", given.empty() ? "" : given.front()->get_name() + " ");
  }

  Context& context_;
  const RunCode& run_code_;
  CLI::App app_;
  bool json_ = false;
  std::function<int(Context&)> command_;
};

}  // namespace

Parsed parse(const std::vector<std::string>& arguments, Context& context, const RunCode& run_code) {
  // The grammar outlives the parsing: commands refer to it.
  const auto grammar = std::make_shared<Grammar>(context, run_code);
  Parsed parsed = grammar->parse(arguments);
  if (parsed.command) parsed.command = [grammar, command = parsed.command](Context& c) { return command(c); };
  return parsed;
}

}  // namespace workflows::cli
