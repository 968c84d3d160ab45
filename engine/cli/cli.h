#pragma once
// The command line. One implementation behind two doors: the native program, and the console script of the Python
// package, which adds what needs the user's Python code.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <workflows/instance_info.h>

namespace workflows::cli {

// A command that needs Python code, parsed: run, worker, or replay with code.
struct CodeRequest {
  std::string command{};
  std::string database{};
  bool json = false;
  std::vector<std::string> targets{};  // MODULE:NAME, or MODULE
  std::string id{};                    // run, replay: "": none
  std::string params{};                // run: JSON; "": none
  std::string debug{};                 // replay: NAME or NAME#COUNT; "": no debugger
  bool all = false;                    // replay: of every instance ...
  std::string workflow{};              // ... of this workflow ...
  std::string status{};                // ... in this status; "": any
};
// Returns the exit code.
using RunCode = std::function<int(const CodeRequest&)>;

// Standard input, output and error are the process's own. Without `run_code` the commands that need it are refused.
int run(const std::vector<std::string>& arguments, const RunCode& run_code);

// What code is replayed against: the history that a name or a file names, as in the commands, with every value. A name
// without a workflow is one of `workflow`.
InstanceHistory history_for_code(const std::string& database, const std::string& workflow, const std::string& name);

// The text, in which nothing but line breaks acts on a terminal.
std::string for_terminal(std::string_view text);

}  // namespace workflows::cli
