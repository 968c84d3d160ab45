#pragma once
// Text for a terminal: made harmless, measured in columns, cut to fit.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace workflows::cli {

// One line of valid UTF-8 in which nothing acts on the terminal: control characters and marks that change the direction
// of the text are spelled out, as in \u001b.
std::string harmless(std::string_view text);
// The same, but lines stay lines.
std::string harmless_lines(std::string_view text);

// How many columns a terminal takes for it. Requires: harmless text.
std::size_t columns_of(std::string_view text);
// Cut to at most so many columns, with an ellipsis if anything is cut. Requires: harmless text.
std::string cut(std::string_view text, std::size_t columns);
// The same, but of names that begin alike the end stays. Requires: ASCII.
std::string cut_inside(std::string_view text, std::size_t columns);
// On lines of at most so many columns, broken at spaces; a longer word has a line of its own. At least one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t columns);
std::string padded(std::string text, std::size_t columns);

}  // namespace workflows::cli
