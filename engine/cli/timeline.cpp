#include "engine/cli/timeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/cli/format.h"
#include "engine/cli/text.h"
#include "engine/values/text.h"

namespace workflows::cli {
namespace {

constexpr std::size_t kKindColumns = 8;
constexpr std::size_t kTimeColumns = 8;
constexpr std::size_t kMaxNameColumns = 36;
constexpr std::size_t kMinBarColumns = 10;
constexpr std::size_t kIndent = 2 + kKindColumns + 2;

std::string_view kind_word(StepKind kind) { return kind == StepKind::wait_for_event ? "wait" : to_string(kind); }

class Timeline {
 public:
  Timeline(Console& console, const InstanceInfo& info, const std::vector<StepInfo>& steps, TimePoint now, Bodies bodies)
      : console_(console), steps_(steps), now_(now), bodies_(bodies) {
    finished_ = is_finished(info.status);
    if (info.status == Status::paused || info.status == Status::waiting_for_pause) stands_still_since_ = info.updated;
    fix_axis(info);
    fix_columns();
  }

  void print() const {
    print_head();
    for (const StepInfo& step : steps_) print_step(step);
  }

 private:
  void fix_axis(const InstanceInfo& info) {
    const bool stands_still = is_finished(info.status) || info.status == Status::paused;
    from_ = TimePoint::max();
    to_ = open_until_ = stands_still ? info.updated : std::max(now_, info.updated);
    for (const StepInfo& step : steps_) {
      if (step.began) from_ = std::min(from_, *step.began);
      if (step.ended) to_ = std::max(to_, *step.ended);
    }
    from_ = std::min(from_, to_);
  }

  void fix_columns() {
    name_columns_ = 4;
    for (const StepInfo& step : steps_)
      name_columns_ = std::max(name_columns_, columns_of(step_label(step.name, step.occurrence)));
    const std::size_t width = console_.some_width();
    const std::size_t others = kIndent + kTimeColumns + 4;
    const std::size_t most = width > others + kMinBarColumns + 4 ? width - others - kMinBarColumns : 4;
    name_columns_ = std::min({name_columns_, kMaxNameColumns, most});
    bar_columns_ = width - std::min(width, others + name_columns_);
    if (bar_columns_ < kMinBarColumns) bar_columns_ = 0;
  }

  void print_head() const {
    const std::string from = "0";
    const std::string to = duration(to_ - from_);
    const std::size_t used = columns_of(from) + columns_of(to);
    const std::string axis = from + std::string(bar_columns_ - std::min(bar_columns_, used), ' ') + to;
    const std::string head = fmt::format("  {}  {}  {}{}", padded("KIND", kKindColumns), padded("STEP", name_columns_),
                                         padded("TIME", kTimeColumns), bar_columns_ == 0 ? "" : "  " + axis);
    console_.line(console_.styled(Style::bold, head));
  }

  void print_step(const StepInfo& step) const {
    const bool cut_short = finished_ && !step.ended;
    const Look look = cut_short ? look_of(Status::terminated) : look_of_step(step.status);
    const std::string name = padded(cut(step_label(step.name, step.occurrence), name_columns_), name_columns_);
    console_.line(fmt::format("{} {}  {}  {}  {}", console_.styled(look.style, look.glyph),
                              padded(std::string(kind_word(step.kind)), kKindColumns), name,
                              padded(time_of(step), kTimeColumns), console_.styled(look.style, bar_of(step))));
    for (std::size_t i = 0; i < step.attempts.size(); ++i) print_attempt(step, i);
    if (step.failure && step.attempts.empty()) detail(Style::red, summary(*step.failure));
    if (cut_short) detail(look.style, "was not over when the instance ended");
    if (!step.ended && !finished_) print_wait(step);
    if (!step.result.empty() && step.result != "null") detail(Style::dim, "= " + preview(step.result, room() - 2));
  }

  std::string time_of(const StepInfo& step) const {
    if (!step.began) return "";
    return duration(step.ended.value_or(std::max(open_until_, *step.began)) - *step.began);
  }

