#include "engine/cli/table.h"

#include <algorithm>
#include <utility>

#include "engine/cli/text.h"

namespace workflows::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowestColumn = 8;

}  // namespace

Table::Table(std::vector<std::string> head, std::size_t flexible, std::vector<std::size_t> spare)
    : head_(std::move(head)), flexible_(flexible), spare_(std::move(spare)) {
  for (const std::string& title : head_) needed_.push_back(columns_of(title));
}

void Table::measure(const Row& row) {
  for (std::size_t column = 0; column < row.size(); ++column)
    needed_[column] = std::max(needed_[column], columns_of(row[column].text));
}

void Table::print_head(Console& console) {
  widths_ = needed_;
  is_fitted_ = console.width().has_value();
  if (is_fitted_) fit(*console.width());
  Row head;
  for (const std::string& title : head_) head.push_back({title, Style::bold});
  print(console, head);
}

std::size_t Table::total() const {
  std::size_t total = 0;
  for (std::size_t column = 0; column < widths_.size(); ++column)
    if (!left_out_.contains(column)) total += widths_[column] + kGap;
  return total - kGap;
}

void Table::fit(std::size_t available) {
  for (const std::size_t column : spare_) {
    if (total() <= available) return;
    left_out_.insert(column);
    widths_[column] = 0;
  }
  while (total() > available) {
    std::size_t& widest =
        widths_[flexible_] > kNarrowestColumn ? widths_[flexible_] : *std::ranges::max_element(widths_);
    if (widest <= 1) return;
    --widest;
  }
}

std::string Table::shown(const Cell& cell, std::size_t column) const {
  if (!is_fitted_) return cell.text;
  return cell.is_id ? cut_inside(cell.text, widths_[column]) : cut(cell.text, widths_[column]);
}

void Table::print(Console& console, const Row& row) const {
  std::string line;
  for (std::size_t column = 0; column < row.size(); ++column) {
    if (left_out_.contains(column)) continue;
    const std::string text = shown(row[column], column);
    const std::size_t used = columns_of(text);
    line += console.styled(row[column].style, text);
    line.append(widths_[column] - std::min(used, widths_[column]) + kGap, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  console.line(line);
}

}  // namespace workflows::cli
