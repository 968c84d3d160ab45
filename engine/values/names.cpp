#include <workflows/host.h>

#include <fmt/format.h>

#include <algorithm>

#include "engine/values/text.h"

namespace workflows {
namespace {

constexpr bool is_word(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}
constexpr bool is_word_or_dash(char c) { return is_word(c) || c == '-'; }
constexpr bool is_word_or_dot(char c) { return is_word(c) || c == '.'; }
constexpr bool is_word_dot_or_dash(char c) { return is_word_or_dot(c) || c == '-'; }

// ASCII names: what the first character may be, what the others, and how many.
struct Rule {
  std::string_view what;
  bool (*first)(char);
  bool (*other)(char);
  std::size_t max_length;
  std::string_view accepted;
};

constexpr Rule kWorkflowName = {"workflow name", is_word, is_word_or_dash, 64,
                                "1 to 64 characters: letters, digits, _ and -, not beginning with -"};
constexpr Rule kInstanceId = {"instance id", is_word, is_word_or_dash, 100,
                              "1 to 100 characters: letters, digits, _ and -, not beginning with -"};
constexpr Rule kEventType = {"event type", is_word_or_dot, is_word_dot_or_dash, 100,
                             "1 to 100 characters: letters, digits, _, . and -, not beginning with -"};

[[noreturn]] void refuse(std::string_view what, std::string_view given, std::string_view problem,
                         std::string_view accepted) {
  throw InvalidNameError(
      fmt::format("The {} {} is not accepted: {}. Accepted: {}.", what, values::quoted(given), problem, accepted));
}

std::string found_at(std::string_view text, std::size_t at) {
  std::string_view rest = text.substr(at);
  values::take_code_point(rest);
  const std::string_view character = text.substr(at, text.size() - at - rest.size());
  return fmt::format("{} stands at position {}", values::quoted(character), at + 1);
}

void check(std::string_view name, const Rule& rule) {
  if (name.empty()) refuse(rule.what, name, "it is empty", rule.accepted);
  if (!rule.first(name.front())) refuse(rule.what, name, found_at(name, 0), rule.accepted);
  const auto bad = std::ranges::find_if_not(name, rule.other);
  if (bad != name.end())
    refuse(rule.what, name, found_at(name, static_cast<std::size_t>(bad - name.begin())), rule.accepted);
  if (name.size() > rule.max_length)
    refuse(rule.what, name, fmt::format("it has {} characters", name.size()), rule.accepted);
}

}  // namespace

void check_workflow_name(std::string_view name) { check(name, kWorkflowName); }
void check_instance_id(std::string_view id) { check(id, kInstanceId); }
void check_event_type(std::string_view type) { check(type, kEventType); }

void check_step_name(std::string_view name) {
  constexpr std::size_t kMaxLength = 256;
  const auto is_printable_ascii = [](char c) { return c >= 0x20 && c < 0x7f; };
  if (!name.empty() && name.size() <= kMaxLength && std::ranges::all_of(name, is_printable_ascii)) return;
  const auto refuse_name = [&](std::string_view problem) {
    refuse("step name", name, problem, "1 to 256 characters of any script, no control characters");
  };
  if (name.empty()) refuse_name("it is empty");
  std::size_t length = 0;
  for (std::string_view rest = name; !rest.empty(); ++length) {
    const auto code_point = values::take_code_point(rest);
    if (!code_point) refuse_name(fmt::format("character {} is not valid UTF-8", length + 1));
    if (values::is_control(*code_point)) {
      refuse_name(fmt::format("character {} is the control character U+{:04X}", length + 1,
                              static_cast<std::uint32_t>(*code_point)));
    }
  }
  if (length > kMaxLength) refuse_name(fmt::format("it has {} characters", length));
}

}  // namespace workflows
