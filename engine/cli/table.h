#pragma once
// Rows of cells, aligned, and cut to the width of the terminal.

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/cli/console.h"

namespace workflows::cli {

struct Cell {
  std::string text;  // harmless
  Style style = Style::plain;
  bool is_id = false;  // its end tells it from others
};
using Row = std::vector<Cell>;

// Every row is measured before the first is printed, so that each column stands where it is to the end.
class Table {
 public:
  // What gives way when the terminal is too narrow: the `spare` columns go, in this order; then the `flexible` one gets
  // narrower, and then the widest.
  Table(std::vector<std::string> head, std::size_t flexible, std::vector<std::size_t> spare = {});

  void measure(const Row& row);
  void print_head(Console& console);
  void print(Console& console, const Row& row) const;
  // After the head: something of this column may be cut.
  bool cuts(std::size_t column) const { return widths_[column] < needed_[column]; }

 private:
  void fit(std::size_t available);
  std::size_t total() const;
  std::string shown(const Cell& cell, std::size_t column) const;

  std::vector<std::string> head_;
  std::size_t flexible_;
  std::vector<std::size_t> spare_;
  std::vector<std::size_t> needed_;
  std::vector<std::size_t> widths_;
  std::set<std::size_t> left_out_;
  bool is_fitted_ = false;
};

}  // namespace workflows::cli
