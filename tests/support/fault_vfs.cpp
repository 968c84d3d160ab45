#include "tests/support/fault_vfs.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

namespace workflows::testing {
namespace {

constexpr std::size_t kSector = 512;

struct Failing {
  FaultVfs::Call call;
  const char* name;
  int code;
};
constexpr std::array kFailing{
    Failing{FaultVfs::kOpen, "open", SQLITE_CANTOPEN},
    Failing{FaultVfs::kRead, "read", SQLITE_IOERR_READ},
    Failing{FaultVfs::kWrite, "write", SQLITE_IOERR_WRITE},
    Failing{FaultVfs::kSync, "sync", SQLITE_IOERR_FSYNC},
    Failing{FaultVfs::kTruncate, "truncate", SQLITE_IOERR_TRUNCATE},
    Failing{FaultVfs::kSize, "size", SQLITE_IOERR_FSTAT},
    Failing{FaultVfs::kRemove, "remove", SQLITE_IOERR_DELETE},
    Failing{FaultVfs::kAccess, "access", SQLITE_IOERR_ACCESS},
    Failing{FaultVfs::kLock, "lock", SQLITE_IOERR_LOCK},
    Failing{FaultVfs::kMapShared, "map", SQLITE_IOERR_SHMMAP},
    Failing{FaultVfs::kLockShared, "shared lock", SQLITE_IOERR_SHMLOCK},
};
const Failing& failing(FaultVfs::Call call) { return *std::ranges::find(kFailing, call, &Failing::call); }

std::string_view role(std::string_view name) {
  return name.ends_with("-wal") ? "wal" : name.ends_with("-journal") ? "journal" : "database";
}

std::string named(const std::string& what, const char* name) {
  return what + ' ' + (name ? std::string(role(name)) : "temporary file");
}

void put(std::string& content, sqlite3_int64 offset, std::string_view bytes) {
  const auto at = static_cast<std::size_t>(offset);
  content.resize(std::max(content.size(), at + bytes.size()));
  content.replace(at, bytes.size(), bytes);
}

// Chosen once for a file: what is kept of it.
class Fate {
 public:
  Fate(FaultVfs::Unsynced fate, std::mt19937_64& chance) : fate_(fate), chance_(chance), kept_(chance() % 10) {}

  bool keeps() { return fate_ != FaultVfs::Unsynced::dropped && (fate_ == FaultVfs::Unsynced::kept || lucky()); }
  bool makes_junk() { return fate_ == FaultVfs::Unsynced::torn && chance_() % 8 == 0; }

 private:
  bool lucky() { return chance_() % 10 < kept_; }

  FaultVfs::Unsynced fate_;
  std::mt19937_64& chance_;
  std::uint64_t kept_;  // of ten pieces
};

}  // namespace

void FaultVfs::fail(Fault fault) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  calls_.clear();
}

std::uint64_t FaultVfs::seen(const std::string& event) const {
  const auto found = seen_.find(event);
  return found == seen_.end() ? 0 : found->second;
}

std::string FaultVfs::everything_seen() const {
  std::string text;
  for (const auto& [event, times] : seen_) text += event + ": " + std::to_string(times) + "\n";
  return text;
}

void FaultVfs::note(const std::string& what, const char* name) { ++seen_[named(what, name)]; }

// Not SQLITE_OK: the call is to fail with this.
int FaultVfs::fault_of(Call call, const char* name) {
  if (off_) return failing(call).code;
  if ((fault_.calls & call) == 0 || (*fault_.file != '\0' && (!name || fault_.file != role(name)))) return SQLITE_OK;
  calls_.push_back(named(failing(call).name, name));
  if (calls_.size() < fault_.nth || (calls_.size() > fault_.nth && !fault_.lasting)) return SQLITE_OK;
  ++seen_["failed " + calls_.back()];
  return fault_.code != 0 ? fault_.code : failing(call).code;
}

