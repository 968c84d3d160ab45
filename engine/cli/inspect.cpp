#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/cli/commands.h"
#include "engine/cli/format.h"
#include "engine/cli/json.h"
#include "engine/cli/picture.h"
#include "engine/cli/text.h"
#include "engine/cli/timeline.h"
#include "engine/values/json.h"
#include "engine/values/text.h"

namespace workflows::cli {
namespace {

constexpr std::size_t kLabelColumns = 12;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

class Page {
 public:
  Page(Console& console, const Picture& picture) : console_(console), picture_(picture), now_(console.now()) {}

  void print() {
    print_head();
    if (!picture_.steps.empty()) console_.line();
    print_timeline(console_, info(), picture_.steps, now_, picture_.served ? Bodies::running : Bodies::nowhere);
    print_events();
    print_wake_ups();
    print_outcome();
  }

 private:
  const InstanceInfo& info() const { return picture_.history.info; }

  std::string name() const { return picture_.generations.size() > 1 ? exact_name_of(info()) : name_of(info()); }

  // All generations have the time of creation of the first.
  TimePoint began() const {
    const auto& entries = picture_.history.entries;
    if (info().generation == 1 || entries.empty()) return info().created;
    const Entry& first = entries.front().entry;
    return first.began.value_or(first.at);
  }

  void print_head() {
    console_.line(fmt::format("{}  {}", status_text(console_, info().status), console_.styled(Style::bold, name())));
    field("created", moment_and_relative(info().created, now_));
    if (is_finished(info().status)) {
      const auto took = duration(info().updated - began());
      field("finished", fmt::format("{}, after {}", moment_and_relative(info().updated, now_), took));
    } else {
      field("changed", moment_and_relative(info().updated, now_));
    }
    if (picture_.generations.size() > 1)
      field("generation", fmt::format("{} of {}", info().generation, picture_.generations.front().generation));
    if (!picture_.versions.empty())
      field("version", harmless(fmt::format("{}", fmt::join(picture_.versions, ", then "))));
    if (info().owner != 0)
      field("owner", fmt::format("engine {}{}", info().owner, picture_.served ? "" : ", which is gone"));
    if (info().expires) field("kept until", moment_and_relative(*info().expires, now_));
    field("params", preview(picture_.history.params, room()));
    if (!picture_.status.reason.empty()) print_reason();
  }

  std::size_t room() const { return console_.some_width() - kLabelColumns; }

  void field(std::string_view label, const std::string& text) {
    const std::string shown = console_.width() ? cut(text, room()) : text;
    console_.line(console_.styled(Style::dim, padded(std::string(label), kLabelColumns)) + shown);
  }

  // A report of divergence is never cut.
  void print_reason() {
    title("PAUSED");
    const std::string reason = harmless_lines(picture_.status.reason);
    for (const auto line : lines_of(reason)) console_.paragraph("  ", 2, line);
  }

  void title(std::string_view text) {
    console_.line();
    console_.line(console_.styled(Style::bold, text));
  }

  // Not wrapped: code in it keeps its shape.
  void print_traceback(std::string_view traceback) {
    const std::string shown = harmless_lines(traceback);
    for (const auto line : lines_of(shown)) console_.line(fmt::format("  {}", line));
  }

  void print_events() {
    std::vector<const InboxEvent*> waiting;
    for (const InboxEvent& event : picture_.history.inbox)
      if (!event.taken) waiting.push_back(&event);
    if (waiting.empty()) return;
    title("EVENTS that no wait has taken");
    for (const InboxEvent* event : waiting) {
      const std::string head = fmt::format("  {}  {}  ", harmless(event->type), relative(event->at, now_));
      constexpr std::size_t kLeast = 12;
      const std::size_t width = console_.some_width();
      const std::size_t used = columns_of(head);
      if (used + kLeast <= width) {
        console_.line(head + preview(event->payload, width - used));
      } else {  // a line of its own
        console_.line(cut(head, width));
        console_.line("    " + preview(event->payload, width - 4));
      }
    }
  }

  void print_wake_ups() {
    if (picture_.wake_ups.empty()) return;
    title("GOES ON");
    for (const WakeUp& wake_up : picture_.wake_ups) console_.paragraph("  ", 2, words_of(wake_up));
  }

  std::string words_of(const WakeUp& wake_up) const {
    const std::string step = values::quoted(harmless(wake_up.step));
    const std::string until = wake_up.at ? fmt::format(" {}", moment_and_relative(*wake_up.at, now_)) : "";
    const bool is_to_pause = info().status == Status::waiting_for_pause;
    if (wake_up.source == "resume")
      return fmt::format("when it is resumed: workflows resume {}/{}", harmless(info().workflow), harmless(info().id));
    if (wake_up.source == "body" && is_to_pause) return fmt::format("is paused when the body of {} has ended", step);
    if (wake_up.source == "body") return fmt::format("when the body of {} has ended", step);
    if (wake_up.source == "timer") return fmt::format("when the time of {} has come:{}", step, until);
    if (wake_up.source == "event")
      return fmt::format("when event {} arrives for {}{}{}", values::quoted(wake_up.event_type), step,
                         wake_up.at ? ", or at" : "", until);
    if (picture_.served) return "as soon as its engine gets to it";
    return fmt::format("when an engine runs that has workflow {}", harmless(info().workflow));
  }

  void print_outcome() {
    if (info().status == Status::complete) {
      title("OUTPUT");
      console_.line("  " + preview(picture_.status.output, console_.some_width() - 2));
    }
    print_rollback();
    if (picture_.status.failure) print_failure(*picture_.status.failure);
  }

  void print_failure(const Failure& failure) {
    title("ERROR");
    for (const Failure* each = &failure; each != nullptr; each = each->cause.get()) {
      if (each != &failure) console_.line("  caused by");
      console_.line("  " + console_.styled(Style::red, summary(*each)));
      print_traceback(each->traceback);
    }
  }

  void print_rollback() {
    const std::string& report = picture_.status.rollback;
    if (!values::is_json_object(report)) return;
    title("ROLLBACK");
    for (const auto& [part, steps] : values::raw_members(report)) {
      if (!values::is_json_array(steps) || values::raw_elements(steps).empty()) continue;
      console_.line(fmt::format("  {}: {}", part == "not_run" ? "not run" : harmless(part), names_in(steps)));
    }
  }

  static std::string names_in(std::string_view steps) {
    std::vector<std::string> names;
    for (const auto step : values::raw_elements(steps)) {
      const auto name = values::raw_member(step, "name");
      names.push_back(harmless(values::is_json_string(name) ? values::decode_json_string(name) : std::string(step)));
    }
    return fmt::format("{}", fmt::join(names, ", "));
  }

  Console& console_;
  const Picture& picture_;
  TimePoint now_;
};

}  // namespace

int inspect(Context& context, const std::string& name) {
  Maintenance& database = context.reading();
  const InstanceInfo info = find(database, name);
  Picture picture = picture_of(database.client().history(info.key), database.engines(), context.console.now());
  picture.generations = database.client().generations(info.workflow, info.id);
  if (context.console.json())
    context.console.json_line(to_json(picture));
  else
    Page(context.console, picture).print();
  return kOk;
}

}  // namespace workflows::cli
