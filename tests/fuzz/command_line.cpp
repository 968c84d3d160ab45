#include "tests/fuzz/command_line.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <workflows/error.h>
#include <workflows/history.h>
#include <workflows/maintenance.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/cli/cli.h"
#include "engine/values/text.h"
#include "tests/fuzz/promise.h"
#include "tests/support/passing_vfs.h"
#include "tests/support/temp_dir.h"

namespace workflows::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDatabase = "shop.db";
constexpr TimePoint kNow{std::chrono::days(20'500)};

// What becomes of the files is not looked at after a loss of power.
class FastDisk final : public testing::PassingVfs {
  int sync(File&, int) override { return SQLITE_OK; }
};

// Standard input is empty, and what is printed is kept, while it lives.
class Streams {
 public:
  Streams() {
    std::fflush(nullptr);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    close(nothing);
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) dup2(printed_, stream);
  }
  ~Streams() {
    std::fflush(nullptr);
    for (int stream = 0; stream < 3; ++stream) {
      dup2(saved_.at(static_cast<std::size_t>(stream)), stream);
      close(saved_.at(static_cast<std::size_t>(stream)));
    }
    close(printed_);
  }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  std::string printed() const {
    std::string text(static_cast<std::size_t>(lseek(printed_, 0, SEEK_END)), '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, pread(printed_, text.data(), text.size(), 0))));
    return text;
  }

 private:
  std::array<int, 3> saved_{dup(STDIN_FILENO), dup(STDOUT_FILENO), dup(STDERR_FILENO)};
  int printed_ = memfd_create("printed", MFD_CLOEXEC);
};

// A folder to work in, with one database.
class Folder {
 public:
  explicit Folder(const std::string& database) {
    static const testing::TempDir folder;
    for (const auto& file : fs::directory_iterator(folder.path())) fs::remove_all(file);
    fs::current_path(folder.path());
    if (!database.empty()) std::ofstream(kDatabase, std::ios::binary) << database;
    setenv("WORKFLOWS_DB", kDatabase, 1);
  }
  ~Folder() {
    unsetenv("WORKFLOWS_DB");
    fs::current_path(before_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

 private:
  fs::path before_ = fs::current_path();
};

struct Ran {
  int code;
  std::string printed;
};

Ran run(const std::vector<std::string>& arguments) {
  const Streams streams;
  const int code = cli::run(arguments, {});
  std::fflush(nullptr);
  return {.code = code, .printed = streams.printed()};
}

bool acts_on_a_terminal(char character) {
  return (character >= 0 && character < ' ' && character != '\n') || character == '\x7F';
}

// JSON that is not for a terminal keeps the bytes of its texts.
bool is_json(const std::string& printed) { return printed.starts_with('{'); }

void require_harmless(const Ran& ran) {
  static const std::set<int> documented = {0, 1, 2, 3, 4, 5, 11, 20, 21, 22, 23};
  require(documented.contains(ran.code), "an exit code is a documented one", ran.printed);
  require(ran.code == 0 || !ran.printed.empty(), "an error says what it is");
  require(is_json(ran.printed) || std::ranges::none_of(ran.printed, acts_on_a_terminal),
          "nothing printed acts on a terminal", ran.printed);
  require(values::as_valid_utf8(ran.printed) == ran.printed, "what is printed is valid UTF-8", ran.printed);
}

std::vector<std::string> arguments_in(std::string_view lines) {
  std::vector<std::string> arguments;
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    arguments.emplace_back(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return arguments;
}

bool is_left_out(std::string_view argument) {
  const bool is_short = argument.starts_with('-') && !argument.starts_with("--");
  const bool follows = argument.starts_with("--follow") || (is_short && argument.find('f') != argument.npos);
  const bool leads_away = argument.find("..") != argument.npos || argument.starts_with('/') ||
                          argument.find("=/") != argument.npos || argument.find("@/") != argument.npos ||
                          (is_short && argument.find('/') != argument.npos);
  return follows || leads_away || argument.find('\0') != argument.npos;  // which no program can be given
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The database after these documents were imported.
std::string database_with(const std::vector<std::string_view>& documents) {
  const Folder folder("");
  {
    Maintenance database({.database = kDatabase});
    for (const auto document : documents) database.import_history(parse_history(document), kNow);
  }
  return bytes_of(kDatabase);
}

// What an import keeps: all but the places in a database, and that an unfinished one is paused.
InstanceHistory what_is_kept(InstanceHistory history, std::size_t entries) {
  history.entries.resize(entries);
  history.info.key = 0;
  if (!is_finished(history.info.status)) {
    history.info.status = Status::paused;
    history.info.wake.reset();
    history.info.updated = {};
  }
  std::map<std::int64_t, std::int64_t> events{{0, 0}};
  for (InboxEvent& event : history.inbox) {
    const auto number = static_cast<std::int64_t>(events.size());
    events.emplace(event.id, number);
    event.id = number;
  }
  std::int64_t cursor = 0;
  for (RecordedEntry& recorded : history.entries) {
    recorded.cursor = ++cursor;
    recorded.entry.event = events.contains(recorded.entry.event) ? events.at(recorded.entry.event) : -1;
  }
  return history;
}

void require_same(const HistoryDocument& given, const InstanceHistory& imported) {
  const std::size_t entries = given.history.entries.size();
  const std::size_t pauses = is_finished(given.history.info.status) ? 0 : 1;
  const std::size_t found = imported.entries.size();
  require(found >= entries && found <= entries + pauses, "an import keeps every entry, and adds a pause at most");
  const auto before = to_json({.history = what_is_kept(given.history, entries)});
  const auto after = to_json({.history = what_is_kept(imported, entries)});
  require(before == after, "an export gives back what was imported", before + "\n" + after);
}

void require_sound(Maintenance& database) {
  for (const Finding& finding : database.check(kNow, [](std::string_view) {}))
    require(finding.severity == Finding::Severity::note, "doctor finds nothing wrong", finding.message);
}

void require_shown(const std::string& name) {
  const std::vector<std::vector<std::string>> commands = {{"list"},
                                                          {"inspect", name},
                                                          {"tail", name},
                                                          {"tail"},
                                                          {"graph", name},
                                                          {"graph", name, "--format", "dot"},
                                                          {"replay", name},
                                                          {"diff", name, name},
                                                          {"stats"},
                                                          {"export", name},
                                                          {"--json", "inspect", name},
                                                          {"--json", "replay", name},
                                                          {"--json", "graph", name}};
  for (const auto& command : commands) {
    const Ran ran = run(command);
    require(ran.code == 0, "every command shows what was imported", command.front() + ": " + ran.printed);
    require_harmless(ran);
  }
}

bool is_imported(const HistoryDocument& document) {
  Maintenance database({.database = kDatabase});
  const InstanceRef ref = database.import_history(document, kNow);
  require_same(document, database.client().history(ref.key));
  require_sound(database);
  return true;
}

}  // namespace

void cli_arguments(std::string_view lines) {
  const auto arguments = arguments_in(lines);
  if (std::ranges::any_of(arguments, is_left_out)) return;
  const FastDisk disk;
  static const std::string sound = database_with({kFinished, kUnfinished});
  const Folder folder(sound);
  require_harmless(run(arguments));
}

bool imported_history(std::string_view text) {
  const FastDisk disk;
  static const std::string empty = database_with({});
  const Folder folder(empty);
  HistoryDocument document;
  try {
    document = parse_history(text);
    if (!is_imported(document)) return false;
  } catch (const WorkflowsError& error) {
    const std::set<ErrorCode> expected = {ErrorCode::serialization, ErrorCode::invalid_name, ErrorCode::store_version};
    require(expected.contains(error.code()), "a document is refused because of what is in it", error.what());
    require(values::as_valid_utf8(error.what()) == error.what(), "a message is valid UTF-8", error.what());
    return false;
  }
  require_shown(document.history.info.id);
  return true;
}

const std::string_view kFinished = R"json({"format":"workflows-history","version":1,"redacted":false,"instance":{
"workflow":"order","id":"o-1","generation":2,"status":"complete","created":"2026-01-01T00:00:00.000Z",
"updated":"2026-01-01T00:00:07.000Z","wake":null,"version":"1"},"params":{"sku":"A1"},"entries":[
{"cursor":1,"kind":"version","at":"2026-01-01T00:00:00.100Z","value":"2"},
{"cursor":2,"kind":"step_completed","at":"2026-01-01T00:00:00.350Z","step_kind":"do","name":"reserve","occurrence":1,
"attempt":1,"began":"2026-01-01T00:00:00.100Z","detail":{"config":{"sensitive":"output"}},"source":"shop.py:10",
"value":{"shelf":7}},
{"cursor":3,"kind":"attempt_failed","at":"2026-01-01T00:00:01.000Z","step":1,"step_kind":"do","name":"charge",
"occurrence":1,"after":1,"need":1,"attempt":1,"began":"2026-01-01T00:00:00.400Z",
"deadline":"2026-01-01T00:00:02.000Z","detail":{"depends":[0]},"value":{"type":"OSError","message":"away"}},
{"cursor":4,"kind":"step_completed","at":"2026-01-01T00:00:03.000Z","step":1,"step_kind":"do","name":"charge",
"occurrence":1,"after":1,"need":1,"attempt":2,"began":"2026-01-01T00:00:02.000Z","detail":{"depends":[0]},
"value":{"paid":24}},
{"cursor":5,"kind":"sleep_started","at":"2026-01-01T00:00:03.000Z","step":2,"step_kind":"sleep","name":"cool down",
"occurrence":1,"after":2,"need":2,"deadline":"2026-01-01T00:00:06.000Z"},
{"cursor":6,"kind":"sleep_finished","at":"2026-01-01T00:00:06.000Z","step":2,"began":"2026-01-01T00:00:03.000Z"},
{"cursor":7,"kind":"wait_started","at":"2026-01-01T00:00:06.000Z","step":3,"step_kind":"wait_for_event",
"name":"parcel left","occurrence":1,"after":3,"need":3,"event_type":"parcel"},
{"cursor":8,"kind":"wait_taken","at":"2026-01-01T00:00:07.000Z","step":3,"began":"2026-01-01T00:00:06.000Z","event":1},
{"cursor":9,"kind":"instance_completed","at":"2026-01-01T00:00:07.000Z","value":{"order":"o-1"}}],"inbox":[
{"id":1,"type":"parcel","payload":{"weight":1.5},"at":"2026-01-01T00:00:05.000Z","taken":true},
{"id":2,"type":"parcel","payload":null,"at":"2026-01-01T00:00:06.000Z","taken":false}]})json";

const std::string_view kUnfinished = R"json({"format":"workflows-history","version":1,"redacted":false,"instance":{
"workflow":"order","id":"o-2","generation":1,"status":"waiting","created":"2026-01-01T00:00:00.000Z",
"updated":"2026-01-01T00:00:03.000Z","wake":"2026-01-02T00:00:00.000Z","version":""},"params":[],"entries":[
{"cursor":1,"kind":"attempt_started","at":"2026-01-01T00:00:00.100Z","step_kind":"do","name":"charge","occurrence":1,
"attempt":1},
{"cursor":2,"kind":"heartbeat","at":"2026-01-01T00:00:01.000Z","attempt":1,"value":{"copied":1}},
{"cursor":3,"kind":"wait_started","at":"2026-01-01T00:00:03.000Z","step":1,"step_kind":"wait_for_event",
"name":"approval","occurrence":1,"event_type":"approved","deadline":"2026-01-02T00:00:00.000Z"}],"inbox":[]})json";

}  // namespace workflows::fuzz
