#pragma once
// Named places at which a test may kill the process. Compiled in only with WORKFLOWS_FAIL_POINTS, never into what users
// install.
//
// WORKFLOWS_KILL_AT="after_commit:7" makes the seventh pass of `after_commit` a kill -9 of this process.

#ifdef WORKFLOWS_FAIL_POINTS
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace workflows::testing {

inline void pass(std::string_view point) {
  static const char* const spec = std::getenv("WORKFLOWS_KILL_AT");
  if (spec == nullptr) return;
  static const std::string name = std::string(spec).substr(0, std::string_view(spec).find(':'));
  static long passes_left = std::strtol(spec + name.size() + 1, nullptr, 10);
  if (point == name && --passes_left == 0) std::raise(SIGKILL);
}

}  // namespace workflows::testing

#define WORKFLOWS_FAIL_POINT(name) ::workflows::testing::pass(name)
#else
#define WORKFLOWS_FAIL_POINT(name) static_cast<void>(0)
#endif
