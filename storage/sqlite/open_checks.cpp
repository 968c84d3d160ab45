#include "storage/sqlite/open_checks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "storage/sqlite/schema.h"

namespace workflows::storage::sqlite {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGiveAnother =
    "Give the path of a workflows database, or of a file that does not exist yet, which will become one. Nothing was "
    "changed";

Failed refused(ErrorCode code, std::string message) { return {{code, std::move(message)}}; }
Failed refused(std::string message) { return refused(ErrorCode::store, std::move(message)); }

bool may(const std::string& path, int what) { return faccessat(AT_FDCWD, path.c_str(), what, AT_EACCESS) == 0; }

void check_file_system(const std::string& path, const std::string& folder) {
  struct statfs info{};
  if (statfs(folder.c_str(), &info) != 0) return;
  const auto name = network_file_system(static_cast<std::uint32_t>(info.f_type), mount_of(folder).type);
  if (!name) return;
  throw refused(
      fmt::format("'{}' lies on a network file system ({}), where the locks that protect a database do not "
                  "work. Put it on a disk of this machine",
                  path, *name));
}

void check_existing(const std::string& path, const OpenOptions& options) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0)
    throw refused(fmt::format("'{}' cannot be opened: {}", path, std::strerror(errno)));
  if (S_ISDIR(info.st_mode))
    throw refused(
        fmt::format("'{0}' is a folder, and a database is a file: give for example '{0}/workflows.db'", path));
  if (!S_ISREG(info.st_mode))
    throw refused(fmt::format("'{}' is a device or a pipe, not an ordinary file. {}", path, kGiveAnother));
  if (!may(path, R_OK)) throw refused(fmt::format("'{}' cannot be read by this user. Change its permissions", path));
  if (!options.read_only && !may(path, W_OK))
    throw refused(
        fmt::format("'{}' is read-only for this user, and the engine has to write it. Change its permissions, "
                    "or use a copy that can be written",
                    path));
}

void check_missing(const std::string& path, const std::string& folder, const OpenOptions& options) {
  if (options.read_only || !options.create)
    throw refused(fmt::format("there is no file '{}'. Check the path; an engine makes the file when it starts", path));
  struct stat info{};
  if (stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    throw refused(fmt::format("'{}' cannot be made: there is no folder '{}'. Make it first", path, folder));
}

void check_folder(const std::string& path, const std::string& folder) {
  if (may(folder, W_OK | X_OK)) return;
  throw refused(
      fmt::format("the folder '{}' of the database '{}' cannot be written by this user. SQLite keeps files next "
                  "to the database (-wal, -shm, -owners); change the folder's permissions, or put the database "
                  "elsewhere",
                  folder, path));
}

constexpr std::size_t kHeaderBytes = 100;
constexpr std::string_view kMagic{"SQLite format 3\0", 16};
using Header = std::array<unsigned char, kHeaderBytes>;

std::uint32_t big_endian(const Header& header, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | header.at(offset + i);
  return value;
}

std::string quoted_beginning(const Header& header, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(bytes, 16); ++i) {
    const char character = static_cast<char>(header.at(i));
    text += character >= ' ' && character <= '~' ? character : '.';
  }
  return text;
}

bool has_content(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 && info.st_size > 0;
}

// Through SQLite's own handle: to open and close the file beside it would drop the locks of other connections.
sqlite3_file* file_of(Connection& connection) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  return file;
}

std::int64_t file_size(Connection& connection) {
  auto* file = file_of(connection);
  sqlite3_int64 bytes = 0;
  if (const int code = file->pMethods->xFileSize(file, &bytes); code != SQLITE_OK) connection.fail(code, "reading");
  // SQLite takes a file of one byte for an empty one, and would write over it.
  return bytes == 0 && size_of(connection.path()) == 1 ? 1 : bytes;
}

Header read_header(Connection& connection) {
  auto* file = file_of(connection);
  Header header{};
  const int code = file->pMethods->xRead(file, header.data(), kHeaderBytes, 0);
  if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) connection.fail(code, "reading");
  return header;
}

bool begins_with_magic(const Header& header) {
  return std::ranges::equal(kMagic, std::string_view(reinterpret_cast<const char*>(header.data()), kMagic.size()));
}

// By its first bytes: a file that is none is nobody's to touch.
bool is_log(const std::string& path) {
  std::array<char, 4> bytes{};
  std::ifstream(path, std::ios::binary).read(bytes.data(), bytes.size());
  const std::string_view begin(bytes.data(), bytes.size());
  return begin == "\x37\x7f\x06\x82" || begin == "\x37\x7f\x06\x83" || begin == "\xd9\xd5\x05\xf9";
}

void check_application(const std::string& path, std::int64_t id) {
  if (id == kApplicationId) return;
  throw refused(fmt::format("'{}' is an SQLite database of another application (application_id {}, not {}). {}", path,
                            id, kApplicationId, kGiveAnother));
}

// The header as it is with what the log holds; the log is played back if that is due.
std::int32_t check_restored_header(Connection& connection) {
  const auto version = connection.integer("PRAGMA user_version");
  if (file_size(connection) == 0) return 0;
  check_application(connection.path(), connection.integer("PRAGMA application_id"));
  check_version(connection.path(), version);
  return static_cast<std::int32_t>(version);
}

}  // namespace

