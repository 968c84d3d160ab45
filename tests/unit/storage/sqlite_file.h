#pragma once
// What tests of the SQLite store look at from outside: the file itself, through a connection of their own.

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "storage/sqlite/sqlite_database.h"
#include "tests/conformance/store_contract.h"
#include "tests/support/temp_dir.h"

namespace workflows::storage::sqlite {

class RawConnection {
 public:
  explicit RawConnection(const std::filesystem::path& path) {
    if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(database_));
  }
  ~RawConnection() { sqlite3_close(database_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // The first row, its columns joined by '|', as the sqlite3 shell shows it; "" when there is none.
  std::string row(const std::string& sql) {
    std::string text;
    const auto collect = [](void* into, int columns, char** values, char**) {
      auto& row = *static_cast<std::string*>(into);
      if (!row.empty()) return 0;
      for (int i = 0; i < columns; ++i) row += (i == 0 ? "" : "|") + std::string(values[i] ? values[i] : "NULL");
      return 0;
    };
    if (sqlite3_exec(database_, sql.c_str(), collect, &text, nullptr) != SQLITE_OK)
      throw std::runtime_error(sqlite3_errmsg(database_));
    return text;
  }

  sqlite3* handle() const { return database_; }

 private:
  sqlite3* database_ = nullptr;
};

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline unsigned permissions(const std::filesystem::path& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

class SqliteFile : public ::testing::Test {
 protected:
  std::filesystem::path path() const { return folder_.path() / "test.db"; }
  OpenOptions options() const { return {.location = path()}; }
  std::unique_ptr<Store> connect(Durability durability = Durability::full) const {
    auto how = options();
    how.durability = durability;
    return must(must(open_sqlite(how))->connect());
  }

  static InstanceKey create(Store& store, std::string id, std::optional<Owner> owner = std::nullopt) {
    auto item = new_instance(std::move(id));
    item.owned = owner.has_value();
    return std::get<Created>(must(store.commit(batch(owner, item))).at(0)).key;
  }

  testing::TempDir folder_;
};

}  // namespace workflows::storage::sqlite
