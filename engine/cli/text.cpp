#include "engine/cli/text.h"

#include <fmt/format.h>
#include <clocale>
#include <cwchar>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "engine/values/text.h"

namespace workflows::cli {
namespace {

using values::take_code_point;

// The C library knows the widths, but only in a locale of UTF-8.
class Utf8Locale {
 public:
  Utf8Locale() : before_(uselocale(utf8())) {}
  ~Utf8Locale() { uselocale(before_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t utf8() {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;
  }
  locale_t before_;
};

std::size_t columns_of(char32_t c) {
  if (c < 0x7F) return 1;
  const int columns = wcwidth(static_cast<wchar_t>(c));
  return columns < 0 ? 1 : static_cast<std::size_t>(columns);
}

// Direction marks and overrides, and the separators that some terminals take for new lines.
bool deceives(char32_t c) {
  return (c >= 0x200E && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF ||
         c == 0x061C;
}

std::string harmless(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::string_view before = text;
    const auto c = take_code_point(text);
    if (!c)
      out += "\xEF\xBF\xBD";
    else if (*c == U'\n' && keep_lines)
      out += '\n';
    else if (values::is_control(*c) || deceives(*c))
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(*c));
    else
      out += before.substr(0, before.size() - text.size());
  }
  return out;
}

}  // namespace

std::string harmless(std::string_view text) { return harmless(text, false); }
std::string harmless_lines(std::string_view text) { return harmless(text, true); }

std::size_t columns_of(std::string_view text) {
  const Utf8Locale locale;
  std::size_t columns = 0;
  while (!text.empty()) columns += columns_of(take_code_point(text).value_or(U'?'));
  return columns;
}

std::string cut(std::string_view text, std::size_t columns) {
  const Utf8Locale locale;
  std::string_view rest = text;
  std::size_t used = 0;
  std::size_t fits = 0;  // bytes that leave a column for the ellipsis
  while (!rest.empty()) {
    used += columns_of(take_code_point(rest).value_or(U'?'));
    if (used > columns) return columns == 0 ? "" : std::string(text.substr(0, fits)) + "…";
    if (used < columns) fits = text.size() - rest.size();
  }
  return std::string(text);
}

std::string cut_inside(std::string_view text, std::size_t columns) {
  if (text.size() <= columns || columns < 3) return cut(text, columns);
  const std::size_t end = columns / 2;
  return fmt::format("{}…{}", text.substr(0, columns - 1 - end), text.substr(text.size() - end));
}

std::vector<std::string> wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const std::string word(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    std::string& line = lines.back();
    if (line.empty())
      line = word;
    else if (columns_of(line) + 1 + columns_of(word) <= columns)
      line += ' ' + word;
    else
      lines.push_back(word);
  }
  return lines;
}

std::string padded(std::string text, std::size_t columns) {
  const std::size_t used = columns_of(text);
  if (used < columns) text.append(columns - used, ' ');
  return text;
}

}  // namespace workflows::cli
