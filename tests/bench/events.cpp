// P11: events from another process, and what an engine that waits for them costs.

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <random>
#include <semaphore>
#include <string>
#include <thread>

#include <workflows/workflows.h>

#include "tests/bench/child.h"
#include "tests/bench/rounds.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace std::chrono_literals;
using namespace workflows::bench;
using workflows::testing::TempDir;

constexpr int kEvents = 200;

// Of the clock that all processes of the machine share.
std::int64_t nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Steady::now().time_since_epoch()).count();
}

// At moments that have nothing to do with the engine's.
void send_events(const std::string& path) {
  while (!std::filesystem::exists(path)) std::this_thread::sleep_for(50ms);
  workflows::Client client({.database = path});
  while (!client.exists("listener", "go")) std::this_thread::sleep_for(50ms);
  std::mt19937 random(1);
  std::uniform_int_distribution<int> pause(2'000, 20'000);
  for (int i = 0; i < kEvents; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(pause(random)));
    client.send_event({.workflow = "listener", .id = "ears", .type = "tick", .payload = std::to_string(nanoseconds())});
  }
}

pid_t start_sender(const std::string& path) {
  const pid_t sender = ::fork();
  if (sender != 0) return sender;
  try {
    send_events(path);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "benchmark: %s\n", error.what());
    ::_exit(1);
  }
  ::_exit(0);
}

struct Figures {
  Series p50, p99, idle;
};

void listen(const std::string& path, Figures& figures) {
  const pid_t sender = start_sender(path);  // before this process has threads
  Series took;
  std::binary_semaphore all_came{0};
  workflows::Engine engine({.database = path});
  engine.add("listener", [&](const workflows::Event& event, workflows::Step& step) -> workflows::Workflow<int> {
    if (event.instance_id == "go") co_return 0;
    for (int i = 0; i < kEvents; ++i) {
      const auto tick = co_await step.wait_for_event<std::int64_t>("tick", "tick");
      took.push_back(static_cast<double>(nanoseconds() - tick.payload) / 1e6);
    }
    all_came.release();
    co_return 0;
  });
  engine.start();
  engine.create("listener", 0, {.id = "ears"});
  std::this_thread::sleep_for(500ms);
  const double cpu = cpu_seconds();
  std::this_thread::sleep_for(3s);
  figures.idle.push_back((cpu_seconds() - cpu) / 3 * 100);
  engine.create("listener", 0, {.id = "go"});
  all_came.acquire();
  figures.p50.push_back(percentile(took, 0.5));
  figures.p99.push_back(percentile(took, 0.99));
  ::waitpid(sender, nullptr, 0);
}

void events(const Options& options) {
  Figures figures;
  for (int round = 0; round < options.rounds; ++round) {
    const TempDir dir;
    listen(dir.path() / "engine.db", figures);
  }
  Figure("P11", "C++ event from another process to the waiting code, p50", figures.p50, "ms")
      .against(value_at_most(5))
      .print();
  Figure("P11", "C++ event from another process to the waiting code, p99", figures.p99, "ms")
      .against(value_at_most(50))
      .print();
  Figure("P11", "C++ CPU of one core while waiting", figures.idle, "%").against(value_at_most(1)).print();
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = options_of(argc, argv);
  options.run("P11", events);
}
