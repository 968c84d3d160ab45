#pragma once
// What every command works with: the console, and the database once it is needed.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <workflows/history.h>
#include <workflows/maintenance.h>

#include "engine/cli/console.h"

namespace workflows::cli {

// Exit codes besides those of error.h.
inline constexpr int kOk = 0;
inline constexpr int kFound = 1;  // what was looked for was found: a difference, something wrong
inline constexpr int kUsage = 2;

class Context {
 public:
  Console console;
  std::string database;

  // Opened at the first call.
  Maintenance& reading();
  Maintenance& writing();
  Maintenance& creating();  // makes the file if it is not there
  void close() { open_.reset(); }

 private:
  Maintenance& open(ClientOptions options);

  std::unique_ptr<Maintenance> open_;
};

// What a person calls an instance: ID, WORKFLOW/ID, either with @GENERATION.
struct InstanceName {
  std::optional<std::string> workflow{};
  std::string id{};
  std::optional<std::uint32_t> generation{};
};
// InvalidNameError.
InstanceName parse_name(std::string_view text);

// InstanceNotFoundError; InvalidNameError if several workflows have this id.
InstanceInfo find(Maintenance& database, std::string_view name);
// For commands that act on an instance as it is now: InvalidNameError if a generation is named.
InstanceInfo find_newest(Maintenance& database, std::string_view name);

// A history as operators may see it, every entry with the name of its step: of an instance, or of an exported file (a
// name that ends in .json or begins with . or /, or - for standard input).
struct Source {
  std::string label{};
  InstanceHistory history{};
};
Source load_source(Context& context, const std::string& name);
bool names_a_file(std::string_view name);
std::string read_file(const std::string& path);

}  // namespace workflows::cli
