#include "engine/cli/context.h"

#include <fmt/format.h>
#include <workflows/host.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <vector>

#include "engine/cli/cli.h"
#include "engine/cli/entry_line.h"
#include "engine/cli/format.h"
#include "engine/cli/text.h"
#include "engine/values/text.h"

namespace workflows::cli {
namespace {

using values::quoted;

std::uint32_t parse_generation(std::string_view text, std::string_view name) {
  std::uint32_t generation = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), generation);
  if (error == std::errc() && end == text.data() + text.size() && generation > 0) return generation;
  throw InvalidNameError(
      fmt::format("The generation {} of {} is not accepted. Accepted: a number from 1, as in "
                  "order-17@2.",
                  quoted(text), quoted(name)));
}

[[noreturn]] void throw_not_found(std::string_view name) {
  throw InstanceNotFoundError(
      fmt::format("There is no instance {} in this database. `workflows list` shows what there is.", quoted(name)));
}

InstanceInfo only_one(std::vector<InstanceInfo> found, std::string_view name) {
  if (found.empty()) throw_not_found(name);
  if (found.size() == 1) return std::move(found.front());
  std::string candidates;
  for (const InstanceInfo& info : found) candidates += fmt::format("\n  {}/{}", info.workflow, info.id);
  throw InvalidNameError(
      fmt::format("Several workflows have an instance {}. Name one of them:{}", quoted(name), candidates));
}

}  // namespace

Maintenance& Context::reading() { return open({.create = false, .read_only = true}); }
Maintenance& Context::writing() { return open({.create = false}); }
Maintenance& Context::creating() { return open({}); }

Maintenance& Context::open(ClientOptions options) {
  if (database.empty()) throw InvalidConfigError("No database was named. Give --db PATH, or set WORKFLOWS_DB.");
  options.database = database;
  if (open_ == nullptr) open_ = std::make_unique<Maintenance>(std::move(options));
  return *open_;
}

InstanceName parse_name(std::string_view text) {
  InstanceName name;
  std::string_view rest = text;
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    name.generation = parse_generation(rest.substr(at + 1), text);
    rest = rest.substr(0, at);
  }
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    name.workflow = rest.substr(0, slash);
    check_workflow_name(*name.workflow);
    rest = rest.substr(slash + 1);
  }
  check_instance_id(rest);
  name.id = rest;
  return name;
}

InstanceInfo find(Maintenance& database, std::string_view text) {
  const InstanceName name = parse_name(text);
  std::vector<InstanceInfo> found = database.find_everywhere(name.id);
  if (name.workflow) std::erase_if(found, [&](const InstanceInfo& info) { return info.workflow != *name.workflow; });
  InstanceInfo newest = only_one(std::move(found), text);
  if (!name.generation || newest.generation == *name.generation) return newest;
  const auto generations = database.client().generations(newest.workflow, newest.id);
  const auto named = std::ranges::find(generations, *name.generation, &InstanceInfo::generation);
  if (named == generations.end())
    throw InstanceNotFoundError(fmt::format("There is no generation {} of {}/{}; its newest is generation {}.",
                                            *name.generation, newest.workflow, newest.id, newest.generation));
  return *named;
}

InstanceInfo find_newest(Maintenance& database, std::string_view text) {
  if (parse_name(text).generation)
    throw InvalidNameError(
        fmt::format("The name {} names a generation. Accepted: ID or WORKFLOW/ID; only the newest "
                    "generation can be acted on.",
                    quoted(text)));
  return find(database, text);
}

bool names_a_file(std::string_view name) {
  return name == "-" || name.ends_with(".json") || name.starts_with('/') || name.starts_with('.');
}

std::string read_file(const std::string& path) {
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr)
    throw InvalidConfigError(fmt::format("The file {} cannot be read: {}.", quoted(path), std::strerror(errno)));
  std::string text;
  std::array<char, 65536> buffer{};
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), file)) > 0;)
    text.append(buffer.data(), got);
  const bool failed = std::ferror(file) != 0;
  if (file != stdin) std::fclose(file);
  if (failed)
    throw InvalidConfigError(fmt::format("The file {} cannot be read: {}.", quoted(path), std::strerror(errno)));
  return text;
}

namespace {

HistoryDocument as_recorded(Context& context, const std::string& name) {
  if (names_a_file(name)) return parse_history(read_file(name));
  try {
    (void)parse_name(name);
  } catch (const InvalidNameError& error) {
    throw InvalidNameError(fmt::format("{} A file is one whose name ends in .json or begins with . or /, such as ./{}.",
                                       error.what(), harmless(name)));
  }
  Maintenance& database = context.reading();
  return redact(database.client().history(find(database, name).key), Redaction::nothing);
}

}  // namespace

Source load_source(Context& context, const std::string& name) {
  Source source{.label = "", .history = as_recorded(context, name).history};
  source.label = names_a_file(name)            ? harmless(name)
                 : name.find('@') != name.npos ? exact_name_of(source.history.info)
                                               : name_of(source.history.info);
  source.history = redact(std::move(source.history), Redaction::sensitive).history;
  source.history.entries = EntryReader().read(std::move(source.history.entries));
  return source;
}

InstanceHistory history_for_code(const std::string& database, const std::string& workflow, const std::string& name) {
  Context context;
  context.database = database;
  const bool is_whole = names_a_file(name) || name.find('/') != std::string::npos;
  HistoryDocument document = as_recorded(context, is_whole ? name : workflow + '/' + name);
  if (document.redacted)
    throw SerializationError(
        fmt::format("The code cannot be replayed against {}: values of it were redacted. Export it "
                    "with --sensitive.",
                    quoted(name)));
  return std::move(document.history);
}

}  // namespace workflows::cli
