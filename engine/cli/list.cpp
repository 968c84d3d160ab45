#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "engine/cli/commands.h"
#include "engine/cli/format.h"
#include "engine/cli/json.h"
#include "engine/cli/table.h"
#include "engine/cli/text.h"

namespace workflows::cli {
namespace {

constexpr std::uint32_t kPage = 1000;

// Calls `show` with one page after the other.
void for_each_page(Client& client, const ListRequest& request,
                   const std::function<void(const std::vector<InstanceInfo>&)>& show) {
  ListQuery query = request.query;
  std::uint64_t left = request.limit.value_or(std::numeric_limits<std::uint64_t>::max());
  while (left > 0) {
    query.limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(kPage, left));
    const auto page = client.list(query);
    show(page);
    if (page.size() < query.limit) return;
    left -= page.size();
    query.after = page.back().key;
  }
}

std::string wait_of(const InstanceInfo& info, TimePoint now) {
  if (info.status != Status::waiting) return "";
  return info.wake ? relative(*info.wake, now) : "for an event";
}

// Without the time of creation if there is little room: that of the last change says more.
template <class Cells>
Cells fitted(Cells cells, const Console& console) {
  constexpr std::size_t kRoomForCreated = 80;
  constexpr std::ptrdiff_t kCreated = 3;
  if (console.width().value_or(kRoomForCreated) < kRoomForCreated) cells.erase(cells.begin() + kCreated);
  return cells;
}

Row row_of(const InstanceInfo& info, TimePoint now) {
  const Look look = look_of(info.status);
  const auto id = info.generation > 1 ? fmt::format("{}@{}", info.id, info.generation) : info.id;
  return {{fmt::format("{} {}", look.glyph, to_string(info.status)), look.style},
          {harmless(info.workflow)},
          {harmless(id)},
          {moment(info.created)},
          {relative(info.updated, now), Style::dim},
          {wait_of(info, now)}};
}

}  // namespace

int list(Context& context, const ListRequest& request) {
  Client& client = context.reading().client();
  Console& console = context.console;
  const std::vector<std::string> head = {"STATUS", "WORKFLOW", "ID", "CREATED", "CHANGED", "WAITS"};
  Table table(fitted(head, console), 2);
  std::uint64_t count = 0;
  for_each_page(client, request, [&](const std::vector<InstanceInfo>& page) {
    count += page.size();
    if (request.count) return;
    for (const InstanceInfo& info : page) {
      if (console.json())
        console.json_line(to_json(info));
      else
        table.add(fitted(row_of(info, console.now()), console));
    }
    if (!console.json() && count > 0) table.print(console);
  });
  if (request.count)
    console.line(console.json() ? JsonObject().number("count", count).take() : std::to_string(count));
  else if (count == 0 && !console.json())
    console.line("No instances.");
  return kOk;
}

}  // namespace workflows::cli
