#pragma once
// Looking after a database: what is in it, whether it is sound, and histories that come from elsewhere. What the
// command line is built on.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <workflows/client.h>
#include <workflows/database_info.h>
#include <workflows/history.h>
#include <workflows/instance_info.h>
#include <workflows/time.h>

namespace workflows {

// The version of SQLite that is in use.
std::string sqlite_version();
// The type of the file system under a database, such as "ext4"; empty: the kernel does not tell.
std::string file_system_of(const std::string& database);
// What was written to it and is not yet moved into the file.
std::uint64_t log_bytes_of(const std::string& database);

// SerializationError if the history contradicts itself, or cannot go on: it rolls back, or values of it were redacted.
void check_importable(const HistoryDocument& document);

// Thread-safe as Client is; throws like it.
class Maintenance {
 public:
  explicit Maintenance(ClientOptions options);
  ~Maintenance();
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;

  // Over the same database.
  Client& client();

  // The newest generation of this id in every workflow that has one.
  std::vector<InstanceInfo> find_everywhere(const std::string& id);
  // Entries of all instances in commit order: those after a cursor, or the newest; at most `limit`.
  std::vector<JournalEntry> journal(std::optional<std::int64_t> after, std::uint32_t limit);
  Statistics statistics(TimePoint now);
  std::vector<EngineInfo> engines();
  std::vector<Finding> check(TimePoint now, const std::function<void(std::string_view)>& progress);
  // A finished instance comes as it was; any other is paused, so that no engine goes on with it before somebody has
  // resumed it. InstanceExistsError; what check_importable throws.
  InstanceRef import_history(HistoryDocument document, TimePoint now);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace workflows
