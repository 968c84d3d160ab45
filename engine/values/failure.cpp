#include <workflows/failure.h>

#include <optional>
#include <vector>

#include "engine/values/json.h"
#include "engine/values/text.h"

namespace workflows {
namespace {

using values::RawMember;

// Causes beyond this depth are dropped, when written and when read.
constexpr std::size_t kMaxCauses = 64;

void append_member(std::string& out, std::string_view key, std::string_view json) {
  if (out.back() != '{') out += ',';
  out += '"';
  out += key;
  out += "\":";
  out += json;
}

void append_text(std::string& out, std::string_view key, std::string_view text) {
  if (!text.empty()) append_member(out, key, values::encode_json_string(text));
}

// The object without its closing brace, so that a cause can follow.
void append_open_object(std::string& out, const Failure& failure) {
  out += '{';
  append_text(out, "type", failure.type);
  append_text(out, "message", failure.message);
  if (!failure.retryable) append_member(out, "retryable", "false");
  append_text(out, "traceback", failure.traceback);
  if (failure.data.empty()) return;
  if (values::json_problem(failure.data)) {
    append_text(out, "data", failure.data);  // whatever the host gave, the record stays readable
  } else {
    append_member(out, "data", values::trim_json(failure.data));
  }
}

bool read_text(const RawMember& member, std::string& out) {
  if (!values::is_json_string(member.value)) return false;
  out = values::decode_json_string(member.value);
  return true;
}

bool read_flag(const RawMember& member, bool& out) {
  out = member.value == "true";
  return out || member.value == "false";
}

// False when the key is known and its value is not what it has to be.
bool read_member(const RawMember& member, Failure& failure, std::string_view& cause) {
  if (member.key == "type") return read_text(member, failure.type);
  if (member.key == "message") return read_text(member, failure.message);
  if (member.key == "retryable") return read_flag(member, failure.retryable);
  if (member.key == "traceback") return read_text(member, failure.traceback);
  if (member.key == "data") failure.data = member.value;
  if (member.key == "cause") {
    cause = member.value;
    return values::is_json_object(cause);
  }
  return true;
}

// The failure and its causes, outermost first; absent when the text is not one.
std::optional<std::vector<Failure>> read_chain(std::string_view json) {
  std::string_view object = values::trim_json(json);
  if (!values::is_json_object(object) || values::json_problem(object)) return std::nullopt;
  std::vector<Failure> chain;
  while (!object.empty() && chain.size() <= kMaxCauses) {
    Failure& failure = chain.emplace_back();
    std::string_view cause;
    for (const RawMember& member : values::raw_members(object)) {
      if (!read_member(member, failure, cause)) return std::nullopt;
    }
    object = cause;
  }
  return chain;
}

}  // namespace

std::string Failure::to_json() const {
  std::string out;
  append_open_object(out, *this);
  std::size_t depth = 0;
  for (const Failure* next = cause.get(); next != nullptr && depth < kMaxCauses; next = next->cause.get()) {
    append_member(out, "cause", "");
    append_open_object(out, *next);
    ++depth;
  }
  out.append(depth + 1, '}');
  return out;
}

Failure Failure::from_json(std::string_view json) {
  auto chain = read_chain(json);
  if (!chain) {
    Failure unreadable;
    unreadable.type = "StepError";
    unreadable.message =
        "The recorded failure is not a JSON object as the engine writes it. It reads " + values::quoted(json, 200);
    return unreadable;
  }
  while (chain->size() > 1) {
    auto innermost = std::make_shared<const Failure>(std::move(chain->back()));
    chain->pop_back();
    chain->back().cause = std::move(innermost);
  }
  return std::move(chain->front());
}

}  // namespace workflows
