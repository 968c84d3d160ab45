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

}  // namespace workflows
