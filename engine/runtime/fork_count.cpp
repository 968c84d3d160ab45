#include "engine/runtime/fork_count.h"

#include <pthread.h>

#include <atomic>

namespace workflows::runtime {
namespace {

std::atomic<std::uint32_t> forks = 0;

// Before the first engine, nobody needs to know.
const int kRegistered = ::pthread_atfork(nullptr, nullptr, [] { ++forks; });

}  // namespace

std::uint32_t fork_count() noexcept { return kRegistered == 0 ? forks.load(std::memory_order_relaxed) : 0; }

}  // namespace workflows::runtime
