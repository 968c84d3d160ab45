// Writes the golden database of the format that this tree has: `golden_program tests/golden/cpp/v2.golden`.
//
//     branches/done     complete
//     branches/waiting  waits for an event
//     branches/paused   paused while it waits
//     undone/rolled     errored, and rolled back
//     undone/booked     waits for an event, before it fails and rolls back
//
// and those of workflows_of_format_1.h, the last of which ends the process that writes.

#include "tests/golden/cpp/workflows_of_then.h"

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <iostream>
#include <thread>

namespace workflows::golden {
namespace {

InstanceHandle create(Engine& engine, const char* workflow, const char* id) {
  auto instance = engine.create(workflow, std::string("params"), {.id = id});
  while (instance.status().status != Status::waiting) std::this_thread::yield();
  return instance;
}

void write(const std::string& file) {
  Engine engine({.database = file});
  add_all(engine);
  engine.start();
  const auto done = create(engine, "branches", "done");
  done.send_event("approved", std::string("yes"));
  done.result<std::vector<std::string>>();
  create(engine, "branches", "waiting");
  create(engine, "branches", "paused").pause();
  const auto rolled = create(engine, "undone", "rolled");
  rolled.send_event("left");
  try {
    rolled.result();
  } catch (const WorkflowFailedError&) {}  // as it is to be
  create(engine, "undone", "booked");
  create_format_1(engine);
}

// Process ids stand in the owner that died, and in what was deleted.
void wipe(const std::string& file) {
  sqlite3* database = nullptr;
  sqlite3_open(file.c_str(), &database);
  sqlite3_exec(database, "UPDATE owners SET pid = 0; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr,
               nullptr);
  sqlite3_close(database);
}

}  // namespace
}  // namespace workflows::golden

int main(int, char** arguments) {
  if (const pid_t writer = fork(); writer != 0) {
    waitpid(writer, nullptr, 0);
    workflows::golden::wipe(arguments[1]);
    std::filesystem::remove(std::string(arguments[1]) + "-owners");
    return 0;
  }
  try {
    workflows::golden::write(arguments[1]);
  } catch (const std::exception& error) { std::cerr << error.what() << '\n'; }
  return 1;
}
