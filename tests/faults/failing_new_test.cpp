// Any one allocation of the engine fails. It goes on, or stops with an error that names memory; the process lives, and
// opened again the file has everything that was acknowledged (S44).

#include <gtest/gtest.h>
#include <workflows/maintenance.h>
#include <workflows/workflows.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <new>
#include <optional>
#include <string>

#include "tests/faults/damage.h"

namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> failing{0};  // 0: none

void* allocate(std::size_t bytes) {
  if (failing != 0 && ++allocations == failing) throw std::bad_alloc();
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace workflows::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;

// A body may be what memory runs out for.
const StepOptions kRetried{.retries = {.limit = 5, .delay = 1ms}};

Workflow<int> order(const Event& event, Step& step) {
  const int number = event.payload<int>();
  auto first = step.do_("first", kRetried, [] { return 1; });
  auto second = step.do_("a second one, whose name is long", kRetried, [] { return std::string(300, 'x'); });
  const auto [one, text] = co_await when_all(first, second);
  const auto paid = co_await step.wait_for_event<int>("payment", "paid");
  auto last = step.do_("last", kRetried, [number] { return number; });
  co_return one + paid.payload + co_await last;
}

constexpr int kOrders = 2;
constexpr int kPaid = 10;

int output_of(int number) { return 1 + kPaid + number; }

// On a plain disk: that of the other tests allocates beneath SQLite, which knows no exceptions.
class FailingNew : public ::testing::Test {
 protected:
  struct Acknowledged {
    bool created = false;
    bool paid = false;
    std::optional<int> result;
  };

  std::string path() const { return folder_.path() / "test.db"; }

  // One thread for bodies: Boost.Asio's pool waits for ever for its first thread when it cannot make the second one.
  std::unique_ptr<Engine> start() const {
    auto engine = std::make_unique<Engine>(EngineOptions{.database = path(), .pool_size = 1});
    engine->add("order", &order);
    engine->start();
    return engine;
  }

  // Whatever an engine out of memory says, it says it by an exception of these two kinds.
  template <class Work>
  void attempt(Work work) {
    try {
      work();
    } catch (const WorkflowsError& error) { error_ = error.what(); } catch (const std::bad_alloc&) {
      error_ = "memory ran out";
    }
  }

  void work(Engine& engine, int number) {
    const std::string id = "order-" + std::to_string(number);
    Acknowledged& known = acknowledged_[number];
    auto instance = engine.create("order", number, {.id = id});
    known.created = true;
    instance.send_event("paid", kPaid, "payment");
    known.paid = true;
    known.result = instance.result<int>(kPatience);
  }

  // True if an allocation failed.
  bool run_out(std::uint64_t nth) {
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) std::filesystem::remove(file);
    acknowledged_.clear();
    error_.clear();
    allocations = 0;
    failing = nth;
    attempt([&] {
      const auto engine = start();
      for (int number = 1; number <= kOrders; ++number) attempt([&] { work(*engine, number); });
      attempt([&] { engine->close(); });
    });
    failing = 0;
    return allocations >= nth;
  }

  void look_again() {
    {
      const auto engine = start();
      for (auto& [number, known] : acknowledged_) {
        if (!known.created) continue;
        const auto instance = engine->get("order", "order-" + std::to_string(number));
        // The event may be there although nobody was told.
        attempt([&] { instance.send_event("paid", kPaid, "payment"); });
        EXPECT_EQ(instance.result<int>(kPatience), output_of(number));
        EXPECT_EQ(known.result.value_or(output_of(number)), output_of(number));
      }
    }
    Maintenance maintenance({.database = path()});
    for (const auto& finding : maintenance.check(TimePoint(), [](std::string_view) {}))
      EXPECT_EQ(finding.severity, Finding::Severity::note) << finding.message;
  }

  TempDir folder_;
  std::map<int, Acknowledged> acknowledged_;
  std::string error_;
};

TEST_F(FailingNew, S44_WhicheverAllocationFailsNothingAcknowledgedIsLost) {
  int stopped = 0;
  const std::uint64_t stride = is_long() ? 1 : 7;
  for (std::uint64_t nth = 1; run_out(nth); nth += stride) {
    SCOPED_TRACE(::testing::Message() << "allocation " << nth << ": " << error_);
    EXPECT_TRUE(error_.empty() || error_.find("memory ran out") != std::string::npos);
    stopped += error_.empty() ? 0 : 1;
    look_again();
    if (HasFailure()) return;
  }
  EXPECT_GT(stopped, 10);
}

}  // namespace
}  // namespace workflows::testing
