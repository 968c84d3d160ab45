#include "engine/cli/table.h"

#include <algorithm>
#include <numeric>

#include "engine/cli/text.h"

namespace workflows::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowestColumn = 8;

}  // namespace

void Table::print(Console& console) {
  const bool first = needed_.empty();
  measure();
  fit(console.width());
  if (first) {
    Row head;
    for (const std::string& title : head_) head.push_back({title, Style::bold});
    console.line(format(console, head));
  }
  for (const Row& row : rows_) console.line(format(console, row));
  rows_.clear();
}

void Table::measure() {
  for (std::size_t column = 0; column < head_.size(); ++column) {
    if (column == needed_.size()) needed_.push_back(columns_of(head_[column]));
    for (const Row& row : rows_) needed_[column] = std::max(needed_[column], columns_of(row.at(column).text));
  }
}

void Table::fit(std::optional<std::size_t> available) {
  widths_ = needed_;
  if (!available) return;
  const std::size_t gaps = kGap * (head_.size() - 1);
  for (;;) {
    const std::size_t total = std::accumulate(widths_.begin(), widths_.end(), gaps);
    std::size_t& widest =
        widths_[flexible_] > kNarrowestColumn ? widths_[flexible_] : *std::ranges::max_element(widths_);
    if (total <= *available || widest <= 1) return;
    --widest;
  }
}

std::string Table::format(const Console& console, const Row& row) const {
  std::string line;
  for (std::size_t column = 0; column < row.size(); ++column) {
    const bool last = column + 1 == row.size();
    const std::string text = cut(row[column].text, widths_[column]);
    const std::size_t used = columns_of(text);
    line += console.styled(row[column].style, text);
    if (!last) line.append(widths_[column] - std::min(used, widths_[column]) + kGap, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace workflows::cli
