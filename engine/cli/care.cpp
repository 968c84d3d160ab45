// The commands that look after the database as a whole.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/cli/commands.h"
#include "engine/cli/format.h"
#include "engine/cli/json.h"
#include "engine/cli/table.h"
#include "engine/cli/text.h"

namespace workflows::cli {
namespace {

double steps_per_second(const Statistics& statistics) {
  const double seconds = static_cast<double>(std::max(statistics.recent, Millis(1)).count()) / 1000;
  return static_cast<double>(statistics.recent_steps) / seconds;
}

std::uint64_t count_of(const Statistics& statistics, Status status) {
  std::uint64_t count = 0;
  for (const StatusCount& each : statistics.counts)
    if (each.status == status) count += each.instances;
  return count;
}

std::string to_json(const Statistics& statistics) {
  const auto count = [](const StatusCount& each) {
    return JsonObject()
        .text("workflow", each.workflow)
        .text("status", to_string(each.status))
        .number("instances", each.instances)
        .take();
  };
  return JsonObject()
      .raw("counts", json_array(statistics.counts, count))
      .number("queued", count_of(statistics, Status::queued))
      .time("oldest_runnable", statistics.oldest_runnable)
      .raw("steps_per_second", fmt::format("{:.2f}", steps_per_second(statistics)))
      .number("engines", statistics.engines)
      .number("file_bytes", statistics.file_bytes)
      .number("wal_bytes", statistics.wal_bytes)
      .take();
}

// One row a workflow, one column for each status that there is.
void print_counts(Console& console, const Statistics& statistics) {
  std::set<Status> statuses;
  std::map<std::string, std::map<Status, std::uint64_t>> workflows;
  for (const StatusCount& each : statistics.counts) {
    statuses.insert(each.status);
    workflows[each.workflow][each.status] = each.instances;
  }
  std::vector<std::string> head = {"WORKFLOW"};
  for (const Status status : statuses) head.emplace_back(to_string(status));
  head.emplace_back("TOTAL");
  Table table(head, 0);
  std::vector<Row> rows;
  for (auto& [workflow, counts] : workflows) {
    Row row = {{harmless(workflow)}};
    std::uint64_t total = 0;
    for (const Status status : statuses) {
      total += counts[status];
      row.push_back({thousands(counts[status]), counts[status] == 0 ? Style::dim : look_of(status).style});
    }
    row.push_back({thousands(total)});
    table.measure(row);
    rows.push_back(std::move(row));
  }
  table.print_head(console);
  for (const Row& row : rows) table.print(console, row);
}

struct SeverityLook {
  std::string_view glyph;
  std::string_view word;
  Style style;
};

SeverityLook look_of(Finding::Severity severity) {
  switch (severity) {
    case Finding::Severity::problem:
      return {"✗", "problem", Style::red};
    case Finding::Severity::stuck:
      return {"!", "stuck", Style::yellow};
    case Finding::Severity::note:
      break;
  }
  return {"•", "note", Style::yellow};
}

bool has(const std::vector<Finding>& findings, Finding::Severity severity) {
  return std::ranges::any_of(findings, [&](const Finding& finding) { return finding.severity == severity; });
}

std::string to_json(const Finding& finding) {
  return JsonObject()
      .text("severity", look_of(finding.severity).word)
      .text("check", finding.check)
      .text("message", finding.message)
      .text("advice", finding.advice)
      .take();
}

void print(Console& console, const Finding& finding) {
  const SeverityLook look = look_of(finding.severity);
  const auto mark = console.styled(look.style, fmt::format("{} {:<7}", look.glyph, look.word));
  constexpr std::size_t kIndent = 11;
  console.paragraph(mark + "  ", kIndent, harmless(finding.message));
  console.paragraph(std::string(kIndent, ' '), kIndent, harmless(finding.advice) + ".");
}

std::string to_json(const EngineInfo& engine) {
  return JsonObject()
      .number("id", engine.id)
      .flag("alive", engine.alive)
      .text_or_null("durability", !engine.alive       ? ""
                                  : engine.may_forget ? "normal"
                                                      : "full")
      .take();
}

// The file does not say: each engine decides for what it commits.
std::string durability_of(const std::vector<EngineInfo>& engines) {
  const auto alive = std::ranges::count_if(engines, &EngineInfo::alive);
  const auto forgetful =
      std::ranges::count_if(engines, [](const EngineInfo& engine) { return engine.alive && engine.may_forget; });
  if (alive == 0)
    return "no engine runs; what one commits survives a loss of power, unless it is opened with \"normal\"";
  if (forgetful == 0) return fmt::format("full: what engines commit survives a loss of power (engines: {})", alive);
  return fmt::format("normal: a loss of power may take the newest commits (of {} engines of {})", forgetful, alive);
}

// What the findings are to be seen against.
void print_facts(Console& console, const std::string& file_system, const std::vector<EngineInfo>& engines,
                 std::uint64_t wal_bytes) {
  console.line(fmt::format("file system  {}", file_system.empty() ? "unknown" : harmless(file_system)));
  console.paragraph("durability   ", 13, durability_of(engines));
  console.line(fmt::format("log          {}", bytes(wal_bytes)));
  console.line(fmt::format("SQLite       {}", sqlite_version()));
}

}  // namespace

int stats(Context& context) {
  Console& console = context.console;
  const Statistics statistics = context.reading().statistics(console.now());
  if (console.json()) {
    console.json_line(to_json(statistics));
    return kOk;
  }
  if (statistics.counts.empty())
    console.line("No instances.");
  else
    print_counts(console, statistics);
  console.line();
  const auto oldest =
      statistics.oldest_runnable
          ? fmt::format(", the oldest since {}", moment_and_relative(*statistics.oldest_runnable, console.now()))
          : "";
  console.paragraph("queued       ", 13, fmt::format("{}{}", thousands(count_of(statistics, Status::queued)), oldest));
  console.paragraph(
      "steps        ", 13,
      fmt::format("{:.2f}/s over the last {}", steps_per_second(statistics), duration(statistics.recent)));
  console.line(fmt::format("engines      {}", statistics.engines));
  console.paragraph("file         ", 13,
                    fmt::format("{}, and {} in its log", bytes(statistics.file_bytes), bytes(statistics.wal_bytes)));
  return kOk;
}

int collect_garbage(Context& context) {
  constexpr std::uint64_t kAtOnce = 10'000;
  Console& console = context.console;
  Client& client = context.writing().client();
  std::uint64_t removed = 0;
  for (std::uint64_t part = kAtOnce; part >= kAtOnce;) {
    part = client.collect_garbage(kAtOnce);
    removed += part;
    if (part >= kAtOnce) console.progress(fmt::format("removed {} rows", thousands(removed)));
  }
  if (console.json())
    console.json_line(JsonObject().number("removed", removed).take());
  else
    console.line(removed == 0 ? "Nothing to remove." : fmt::format("Removed {} rows.", thousands(removed)));
  return kOk;
}

int doctor(Context& context) {
  Console& console = context.console;
  Maintenance& database = context.reading();
  const auto findings = database.check(console.now(), [&](std::string_view looked_at) {
    console.progress(fmt::format("looking at {} ...", looked_at));
  });
  const bool sound = !has(findings, Finding::Severity::problem);
  const bool stuck = has(findings, Finding::Severity::stuck);
  const std::string file_system = file_system_of(context.database);
  const std::uint64_t wal_bytes = log_bytes_of(context.database);
  const bool readable = std::ranges::none_of(
      findings, [](const Finding& finding) { return finding.check == "schema" || finding.check == "integrity"; });
  const auto engines = readable ? database.engines() : std::vector<EngineInfo>();
  if (console.json()) {
    console.json_line(
        JsonObject()
            .flag("sound", sound)
            .raw("findings", json_array(findings, [](const Finding& finding) { return to_json(finding); }))
            .raw("engines", json_array(engines, [](const EngineInfo& engine) { return to_json(engine); }))
            .text("sqlite", sqlite_version())
            .text_or_null("file_system", file_system)
            .number("wal_bytes", wal_bytes)
            .take());
  } else {
    for (const Finding& finding : findings) print(console, finding);
    const auto verdict = !sound  ? console.styled(Style::red, "✗ not sound")
                         : stuck ? console.styled(Style::yellow, "! sound, but instances are stuck")
                                 : console.styled(Style::green, "✓ sound");
    console.line(fmt::format("{}  {}", verdict, harmless(context.database)));
    print_facts(console, file_system, engines, wal_bytes);
  }
  return sound && !stuck ? kOk : kFound;
}

}  // namespace workflows::cli
