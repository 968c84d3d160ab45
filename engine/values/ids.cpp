#include <workflows/host.h>

#include <fmt/format.h>

#include <random>

#include "engine/values/mutex.h"

namespace workflows {
namespace {

values::Mutex mutex;

// Every bit comes from the operating system: nothing is inherited over `fork` that could repeat an id.
std::uint64_t random_bits() REQUIRES(mutex) {
  static std::random_device device GUARDED_BY(mutex);
  return (std::uint64_t{device()} << 32u) | device();
}

// The 12 bits behind the millisecond (RFC 9562, method 1): ids of one millisecond count up from a random start with the
// top bit clear. After 2,048 ids or more within one millisecond the order is lost, uniqueness is not.
std::uint64_t sequence_in(std::uint64_t ms) REQUIRES(mutex) {
  static std::uint64_t last_ms GUARDED_BY(mutex) = 0;
  static std::uint64_t sequence GUARDED_BY(mutex) = 0;
  sequence = ms == last_ms ? sequence + 1 : random_bits() & 0x7FFu;
  last_ms = ms;
  return sequence & 0xFFFu;
}

}  // namespace

std::string make_instance_id(TimePoint now) {
  const values::MutexLock lock(mutex);
  const std::uint64_t ms = static_cast<std::uint64_t>(now.time_since_epoch().count()) & 0xFFFF'FFFF'FFFFu;
  const std::uint64_t sequence = sequence_in(ms);
  const std::uint64_t random = random_bits();
  return fmt::format("{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}", ms >> 16u, ms & 0xFFFFu, sequence,
                     0x8000u | ((random >> 48u) & 0x3FFFu), random & 0xFFFF'FFFF'FFFFu);
}

}  // namespace workflows