// Whether the power goes during this change: it may be there or not, as all that was not synced.
bool FaultVfs::cut_by(const std::string& change, const char* name) {
  changes_.push_back(named(change, name));
  if (changes_.size() != cut_at_) return false;
  note("cut " + change, name);
  return off_ = true;
}

int FaultVfs::open(File& file, int* out_flags) {
  const std::lock_guard lock(mutex_);
  if (const int code = fault_of(kOpen, file.name); code != SQLITE_OK) return code;
  if (const int code = PassingVfs::open(file, out_flags); code != SQLITE_OK || file.name == nullptr) return code;
  opened(file);
  return SQLITE_OK;
}

void FaultVfs::opened(const File& file) {
  auto& name = files_[file.name];
  if (name.now) return;
  name.now = std::make_shared<Content>();
  std::ifstream stream(file.name, std::ios::binary);
  name.now->synced.assign(std::istreambuf_iterator<char>(stream), {});
  if (!name.now->synced.empty()) name.safe = name.now;
}

int FaultVfs::read(File& file, void* bytes, int amount, sqlite3_int64 offset) {
  const std::lock_guard lock(mutex_);
  const int code = fault_of(kRead, file.name);
  if (code == SQLITE_OK) return PassingVfs::read(file, bytes, amount, offset);
  if (code == SQLITE_IOERR_SHORT_READ) {
    PassingVfs::read(file, bytes, amount, offset);
    std::memset(static_cast<char*>(bytes) + amount / 2, 0, static_cast<std::size_t>(amount - amount / 2));
  }
  return code;
}

int FaultVfs::write(File& file, const void* bytes, int amount, sqlite3_int64 offset) {
  const std::lock_guard lock(mutex_);
  if (const int code = fault_of(kWrite, file.name); code != SQLITE_OK) return code;
  bool begins_anew = false;
  if (file.name != nullptr) {
    auto& content = *files_[file.name].now;
    begins_anew = offset == 0 && !content.is_empty();
    const std::string written(static_cast<const char*>(bytes), static_cast<std::size_t>(amount));
    content.unsynced.push_back({.offset = offset, .bytes = written});
  }
  if (cut_by(begins_anew ? "rewrite" : "write", file.name)) return SQLITE_IOERR_WRITE;
  return PassingVfs::write(file, bytes, amount, offset);
}

int FaultVfs::truncate(File& file, sqlite3_int64 size) {
  const std::lock_guard lock(mutex_);
  if (const int code = fault_of(kTruncate, file.name); code != SQLITE_OK) return code;
  if (file.name != nullptr) files_[file.name].now->unsynced.push_back({.offset = size, .truncation = true});
  if (cut_by("truncate", file.name)) return SQLITE_IOERR_TRUNCATE;
  return PassingVfs::truncate(file, size);
}

