#include "engine/cli/format.h"

#include <fmt/format.h>

#include <array>
#include <chrono>

#include "engine/cli/text.h"
#include "engine/values/iso_time.h"
#include "engine/values/json.h"

namespace workflows::cli {
namespace {

namespace chrono = std::chrono;

constexpr std::size_t kLeastBeforeHint = 7;

}  // namespace

std::string duration(Millis time) {
  const auto whole = time < Millis(0) ? -time : time;
  const auto minutes = chrono::floor<chrono::minutes>(whole);
  const auto hours = chrono::floor<chrono::hours>(whole);
  const auto days = chrono::floor<chrono::days>(whole);
  if (whole < chrono::seconds(1)) return fmt::format("{} ms", whole.count());
  if (minutes.count() == 0) return fmt::format("{}.{} s", whole.count() / 1000, whole.count() / 100 % 10);
  if (hours.count() == 0)
    return fmt::format("{}m {:02}s", minutes.count(), chrono::floor<chrono::seconds>(whole - minutes).count());
  if (days.count() == 0)
    return fmt::format("{}h {:02}m", hours.count(), chrono::floor<chrono::minutes>(whole - hours).count());
  return fmt::format("{}d {:02}h", days.count(), chrono::floor<chrono::hours>(whole - days).count());
}

std::string moment(TimePoint time) {
  std::string text = values::iso_time(time);
  text.replace(text.find('T'), 1, " ");
  return text.erase(text.find('.'), 4);
}

std::string relative(TimePoint time, TimePoint now) {
  if (time > now) return "in " + duration(time - now);
  return duration(now - time) + " ago";
}

std::string moment_and_relative(TimePoint time, TimePoint now) {
  return fmt::format("{} ({})", moment(time), relative(time, now));
}

std::string bytes(std::uint64_t size) {
  constexpr std::array<std::string_view, 4> kUnits = {"kB", "MB", "GB", "TB"};
  if (size < 1000) return fmt::format("{} B", size);
  double scaled = static_cast<double>(size) / 1000;
  std::size_t unit = 0;
  for (; scaled >= 1000 && unit + 1 < kUnits.size(); ++unit) scaled /= 1000;
  return fmt::format("{:.1f} {}", scaled, kUnits.at(unit));
}

std::string thousands(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

Look look_of(Status status) {
  switch (status) {
    case Status::queued:
      return {"○", Style::plain};
    case Status::running:
      return {"▶", Style::cyan};
    case Status::waiting:
      return {"…", Style::blue};
    case Status::waiting_for_pause:
    case Status::paused:
      return {"‖", Style::yellow};
    case Status::rolling_back:
      return {"↺", Style::yellow};
    case Status::complete:
      return {"✓", Style::green};
    case Status::errored:
      return {"✗", Style::red};
    case Status::terminated:
      return {"■", Style::yellow};
  }
  return {"?", Style::plain};
}

Look look_of_step(std::string_view status) {
  if (status == "completed") return {"✓", Style::green};
  if (status == "failed" || status == "timed_out") return {"✗", Style::red};
  if (status == "cancelled") return {"■", Style::yellow};
  if (status == "running") return {"▶", Style::cyan};
  if (status == "retrying") return {"↻", Style::yellow};
  return {"…", Style::blue};
}

std::string status_text(const Console& console, Status status) {
  const Look look = look_of(status);
  return console.styled(look.style, fmt::format("{} {}", look.glyph, to_string(status)));
}

std::string preview(std::string_view json, std::size_t columns) {
  constexpr std::size_t kEnough = 4096;  // bytes; no line of a terminal shows more
  const std::string_view part = json.substr(0, kEnough);
  const bool has_lines = part.find_first_of("\n\r\t") != std::string_view::npos;
  std::string text = harmless(has_lines ? values::compact_json(part) : part);
  if (json.size() <= kEnough && columns_of(text) <= columns) return text;
  const std::string hint = fmt::format(" ({}; --json shows all)", bytes(json.size()));
  if (columns < hint.size() + kLeastBeforeHint) return shortened(text, columns);
  return cut(text, columns - hint.size()) + hint;
}

std::string shortened(std::string_view text, std::size_t columns) {
  constexpr std::string_view kHint = " (--json)";
  if (columns_of(text) <= columns) return std::string(text);
  if (columns < kHint.size() + kLeastBeforeHint) return cut(text, columns);
  return cut(text, columns - kHint.size()).append(kHint);
}

std::string summary(const Failure& failure) {
  const auto type = harmless(failure.type.starts_with("builtins.") ? failure.type.substr(9) : failure.type);
  return failure.message.empty() ? type : fmt::format("{}: {}", type, harmless(failure.message));
}

std::string name_of(const InstanceInfo& info) {
  if (info.generation > 1) return exact_name_of(info);
  return fmt::format("{}/{}", harmless(info.workflow), harmless(info.id));
}

std::string exact_name_of(const InstanceInfo& info) {
  return fmt::format("{}/{}@{}", harmless(info.workflow), harmless(info.id), info.generation);
}

std::string step_label(std::string_view name, std::uint32_t occurrence) {
  const std::string shown = harmless(name);
  return occurrence > 1 ? fmt::format("{} ({})", shown, occurrence) : shown;
}

}  // namespace workflows::cli
