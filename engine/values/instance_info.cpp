#include <workflows/instance_info.h>

#include <array>
#include <utility>

namespace workflows {
namespace {

constexpr std::array<std::pair<Status, std::string_view>, 9> kStatusNames = {{
    {Status::queued, "queued"},
    {Status::running, "running"},
    {Status::waiting, "waiting"},
    {Status::waiting_for_pause, "waitingForPause"},
    {Status::paused, "paused"},
    {Status::rolling_back, "rollingBack"},
    {Status::complete, "complete"},
    {Status::errored, "errored"},
    {Status::terminated, "terminated"},
}};

}  // namespace

std::string_view to_string(Status status) noexcept {
  for (const auto& [value, name] : kStatusNames) {
    if (value == status) return name;
  }
  return "unknown";
}

std::optional<Status> parse_status(std::string_view text) noexcept {
  for (const auto& [value, name] : kStatusNames) {
    if (name == text) return value;
  }
  return std::nullopt;
}

std::optional<Status> status_of(EntryKind kind) noexcept {
  switch (kind) {
    case EntryKind::rollback_started:
      return Status::rolling_back;
    case EntryKind::paused:
      return Status::paused;
    case EntryKind::instance_completed:
      return Status::complete;
    case EntryKind::instance_errored:
      return Status::errored;
    case EntryKind::instance_terminated:
      return Status::terminated;
    default:
      return std::nullopt;
  }
}

}  // namespace workflows
