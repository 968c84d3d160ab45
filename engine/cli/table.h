#pragma once
// Rows of cells, aligned, and cut to the width of the terminal.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "engine/cli/console.h"

namespace workflows::cli {

struct Cell {
  std::string text;  // harmless
  Style style = Style::plain;
};
using Row = std::vector<Cell>;

// May be printed in parts: a column gets wider when a later part needs it.
class Table {
 public:
  // `flexible`: the column that gives way first when the terminal is too narrow; then it is the widest.
  Table(std::vector<std::string> head, std::size_t flexible) : head_(std::move(head)), flexible_(flexible) {}

  void add(Row row) { rows_.push_back(std::move(row)); }
  // Prints what was added since. The first time with the head.
  void print(Console& console);

 private:
  void measure();
  void fit(std::optional<std::size_t> available);
  std::string format(const Console& console, const Row& row) const;

  std::vector<std::string> head_;
  std::size_t flexible_;
  std::vector<Row> rows_;
  std::vector<std::size_t> needed_;  // by what was printed so far
  std::vector<std::size_t> widths_;
};

}  // namespace workflows::cli
