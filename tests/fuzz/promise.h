#pragma once
// How an input says that a promise is broken: it ends the process, which is what a fuzzer looks for.

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <workflows/error.h>

#include "engine/values/text.h"

namespace workflows::fuzz {

inline void require(bool holds, std::string_view promise, std::string_view found = "") {
  if (holds) return;
  std::fprintf(stderr, "Broken: %.*s\n%.*s\n", static_cast<int>(promise.size()), promise.data(),
               static_cast<int>(found.size()), found.data());
  std::abort();
}

// Whatever was given, the message is text that can be shown.
inline void require_shown(std::string_view message) {
  require(!message.empty() && message.size() < 2000, "a message has a reasonable length");
  require(values::as_valid_utf8(message) == message, "a message is valid UTF-8");
}
inline void require_shown(const Error& error) { require_shown(error.message); }

// An error of the engine's own classes is what bad input is to get (S46).
void named(auto work) {
  try {
    work();
  } catch (const WorkflowsError& error) { require_shown(std::string_view(error.what())); }
}

}  // namespace workflows::fuzz
