#include "engine/cli/cli.h"

#include <fmt/format.h>
#include <workflows/error.h>

#include <algorithm>
#include <exception>
#include <new>

#include "engine/cli/arguments.h"
#include "engine/cli/text.h"

namespace workflows::cli {
namespace {

bool asks_for_json(const std::vector<std::string>& arguments) {
  const auto end = std::ranges::find(arguments, "--");
  return std::find(arguments.begin(), end, "--json") != end;
}

int carry_out(const std::vector<std::string>& arguments, Context& context, const RunCode& run_code) {
  Console& console = context.console;
  const Parsed parsed = parse(arguments, context, run_code);
  if (!parsed.problem.empty()) {
    console.fail("usage", parsed.problem, kUsage);
    return kUsage;
  }
  if (parsed.command) return parsed.command(context);
  console.line(parsed.text);
  return kOk;
}

}  // namespace

std::string for_terminal(std::string_view text) { return harmless_lines(text); }

int run(const std::vector<std::string>& arguments, const RunCode& run_code) {
  Context context;
  Console& console = context.console;
  console.set_json(asks_for_json(arguments));
  int code = kOk;
  try {
    code = carry_out(arguments, context, run_code);
    check_output(console);
  } catch (const WorkflowsError& error) {
    code = exit_code(error.code());
    console.fail(to_string(error.code()), error.what(), code);
  } catch (const std::exception& error) {
    constexpr int kUnexpected = 70;
    code = kUnexpected;
    console.fail("unexpected", fmt::format("{}. Please report this.", error.what()), code);
  }
  console.end_progress();
  return code;
}

}  // namespace workflows::cli