  // Every failed attempt, and those of a step that is not over.
  void print_attempt(const StepInfo& step, std::size_t index) const {
    const AttemptInfo& attempt = step.attempts[index];
    if (!attempt.failure && (step.ended || step.attempts.size() == 1)) return;
    std::string text = fmt::format("attempt {}", attempt.number);
    if (attempt.began) text += fmt::format(" at +{}", duration(*attempt.began - from_));
    if (attempt.failure) text += ": " + summary(*attempt.failure);
    const auto next = index + 1 < step.attempts.size() ? step.attempts[index + 1].began : std::optional<TimePoint>();
    if (attempt.ended && next) text += fmt::format(", next after {}", duration(*next - *attempt.ended));
    detail(attempt.failure ? Style::red : Style::plain, text);
  }

  void print_wait(const StepInfo& step) const {
    if (step.status == "running" && bodies_ == Bodies::nowhere) detail(Style::yellow, "no engine runs its body now");
    if (!step.deadline) {
      if (!step.event_type.empty())
        detail(Style::blue, fmt::format("waits for event {}", values::quoted(step.event_type)));
      return;
    }
    const std::string when =
        stands_still_since_ ? time_left(*step.deadline) : moment_and_relative(*step.deadline, now_);
    if (step.status == "retrying")
      detail(Style::yellow, fmt::format("next attempt {}", when));
    else if (step.event_type.empty())
      detail(Style::blue, fmt::format("sleeps until {}", when));
    else
      detail(Style::blue, fmt::format("waits for event {} until {}", values::quoted(step.event_type), when));
  }

  // A pause stops the timers.
  std::string time_left(TimePoint deadline) const {
    return duration(std::max(deadline - *stands_still_since_, Millis(0))) + " after it is resumed";
  }

  std::size_t room() const { return console_.some_width() - kIndent; }

  void detail(Style style, std::string_view text) const {
    const std::string shown = console_.width() ? shortened(text, room()) : std::string(text);
    console_.line(std::string(kIndent, ' ') + console_.styled(style, shown));
  }

  std::size_t column_of(TimePoint time) const {
    const auto whole = std::max<std::int64_t>((to_ - from_).count(), 1);
    const auto part = std::clamp<std::int64_t>((time - from_).count(), 0, whole);
    return static_cast<std::size_t>(part * static_cast<std::int64_t>(bar_columns_ - 1) / whole);
  }

  // A body is solid, time that merely passes is light.
  std::string bar_of(const StepInfo& step) const {
    if (!step.began || bar_columns_ == 0) return "";
    std::vector<std::string_view> cells(bar_columns_, " ");
    const auto fill = [&](TimePoint from, TimePoint to, std::string_view with) {
      for (std::size_t column = column_of(from); column <= column_of(to); ++column) cells[column] = with;
    };
    fill(*step.began, step.ended.value_or(open_until_), "░");
    for (const AttemptInfo& attempt : step.attempts)
      if (attempt.began) fill(*attempt.began, attempt.ended.value_or(step.ended.value_or(open_until_)), "█");
    while (!cells.empty() && cells.back() == " ") cells.pop_back();
    return fmt::format("{}", fmt::join(cells, ""));
  }

  Console& console_;
  const std::vector<StepInfo>& steps_;
  TimePoint now_;
  Bodies bodies_;
  bool finished_ = false;
  std::optional<TimePoint> stands_still_since_{};
  TimePoint from_{};  // the axis
  TimePoint to_{};
  TimePoint open_until_{};  // where the bars of what has not ended end
  std::size_t name_columns_ = 0;
  std::size_t bar_columns_ = 0;
};

}  // namespace

void print_timeline(Console& console, const InstanceInfo& info, const std::vector<StepInfo>& steps, TimePoint now,
                    Bodies bodies) {
  if (!steps.empty()) Timeline(console, info, steps, now, bodies).print();
}

}  // namespace workflows::cli