Mount mount_of(const std::string& folder) {
  struct stat info{};
  if (stat(folder.c_str(), &info) != 0) return {};
  const auto device = fmt::format("{}:{}", major(info.st_dev), minor(info.st_dev));
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
    const auto third = line.find(' ', line.find(' ') + 1) + 1;
    const auto separator = line.find(" - ");
    if (separator == std::string::npos || line.compare(third, device.size() + 1, device + ' ') != 0) continue;
    const auto type = separator + 3;
    return {.type = line.substr(type, line.find(' ', type) - type), .options = line.substr(line.rfind(' ') + 1)};
  }
  return {};
}

std::optional<std::string_view> risk_of(const Mount& mount) {
  if (mount.type == "tmpfs" || mount.type == "ramfs")
    return "is memory: whatever is in it is gone when the machine restarts";
  if (mount.type == "overlay") return "is a layer of a container: whatever is in it is gone with the container";
  for (const std::string_view option : {"nobarrier", "barrier=0"})
    if (fmt::format(",{},", mount.options).find(fmt::format(",{},", option)) != std::string::npos)
      return "is mounted without write barriers: a loss of power may take what was acknowledged";
  return std::nullopt;
}

std::optional<std::string_view> network_file_system(std::uint64_t magic, std::string_view mount_type) {
  constexpr std::uint64_t kFuse = 0x65735546;
  constexpr std::array<std::pair<std::uint64_t, std::string_view>, 10> kNetwork{{{0x6969, "NFS"},
                                                                                 {0x517B, "SMB"},
                                                                                 {0xFF534D42, "CIFS"},
                                                                                 {0xFE534D42, "SMB2"},
                                                                                 {0x5346414F, "AFS"},
                                                                                 {0x6B414653, "AFS"},
                                                                                 {0x73757245, "Coda"},
                                                                                 {0x00C36400, "CephFS"},
                                                                                 {0x0BD00BD0, "Lustre"},
                                                                                 {0x01021997, "9P"}}};
  // FUSE serves local file systems as well; those that are known to reach over a network are refused.
  constexpr std::array<std::string_view, 9> kFuseNetwork{"fuse.sshfs",     "fuse.rclone",  "fuse.s3fs",
                                                         "fuse.glusterfs", "fuse.ceph",    "fuse.davfs",
                                                         "fuse.curlftpfs", "fuse.gcsfuse", "fuse.goofys"};
  if (magic == kFuse) {
    const auto found = std::ranges::find(kFuseNetwork, mount_type);
    return found == kFuseNetwork.end() ? std::nullopt : std::optional(*found);
  }
  const auto found = std::ranges::find(kNetwork, magic, [](const auto& entry) { return entry.first; });
  return found == kNetwork.end() ? std::nullopt : std::optional(found->second);
}

std::string check_location(const OpenOptions& options) {
  if (options.location.empty())
    throw refused("no database was named: give the path of a file, for example 'workflows.db'");
  std::error_code error;
  const auto canonical = fs::weakly_canonical(fs::absolute(options.location), error);
  const std::string path = error ? options.location : canonical.string();
  const std::string folder = fs::path(path).parent_path().string();

  struct stat info{};
  if (stat(path.c_str(), &info) == 0 || errno != ENOENT)
    check_existing(path, options);
  else
    check_missing(path, folder, options);
  if (!options.read_only) check_folder(path, folder);
  check_file_system(path, folder);
  return path;
}

void create_file(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file >= 0)
    close(file);
  else if (errno != EEXIST)
    throw refused(fmt::format("'{}' cannot be made: {}. Check its folder, or put the database elsewhere", path,
                              std::strerror(errno)));
}

std::int32_t check_header(Connection& connection) {
  const auto bytes = file_size(connection);
  if (bytes == 0) return 0;
  const Header header = read_header(connection);
  const auto& path = connection.path();
  if (!begins_with_magic(header)) {
    // A power loss may have torn it while a log was moved into the file: then the log still has it.
    if (is_log(path + "-wal") || is_log(path + "-journal")) return check_restored_header(connection);
    throw refused(fmt::format("'{}' is not a database: it is a file of another kind, which begins with \"{}\". {}",
                              path, quoted_beginning(header, static_cast<std::size_t>(bytes)), kGiveAnother));
  }
  if (bytes < static_cast<std::int64_t>(kHeaderBytes))
    throw refused(ErrorCode::store_corrupt,
                  fmt::format("'{}' is truncated: it has only {} bytes. Restore it from a backup. Nothing was changed",
                              path, bytes));
  check_application(path, big_endian(header, 68));
  const auto version = static_cast<std::int32_t>(big_endian(header, 60));
  check_version(path, version);
  return version;
}

void check_length(Connection& connection) {
  const auto& path = connection.path();
  // What is missing may be in a journal.
  if (has_content(path + "-wal") || has_content(path + "-journal")) return;
  const Header header = read_header(connection);
  const std::int64_t raw = header.at(16) << 8 | header.at(17);
  const std::int64_t page = raw == 1 ? 65536 : raw;
  const std::int64_t expected = page * big_endian(header, 28);
  const std::int64_t bytes = file_size(connection);
  if (bytes >= expected) return;
  throw refused(
      ErrorCode::store_corrupt,
      fmt::format("'{}' is truncated: it has {} bytes and should have {}. Restore it from a backup. Nothing was "
                  "changed",
                  path, bytes, expected));
}

void check_version(const std::string& path, std::int64_t version) {
  if (version >= 0 && version <= current_version()) return;
  throw refused(ErrorCode::store_version,
                fmt::format("'{}' has format version {}; this library knows versions up to {}. Upgrade the library, or "
                            "use the version that wrote the file. Nothing was changed",
                            path, version, current_version()));
}

}  // namespace workflows::storage::sqlite
