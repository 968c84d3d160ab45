#pragma once
// The command line against arguments and files that anybody made. Each aborts when a promise is broken.

#include <string_view>

namespace workflows::fuzz {

// An argument a line, on a copy of a small database: carried out, or an error of the documented ones. What is printed
// can be shown on a terminal. Commands that do not end, and files elsewhere, are left out.
void cli_arguments(std::string_view lines);

// A file that `import` is given: refused, or taken in so that export gives the same document back, doctor finds nothing
// and every command can show it. Returns whether it was taken in.
bool imported_history(std::string_view document);

// Documents as export writes them, to begin with.
extern const std::string_view kFinished;
extern const std::string_view kUnfinished;

}  // namespace workflows::fuzz
