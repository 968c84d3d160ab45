// Histories as files: export and import.

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "engine/cli/commands.h"
#include "engine/cli/format.h"
#include "engine/cli/json.h"
#include "engine/cli/text.h"
#include "engine/values/text.h"

namespace workflows::cli {
namespace {

void write_file(const std::string& path, std::string_view text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int problem = errno;
  const bool closed = file != nullptr && std::fclose(file) == 0;
  if (written && closed) return;
  throw InvalidConfigError(fmt::format("The file {} cannot be written: {}.", values::quoted(path),
                                       std::strerror(written ? errno : problem)));
}

}  // namespace

int export_history(Context& context, const ExportRequest& request) {
  Maintenance& database = context.reading();
  const InstanceInfo info = find(database, request.name);
  context.console.progress(fmt::format("reading {} ...", name_of(info)));
  const auto document = redact(database.client().history(info.key), request.redaction);
  const std::string json = to_json(document);
  if (request.output == "-") {
    context.console.line(json);
    return kOk;
  }
  write_file(request.output, json + "\n");
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
    context.console.line(to_json(info));
  else
    context.console.line(fmt::format("{}  {}", status_text(context.console, info.status), name_of(info)));
  return kOk;
}

}  // namespace workflows::cli
