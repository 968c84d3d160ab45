#pragma once
// What was asked for on the command line.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/cli/cli.h"
#include "engine/cli/context.h"

namespace workflows::cli {

// Carries out the command when called. Text: what was asked for is a text, such as --help.
struct Parsed {
  std::function<int(Context&)> command{};
  std::string text{};
  std::string problem{};  // what is wrong with the arguments; "": nothing
};
// Fills in what all commands share.
Parsed parse(const std::vector<std::string>& arguments, Context& context, const RunCode& run_code);

}  // namespace workflows::cli