int FaultVfs::sync(File& file, int) {
  const std::lock_guard lock(mutex_);
  if (const int code = fault_of(kSync, file.name); code != SQLITE_OK) return code;
  if (cut_by("sync", file.name)) return SQLITE_IOERR_FSYNC;
  if (file.name == nullptr) return SQLITE_OK;
  auto& name = files_[file.name];
  for (const auto& change : name.now->unsynced) {
    if (change.truncation)
      name.now->synced.resize(static_cast<std::size_t>(change.offset));
    else
      put(name.now->synced, change.offset, change.bytes);
  }
  name.now->unsynced.clear();
  // The real one syncs the folder with the first sync of a journal or WAL that it has made.
  const bool is_log = (file.flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
  if (is_log && name.safe != name.now) sync_folder();
  return SQLITE_OK;
}

void FaultVfs::sync_folder() {
  for (auto& [name, file] : files_) file.safe = file.now;
}

int FaultVfs::remove(const char* name, int sync_folder_too) {
  const std::lock_guard lock(mutex_);
  if (const int code = fault_of(kRemove, name); code != SQLITE_OK) return code;
  files_[name].now = nullptr;
  if (cut_by("remove", name)) return SQLITE_IOERR_DELETE;
  if (sync_folder_too != 0) sync_folder();
  return PassingVfs::remove(name, 0);
}

int FaultVfs::size(File& file, sqlite3_int64* bytes) {
  const std::lock_guard lock(mutex_);
  const int code = fault_of(kSize, file.name);
  return code != SQLITE_OK ? code : PassingVfs::size(file, bytes);
}

int FaultVfs::lock(File& file, int level) {
  const std::lock_guard lock(mutex_);
  const int code = fault_of(kLock, file.name);
  return code != SQLITE_OK ? code : PassingVfs::lock(file, level);
}

int FaultVfs::map_shared(File& file, int region, int bytes, int extend, void volatile** memory) {
  const std::lock_guard lock(mutex_);
  const int code = fault_of(kMapShared, file.name);
  if (code != SQLITE_OK) *memory = nullptr;
  return code != SQLITE_OK ? code : PassingVfs::map_shared(file, region, bytes, extend, memory);
}

int FaultVfs::lock_shared(File& file, int offset, int count, int flags) {
  const std::lock_guard lock(mutex_);
  const bool unlocking = (flags & SQLITE_SHM_UNLOCK) != 0;
  const int code = unlocking ? SQLITE_OK : fault_of(kLockShared, file.name);
  return code != SQLITE_OK ? code : PassingVfs::lock_shared(file, offset, count, flags);
}

int FaultVfs::access(const char* name, int flags, int* result) {
  const std::lock_guard lock(mutex_);
  const int code = fault_of(kAccess, name);
  return code != SQLITE_OK ? code : PassingVfs::access(name, flags, result);
}

std::string FaultVfs::after_power_loss(const std::string& name, const Content& content, Unsynced fate,
                                       std::mt19937_64& chance) {
  Fate piece(fate, chance);
  std::string left = content.synced;
  std::size_t kept = 0;
  std::size_t lost = 0;
  for (const auto& change : content.unsynced) {
    if (change.truncation) {
      if (piece.keeps()) left.resize(static_cast<std::size_t>(change.offset));
      continue;
    }
    // Cut where the file's sectors end, not the write's.
    for (std::size_t done = 0; done < change.bytes.size();) {
      const auto at = static_cast<std::size_t>(change.offset) + done;
      const auto amount = std::min(kSector - at % kSector, change.bytes.size() - done);
      const bool keeps = piece.keeps();
      ++(keeps ? kept : lost);
      if (keeps)
        put(left, static_cast<sqlite3_int64>(at), std::string_view(change.bytes).substr(done, amount));
      else if (piece.makes_junk())
        put(left, static_cast<sqlite3_int64>(at), std::string(amount, static_cast<char>(chance())));
      done += amount;
    }
  }
  if (kept != 0 && lost != 0) note("torn", name.c_str());
  if (kept == 0 && lost != 0) note("lost", name.c_str());
  if (kept != 0 && lost == 0) note("kept", name.c_str());
  return left;
}

void FaultVfs::restore_power(Unsynced fate, std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  std::mt19937_64 chance(seed);
  std::map<std::string, Name> left;
  for (const auto& [name, file] : files_) {
    const bool now = file.safe == file.now || Fate(fate, chance).keeps();
    if (file.safe != file.now) note(now ? "kept change of folder" : "lost change of folder", name.c_str());
    const auto content = now ? file.now : file.safe;
    std::filesystem::remove(name);
    if (!content) continue;
    const auto survived = std::make_shared<Content>(Content{.synced = after_power_loss(name, *content, fate, chance)});
    std::ofstream(name, std::ios::binary) << survived->synced;
    left[name] = {.safe = survived, .now = survived};
  }
  files_ = std::move(left);
  cut_at_ = 0;
  off_ = false;
}

}  // namespace workflows::testing
