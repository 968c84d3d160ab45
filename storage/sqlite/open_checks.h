#pragma once
// What is looked at before a file is opened as a database, so that a wrong one is refused with a reason and left as it
// is (S45). Each check throws Failed.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/sqlite/connection.h"
#include "storage/store.h"

namespace workflows::storage::sqlite {

// The name of the network file system, if it is one: locks and shared memory do not work there. `magic` is f_type of
// statfs; `mount_type` is as in /proc/self/mountinfo and says what hides behind FUSE ("" if unknown).
std::optional<std::string_view> network_file_system(std::uint64_t magic, std::string_view mount_type);

// The file system that a folder lies on, in the words of /proc/self/mountinfo: "ext4", "rw,errors=continue". Empty: the
// kernel does not tell.
struct Mount {
  std::string type{};
  std::string options{};
};
Mount mount_of(const std::string& folder);
// What such a file system cannot keep although the disk is whole; absent: nothing is known against it.
std::optional<std::string_view> risk_of(const Mount& mount);

// Checks what can be seen without opening the file. Returns its path without symbolic links.
std::string check_location(const OpenOptions& options);

// Makes the file, empty and for this user alone, unless it exists.
void create_file(const std::string& path);

// Looks at the first bytes, before SQLite does. Returns the version of the format; 0: the file is empty.
std::int32_t check_header(Connection& connection);

// The file is as long as its header says. Requires: nobody writes.
void check_length(Connection& connection);

// The version is one that this library knows.
void check_version(const std::string& path, std::int64_t version);

}  // namespace workflows::storage::sqlite
