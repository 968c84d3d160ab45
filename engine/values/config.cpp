#include <workflows/config.h>
#include <workflows/error.h>

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "engine/values/json.h"
#include "engine/values/text.h"

namespace workflows {
namespace {

using values::quoted;
using values::RawMember;

constexpr std::array<std::pair<Backoff, std::string_view>, 3> kBackoffs = {{
    {Backoff::constant, "constant"},
    {Backoff::linear, "linear"},
    {Backoff::exponential, "exponential"},
}};

constexpr std::uint32_t kMaxLimit = std::numeric_limits<std::uint32_t>::max() - 1;  // attempts = limit + 1

[[noreturn]] void refuse(std::string_view field, std::string_view given, std::string_view accepted) {
  constexpr std::size_t kShown = 80;
  const std::string shown = values::as_valid_utf8(given.substr(0, kShown)) + (given.size() > kShown ? "..." : "");
  throw InvalidConfigError(
      fmt::format("In a step's config {} is {}, which is not accepted. Accepted: {}.", field, shown, accepted));
}

// ---- writing

void append_member(std::string& out, std::string_view key, std::string_view json) {
  out += fmt::format("{}\"{}\":{}", out.empty() ? "" : ",", key, json);
}

void append_millis(std::string& out, std::string_view key, Duration value, Duration standard) {
  if (value != standard) append_member(out, key, fmt::to_string(value.millis().count()));
}

std::string_view name_of(Backoff backoff) {
  for (const auto& [value, name] : kBackoffs) {
    if (value == backoff) return name;
  }
  return "exponential";
}

std::string members_of(const Retries& retries) {
  const Retries standard;
  std::string out;
  if (retries.limit != standard.limit) append_member(out, "limit", fmt::to_string(retries.limit));
  append_millis(out, "delay", retries.delay, standard.delay);
  if (retries.dynamic_delay) append_member(out, "dynamic_delay", "true");
  if (retries.backoff != standard.backoff)
    append_member(out, "backoff", fmt::format("\"{}\"", name_of(retries.backoff)));
  append_millis(out, "max_delay", retries.max_delay, standard.max_delay);
  if (retries.jitter != standard.jitter) append_member(out, "jitter", fmt::to_string(retries.jitter));
  return out;
}

// ---- reading

template <class Number>
std::optional<Number> read_number(std::string_view raw) {
  Number number{};
  const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), number);
  if (error != std::errc() || end != raw.data() + raw.size()) return std::nullopt;
  return number;
}

std::uint32_t read_limit(std::string_view raw) {
  const auto limit = read_number<std::uint32_t>(raw);
  if (!limit || *limit > kMaxLimit) refuse("retries.limit", raw, fmt::format("a whole number from 0 to {}", kMaxLimit));
  return *limit;
}

double read_jitter(std::string_view raw) {
  const auto jitter = read_number<double>(raw);
  if (!jitter || !(*jitter >= 0 && *jitter <= 1)) refuse("retries.jitter", raw, "a number from 0 to 1");
  return *jitter;
}

bool read_flag(std::string_view field, std::string_view raw) {
  if (raw != "true" && raw != "false") refuse(field, raw, "true or false");
  return raw == "true";
}

Duration read_duration(std::string_view field, std::string_view raw) {
  if (values::is_json_string(raw)) {
    try {
      return parse_duration(values::decode_json_string(raw));
    } catch (const InvalidDurationError& error) {
      throw InvalidConfigError(fmt::format("In a step's config {} cannot be read. {}", field, error.what()));
    }
  }
  const auto ms = read_number<std::int64_t>(raw);
  if (!ms || *ms < 0 || *ms > kMaxDuration.count()) {
    refuse(field, raw, "a duration such as \"30 seconds\", or whole milliseconds from 0 to ten years");
  }
  return Millis(*ms);
}

Backoff read_backoff(std::string_view raw) {
  for (const auto& [value, name] : kBackoffs) {
    if (values::is_json_string(raw) && values::decode_json_string(raw) == name) return value;
  }
  refuse("retries.backoff", raw, "\"constant\", \"linear\" or \"exponential\"");
}

