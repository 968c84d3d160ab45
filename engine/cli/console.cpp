#include "engine/cli/console.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/cli/text.h"
#include "engine/values/iso_time.h"
#include "engine/values/json_writer.h"

namespace workflows::cli {
namespace {

constexpr std::size_t kNarrowest = 30;
constexpr std::size_t kWidest = 1000;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

std::optional<std::size_t> columns_of_terminal() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
  return size.ws_col;
}

std::optional<std::size_t> find_width(bool terminal) {
  const std::string_view given = environment("COLUMNS");
  std::size_t columns = 0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), columns);
  if (!given.empty() && error == std::errc() && columns > 0) return std::clamp(columns, kNarrowest, kWidest);
  if (!terminal) return std::nullopt;
  return std::clamp<std::size_t>(columns_of_terminal().value_or(80), kNarrowest, kWidest);
}

std::string_view sequence_of(Style style) {
  constexpr std::array<std::string_view, 8> kSequences = {"",         "\x1b[1m",  "\x1b[2m",  "\x1b[31m",
                                                          "\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[36m"};
  return kSequences.at(static_cast<std::size_t>(style));
}

void write(std::FILE* file, std::string_view text) {
  if (!text.empty()) (void)std::fwrite(text.data(), 1, text.size(), file);
}

}  // namespace

Console::Console()
    : terminal_(isatty(STDOUT_FILENO) == 1),
      colours_(terminal_ && environment("NO_COLOR").empty() && environment("TERM") != "dumb"),
      error_terminal_(isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb"),
      width_(find_width(terminal_)),
      fixed_now_(values::parse_iso_time(environment("WORKFLOWS_CLI_NOW"))) {}

TimePoint Console::now() const {
  return fixed_now_.value_or(std::chrono::floor<Millis>(std::chrono::system_clock::now()));
}

std::string Console::styled(Style style, std::string_view text) const {
  if (!colours_ || style == Style::plain || text.empty()) return std::string(text);
  return fmt::format("{}{}\x1b[0m", sequence_of(style), text);
}

void Console::line(std::string_view text) {
  end_progress();
  write(stdout, text);
  write(stdout, "\n");
}

void Console::json_line(std::string_view json) {
  std::string one_line(json);
  std::ranges::replace_if(one_line, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  line(terminal_ ? harmless(one_line) : one_line);
}

void Console::paragraph(std::string_view head, std::size_t indent, std::string_view text) {
  if (!width_) return line(fmt::format("{}{}", head, text));
  const std::string margin(indent, ' ');
  for (const std::string& part : wrapped(text, *width_ - std::min(indent, *width_))) {
    line(fmt::format("{}{}", head, part));
    head = margin;
  }
}

void Console::progress(std::string_view text) {
  if (!error_terminal_ || json_) return;
  write(stderr, fmt::format("\r\x1b[K{}", cut(text, width_.value_or(80))));
  progress_shown_ = true;
}

void Console::end_progress() {
  if (!progress_shown_) return;
  write(stderr, "\r\x1b[K");
  progress_shown_ = false;
}

void Console::note(std::string_view text) {
  end_progress();
  (void)flush();
  write(stderr, fmt::format("{}\n", harmless_lines(text)));
}

void Console::fail(std::string_view code, std::string_view message, int exit_code) {
  end_progress();
  (void)flush();
  if (!json_) {
    write(stderr, fmt::format("workflows: {}\n", harmless_lines(message)));
    return;
  }
  const auto error = values::JsonObject().text("code", code).text("message", message).number("exit_code", exit_code);
  write(stderr, values::JsonObject().raw("error", values::JsonObject(error).take()).take() + "\n");
}

std::optional<std::string> Console::ask(std::string_view prompt) {
  write(stdout, prompt);
  (void)flush();
  std::string answer;
  for (int c = std::getchar(); c != '\n'; c = std::getchar()) {
    if (c == EOF) return std::nullopt;
    answer += static_cast<char>(c);
  }
  return answer;
}

bool Console::flush() { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

void check_output(Console& console) {
  if (console.flush()) return;
  throw StoreError(fmt::format("The output could not be written: {}.", std::strerror(errno)));
}

}  // namespace workflows::cli
