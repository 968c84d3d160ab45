#pragma once
// A PassingVfs whose disk may fail and whose power may be cut.
//
// It knows of each file what a power loss is sure to leave of it: what was synced. What was written, truncated, made or
// deleted since may be there, be gone, or be there in part. `restore_power` chooses, and puts the files into that
// state. Nothing is ever synced for real.
//
//   FaultVfs disk;
//   disk.fail({.calls = FaultVfs::kWrite, .nth = 3});   // the third write from now fails
//   disk.cut_power_at(17);                              // during the 17th change from now; from then on all fails
//   ... open a database, write until it fails, close everything ...
//   disk.restore_power(FaultVfs::Unsynced::torn, 1);
//   ... open again, look ...

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "tests/support/passing_vfs.h"

namespace workflows::testing {

class FaultVfs : public PassingVfs {
 public:
  // What may fail, a bit each.
  enum Call : unsigned {
    kOpen = 1,
    kRead = 2,
    kWrite = 4,
    kSync = 8,
    kTruncate = 16,
    kSize = 32,
    kRemove = 64,
    kAccess = 128,
    kLock = 256,
    kMapShared = 512,
    kLockShared = 1024,
    kEverything = 2047,
  };
  // The `nth` from now of these calls does nothing and fails; with `lasting`, so do all that follow. `code` 0: the one
  // that SQLite has for a failure of this call. SQLITE_IOERR_SHORT_READ reads the first half.
  struct Fault {
    unsigned calls = kEverything;
    int code = 0;
    std::uint64_t nth = 1;
    bool lasting = false;
    const char* file = "";  // only of this one: "wal", "journal", "database"
  };
  void fail(Fault fault);
  void heal() { fail({.calls = 0}); }
  // The calls since `fail` of the kinds that it named, in order: "sync wal".
  const std::vector<std::string>& calls() const { return calls_; }
  bool has_failed() const { return fault_.calls != 0 && calls_.size() >= fault_.nth; }

  // Changes: writes, syncs, truncations, files made or deleted.
  // In order, each named by what it does to which file: "sync wal". A rewrite is a write to the beginning of a file
  // that has one.
  const std::vector<std::string>& changes() const { return changes_; }
  void cut_power_at(std::uint64_t nth) { cut_at_ = changes_.size() + nth; }
  bool power_is_off() const { return off_; }
  // What becomes of what was not synced; torn: by chance, each piece of 512 bytes for itself, and some become junk.
  enum class Unsynced { kept, dropped, torn };
  // Requires: every file is closed.
  void restore_power(Unsynced fate, std::uint64_t seed);
  // Starts over with an empty disk. Requires: every file is closed and deleted.
  void forget_files() { files_.clear(); }

  // How often something happened that a test is meant to reach: "failed write wal", "cut sync database", "torn wal".
  std::uint64_t seen(const std::string& event) const;
  std::string everything_seen() const;

 private:
  struct Change {
    sqlite3_int64 offset = 0;
    std::string bytes{};
    bool truncation = false;  // to `offset`
  };
  struct Content {
    std::string synced{};
    std::vector<Change> unsynced{};
    bool is_empty() const { return synced.empty() && unsynced.empty(); }
  };
  // What a name stands for; null: no such file. A name is safe when its folder was synced.
  struct Name {
    std::shared_ptr<Content> safe{};
    std::shared_ptr<Content> now{};
  };

  int open(File& file, int* out_flags) override;
  int read(File& file, void* bytes, int amount, sqlite3_int64 offset) override;
  int write(File& file, const void* bytes, int amount, sqlite3_int64 offset) override;
  int truncate(File& file, sqlite3_int64 size) override;
  int sync(File& file, int flags) override;
  int size(File& file, sqlite3_int64* bytes) override;
  int lock(File& file, int level) override;
  int map_shared(File& file, int region, int bytes, int extend, void volatile** memory) override;
  int lock_shared(File& file, int offset, int count, int flags) override;
  int remove(const char* name, int sync_folder) override;
  int access(const char* name, int flags, int* result) override;
  int sleep(int) override { return 0; }

  int fault_of(Call call, const char* name);
  bool cut_by(const std::string& change, const char* name);
  void opened(const File& file);
  void sync_folder();
  void note(const std::string& what, const char* name);
  std::string after_power_loss(const std::string& name, const Content& content, Unsynced fate, std::mt19937_64& chance);

  std::mutex mutex_;
  Fault fault_{.calls = 0};
  std::vector<std::string> calls_;  // that the fault is about
  std::vector<std::string> changes_;
  std::uint64_t cut_at_ = 0;  // 0: never
  bool off_ = false;
  std::map<std::string, Name> files_;
  std::map<std::string, std::uint64_t> seen_;
};

}  // namespace workflows::testing
