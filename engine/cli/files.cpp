// Histories as files: export and import.

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "engine/cli/commands.h"
#include "engine/cli/format.h"
#include "engine/cli/json.h"
#include "engine/cli/text.h"
#include "engine/values/text.h"

namespace workflows::cli {
namespace {

namespace fs = std::filesystem;

void write_file(const std::string& path, std::string_view text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int problem = errno;
  const bool closed = file != nullptr && std::fclose(file) == 0;
  if (written && closed) return;
  throw InvalidConfigError(fmt::format("The file {} cannot be written: {}.", values::quoted(path),
                                       std::strerror(written ? errno : problem)));
}

// A history that is written over the database would be the end of it.
void check_is_elsewhere(const std::string& path, const std::string& database) {
  std::error_code unknown;
  for (const auto* side : {"", "-wal", "-shm", "-owners"}) {
    if (fs::weakly_canonical(path, unknown) != fs::weakly_canonical(database + side, unknown)) continue;
    throw InvalidConfigError(
        fmt::format("The file {} belongs to the database itself. Accepted: another file, or - for "
                    "standard output.",
                    values::quoted(path)));
  }
}

}  // namespace

int export_history(Context& context, const ExportRequest& request) {
  Maintenance& database = context.reading();
  const InstanceInfo info = find(database, request.name);
  context.console.progress(fmt::format("reading {} ...", name_of(info)));
  const auto document = redact(database.client().history(info.key), request.redaction);
  const std::string json = to_json(document);
  if (request.output == "-") {
    context.console.json_line(json);
    return kOk;
  }
  check_is_elsewhere(request.output, context.database);
  write_file(request.output, json + "\n");
  if (context.console.json()) {
    context.console.json_line(JsonObject()
                                  .text("file", request.output)
                                  .number("entries", document.history.entries.size())
                                  .number("bytes", json.size() + 1)
                                  .take());
    return kOk;
  }
  context.console.note(fmt::format("Wrote {} with {} entries ({}).", request.output,
                                   thousands(document.history.entries.size()), bytes(json.size())));
  return kOk;
}

int import_history(Context& context, const std::string& file) {
  context.console.progress(fmt::format("reading {} ...", harmless(file)));
  HistoryDocument document = parse_history(read_file(file));
  check_importable(document);  // before a file is made
  Maintenance& database = context.creating();
  const InstanceRef imported = database.import_history(std::move(document), context.console.now());
  const InstanceInfo info = database.client().info(imported.key);
  if (context.console.json())
    context.console.json_line(to_json(info));
  else
    context.console.line(fmt::format("{}  {}", status_text(context.console, info.status), name_of(info)));
  return kOk;
}

}  // namespace workflows::cli
