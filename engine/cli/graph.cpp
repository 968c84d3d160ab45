#include <fmt/format.h>

#include <map>
#include <set>

#include "engine/cli/commands.h"
#include "engine/cli/format.h"
#include "engine/cli/json.h"
#include "engine/cli/text.h"

namespace workflows::cli {
namespace {

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

std::string label_of(const StepInfo& step) {
  const std::string label = step_label(step.name, step.occurrence);
  return step.kind == StepKind::do_ ? label : fmt::format("{} {}", to_string(step.kind), label);
}

// Steps stand under those that depend on them, like the packages of a dependency tree.
class Tree {
 public:
  Tree(Console& console, const std::vector<StepInfo>& steps) : console_(console) {
    for (const StepInfo& step : steps) {
      steps_[step.number] = &step;
      for (const auto number : step.depends) needed_.insert(number);
    }
  }

  void print() {
    for (const auto& [number, step] : steps_)
      if (!needed_.contains(number)) print(*step, "", "");
  }

 private:
  void print(const StepInfo& step, const std::string& before, const std::string& under) {
    const Look look = look_of_step(step.status);
    const bool again = !shown_.insert(step.number).second && !step.depends.empty();
    console_.line(fmt::format("{}{} {}{}", before, console_.styled(look.style, look.glyph), label_of(step),
                              again ? console_.styled(Style::dim, " (as above)") : ""));
    if (again) return;
    std::vector<const StepInfo*> children;
    for (const auto number : step.depends)
      if (const auto child = steps_.find(number); child != steps_.end()) children.push_back(child->second);
    for (const StepInfo* child : children) {
      const bool last = child == children.back();
      print(*child, under + (last ? "└─ " : "├─ "), under + (last ? "   " : "│  "));
    }
  }

  Console& console_;
  std::map<std::uint32_t, const StepInfo*> steps_;
  std::set<std::uint32_t> needed_;
  std::set<std::uint32_t> shown_;
};

// Mermaid takes #35; for a character, and <b> for HTML.
std::string for_mermaid(std::string_view label) {
  std::string escaped;
  for (const char c : label)
    escaped += std::string_view("#\"<>&").find(c) == std::string_view::npos
                   ? std::string(1, c)
                   : fmt::format("#{};", static_cast<unsigned>(c));
  return escaped;
}

void print_mermaid(Console& console, const std::vector<StepInfo>& steps) {
  console.line("graph TD");
  for (const StepInfo& step : steps)
    console.line(fmt::format("  s{}[\"{}\"]:::{}", step.number, for_mermaid(label_of(step)), step.status));
  for (const StepInfo& step : steps)
    for (const auto number : step.depends) console.line(fmt::format("  s{} --> s{}", number, step.number));
  console.line("  classDef failed stroke:#c00\n  classDef timed_out stroke:#c00\n  classDef running stroke:#06c");
}

void print_dot(Console& console, const std::vector<StepInfo>& steps) {
  console.line("digraph steps {");
  for (const StepInfo& step : steps) {
    const std::string label = replaced(replaced(label_of(step), "\\", "\\\\"), "\"", "\\\"");
    const bool failed = step.status == "failed" || step.status == "timed_out";
    console.line(fmt::format("  s{} [label=\"{}\"{}];", step.number, label, failed ? ", color=red" : ""));
  }
  for (const StepInfo& step : steps)
    for (const auto number : step.depends) console.line(fmt::format("  s{} -> s{};", number, step.number));
  console.line("}");
}

void print_json(Console& console, const std::vector<StepInfo>& steps) {
  std::vector<std::string> edges;
  for (const StepInfo& step : steps)
    for (const auto number : step.depends)
      edges.push_back(JsonObject().number("from", number).number("to", step.number).take());
  const auto node = [](const StepInfo& step) {
    return JsonObject()
        .number("number", step.number)
        .text("kind", to_string(step.kind))
        .text("name", step.name)
        .number("count", step.occurrence)
        .text("status", step.status)
        .take();
  };
  console.json_line(JsonObject()
                        .raw("nodes", json_array(steps, node))
                        .raw("edges", json_array(edges, [](const std::string& edge) { return edge; }))
                        .take());
}

}  // namespace

int graph(Context& context, const GraphRequest& request) {
  const auto steps = steps_of(load_source(context, request.name).history);
  Console& console = context.console;
  if (console.json())
    print_json(console, steps);
  else if (request.format == "mermaid")
    print_mermaid(console, steps);
  else if (request.format == "dot")
    print_dot(console, steps);
  else if (steps.empty())
    console.line("No steps.");
  else
    Tree(console, steps).print();
  return kOk;
}

}  // namespace workflows::cli
