#include "storage/sqlite/schema.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace workflows::storage::sqlite {
namespace {

// Script n brings version n to n + 1. Released scripts never change: a change of the format is a script of its own.
// Columns without a type keep a value as it was bound: text stays text, an integer is the id of a blob.
constexpr std::array kMigrations{
    R"sql(
CREATE TABLE workflows(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);

CREATE TABLE instances(
  key INTEGER PRIMARY KEY,
  workflow INTEGER NOT NULL,
  id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  status INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  head INTEGER NOT NULL,
  unsettled INTEGER NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  wake INTEGER,
  version TEXT,
  params
);
CREATE UNIQUE INDEX instances_by_id ON instances(workflow, id, generation);
CREATE INDEX instances_unfinished ON instances(status, owner, workflow) WHERE status < 16;

CREATE TABLE journal(
  seq INTEGER PRIMARY KEY,
  instance INTEGER,
  prev INTEGER,
  kind INTEGER,
  step INTEGER,
  attempt INTEGER,
  at INTEGER,
  began INTEGER,
  name TEXT,
  step_kind INTEGER,
  occurrence INTEGER,
  after INTEGER,
  need INTEGER,
  value,
  deadline INTEGER,
  event INTEGER,
  event_type TEXT,
  detail TEXT
);

CREATE TABLE inbox(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  instance INTEGER NOT NULL,
  type TEXT NOT NULL,
  event_id TEXT,
  at INTEGER NOT NULL,
  taken INTEGER NOT NULL,
  payload
);
CREATE INDEX inbox_by_instance ON inbox(instance);
CREATE UNIQUE INDEX inbox_event_ids ON inbox(instance, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX inbox_untaken ON inbox(instance) WHERE taken = 0;

CREATE TABLE blobs(
  id INTEGER PRIMARY KEY,
  data TEXT NOT NULL
);

CREATE TABLE owners(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  epoch INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  pid INTEGER NOT NULL,
  scan_from INTEGER NOT NULL
);
)sql",
    R"sql(
ALTER TABLE instances ADD COLUMN keep_success INTEGER;
ALTER TABLE instances ADD COLUMN keep_failure INTEGER;
ALTER TABLE instances ADD COLUMN expires INTEGER;
CREATE INDEX instances_expiring ON instances(expires) WHERE expires IS NOT NULL;
CREATE INDEX instances_removed ON instances(status) WHERE status = 19;

ALTER TABLE journal ADD COLUMN source TEXT;

CREATE TABLE notices(
  id INTEGER PRIMARY KEY,
  owner INTEGER NOT NULL,
  instance INTEGER NOT NULL,
  kind INTEGER NOT NULL
);
CREATE INDEX notices_by_owner ON notices(owner);
)sql",
};

}  // namespace

std::int32_t current_version() { return static_cast<std::int32_t>(kMigrations.size()); }

void migrate(Connection& connection, std::int32_t from) {
  std::string script = fmt::format("BEGIN IMMEDIATE; PRAGMA application_id = {};", kApplicationId);
  for (auto version = static_cast<std::size_t>(from); version < kMigrations.size(); ++version)
    script += kMigrations.at(version);
  script += fmt::format("PRAGMA user_version = {}; COMMIT;", current_version());
  try {
    connection.execute(script.c_str(), "preparing the tables");
  } catch (...) {
    if (connection.in_transaction()) sqlite3_exec(connection.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

}  // namespace workflows::storage::sqlite
