#include <workflows/error.h>

namespace workflows {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
#define X(name, type, exit_code) \
  case ErrorCode::name:          \
    return #name;
    WORKFLOWS_ERRORS(X)
#undef X
  }
  return "unknown";
}

int exit_code(ErrorCode code) noexcept {
  switch (code) {
#define X(name, type, exit_code) \
  case ErrorCode::name:          \
    return exit_code;
    WORKFLOWS_ERRORS(X)
#undef X
  }
  return 1;
}

void throw_error(const Error& error) {
  switch (error.code) {
#define X(name, type, exit_code) \
  case ErrorCode::name:          \
    throw type(error);
    WORKFLOWS_ERRORS(X)
#undef X
  }
  throw WorkflowsError(error);
}

}  // namespace workflows