bool read_sensitive(std::string_view raw) {
  if (!values::is_json_string(raw) || values::decode_json_string(raw) != "output")
    refuse("sensitive", raw, "\"output\"");
  return true;
}

[[noreturn]] void refuse_key(std::string_view where, const RawMember& member, std::string_view known) {
  throw InvalidConfigError(
      fmt::format("The {} has an unknown key {}. Known keys: {}.", where, quoted(member.key), known));
}

Retries read_retries(std::string_view raw) {
  if (!values::is_json_object(raw))
    refuse("retries", raw, "an object such as {\"limit\": 3, \"delay\": \"2 seconds\"}");
  Retries retries;
  for (const RawMember& member : values::raw_members(raw)) {
    if (member.key == "limit")
      retries.limit = read_limit(member.value);
    else if (member.key == "delay")
      retries.delay = read_duration("retries.delay", member.value);
    else if (member.key == "backoff")
      retries.backoff = read_backoff(member.value);
    else if (member.key == "max_delay")
      retries.max_delay = read_duration("retries.max_delay", member.value);
    else if (member.key == "jitter")
      retries.jitter = read_jitter(member.value);
    else if (member.key == "dynamic_delay")
      retries.dynamic_delay = read_flag("retries.dynamic_delay", member.value);
    else
      refuse_key("\"retries\" of a step's config", member, "limit, delay, backoff, max_delay, jitter, dynamic_delay");
  }
  return retries;
}

void check_duration(std::string_view field, Duration value, Millis least) {
  if (value.millis() >= least && value.millis() <= kMaxDuration) return;
  refuse(field, fmt::format("{} ms", value.millis().count()), fmt::format("from {} ms to ten years", least.count()));
}

}  // namespace

void StepConfig::check() const {
  if (retries.limit > kMaxLimit) read_limit(fmt::to_string(retries.limit));
  check_duration("retries.delay", retries.delay, Millis(0));
  check_duration("retries.max_delay", retries.max_delay, Millis(0));
  if (!(retries.jitter >= 0 && retries.jitter <= 1)) {
    refuse("retries.jitter", fmt::to_string(retries.jitter), "a number from 0 to 1");
  }
  check_duration("timeout", timeout, Millis(1));
  if (heartbeat_timeout) check_duration("heartbeat_timeout", *heartbeat_timeout, Millis(1));
}

std::string StepConfig::to_json() const {
  const StepConfig standard;
  std::string out;
  if (const std::string members = members_of(retries); !members.empty())
    append_member(out, "retries", "{" + members + "}");
  append_millis(out, "timeout", timeout, standard.timeout);
  if (heartbeat_timeout) append_member(out, "heartbeat_timeout", fmt::to_string(heartbeat_timeout->millis().count()));
  if (sensitive_output) append_member(out, "sensitive", "\"output\"");
  return out.empty() ? out : "{" + out + "}";
}

StepConfig StepConfig::from_json(std::string_view json) {
  const std::string_view object = values::trim_json(json);
  StepConfig config;
  if (object.empty()) return config;
  if (const auto problem = values::json_problem(object)) {
    throw InvalidConfigError(fmt::format("A step's config is not valid JSON ({}): {}", *problem, quoted(object)));
  }
  if (!values::is_json_object(object)) {
    throw InvalidConfigError(fmt::format(
        "A step's config is {}. Accepted: an object with the keys retries, timeout, heartbeat_timeout, sensitive.",
        quoted(object)));
  }
  for (const RawMember& member : values::raw_members(object)) {
    if (member.key == "retries")
      config.retries = read_retries(member.value);
    else if (member.key == "timeout")
      config.timeout = read_duration("timeout", member.value);
    else if (member.key == "heartbeat_timeout")
      config.heartbeat_timeout = read_duration("heartbeat_timeout", member.value);
    else if (member.key == "sensitive")
      config.sensitive_output = read_sensitive(member.value);
    else
      refuse_key("config of a step", member, "retries, timeout, heartbeat_timeout, sensitive");
  }
  config.check();
  return config;
}

}  // namespace workflows
