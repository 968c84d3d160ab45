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

constexpr std::size_t kId = 2;

Row row_of(const InstanceInfo& info, const ListRequest& request, TimePoint now) {
  const Look look = look_of(info.status);
  const bool is_old_or_newer = info.generation > 1 || !request.query.newest_only;
  const auto id = is_old_or_newer ? fmt::format("{}@{}", info.id, info.generation) : info.id;
  return {{fmt::format("{} {}", look.glyph, to_string(info.status)), look.style},
          {harmless(info.workflow)},
          {.text = harmless(id), .is_id = true},
          {moment(info.created)},
          {relative(info.updated, now), Style::dim},
          {wait_of(info, now)}};
}

using Page = std::vector<InstanceInfo>;

void print_table(Client& client, const ListRequest& request, Console& console) {
  const TimePoint now = console.now();
  // A narrow terminal goes without the time of creation first: that of the last change says more.
  Table table({"STATUS", "WORKFLOW", "ID", "CREATED", "CHANGED", "WAITS"}, 1, {3, 4, 5});
  bool any = false;
  for_each_page(client, request, [&](const Page& page) {
    any |= !page.empty();
    for (const InstanceInfo& info : page) table.measure(row_of(info, request, now));
  });
  if (!any) return console.line("No instances.");
  table.print_head(console);
  for_each_page(client, request, [&](const Page& page) {
    for (const InstanceInfo& info : page) table.print(console, row_of(info, request, now));
  });
  if (table.cuts(kId)) console.paragraph("", 0, "Ids are cut to fit; --json has them whole.");
}

}  // namespace

int list(Context& context, const ListRequest& request) {
  Client& client = context.reading().client();
  Console& console = context.console;
  if (request.count) {
    std::uint64_t count = 0;
    for_each_page(client, request, [&](const Page& page) { count += page.size(); });
    console.line(console.json() ? JsonObject().number("count", count).take() : std::to_string(count));
  } else if (console.json()) {
    for_each_page(client, request, [&](const Page& page) {
      for (const InstanceInfo& info : page) console.json_line(to_json(info));
    });
  } else {
    print_table(client, request, console);
  }
  return kOk;
}

}  // namespace workflows::cli
