// What grows: graphs, long instances, payloads and the file. The cost of a step should not grow with them.

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <workflows/workflows.h>

#include "tests/bench/rounds.h"
#include "tests/bench/wave.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace std::chrono_literals;
using namespace workflows::bench;
using workflows::testing::TempDir;
using Code = workflows::Workflow<int> (*)(const workflows::Event&, workflows::Step&);

// ---- P13: the shape of an instance

workflows::Workflow<int> serial(const workflows::Event& event, workflows::Step& step) {
  const int count = event.payload<int>();
  for (int i = 0; i < count; ++i) {
    auto one = step.do_("step", [] { return 1; });
    co_await one;
  }
  co_return 0;
}

// All but the last are independent; the last needs them all.
workflows::Workflow<int> wide(const workflows::Event& event, workflows::Step& step) {
  const int count = event.payload<int>();
  std::vector<workflows::DeclaredStep<int>> all;
  for (int i = 1; i < count; ++i) all.push_back(step.do_("part", [] { return 1; }));
  auto last = step.do_("last", workflows::depends(all), [](const std::vector<int>&) { return 1; });
  co_return co_await last;
}

// Each needs the one before it.
workflows::Workflow<int> deep(const workflows::Event& event, workflows::Step& step) {
  const int count = event.payload<int>();
  auto last = step.do_("first", [] { return 1; });
  for (int i = 1; i < count; ++i) last = step.do_("next", workflows::depends(last), [](int) { return 1; });
  co_return co_await last;
}

// Microseconds a step of one instance, from its creation to its end.
double cost_of_a_step(const std::string& path, Code code, int count) {
  workflows::Engine engine({.database = path});
  engine.add("grow_wal", grow_wal);
  engine.add("shape", code);
  engine.start();
  engine.create("grow_wal").result<int>();
  const auto start = Steady::now();
  engine.create("shape", count).result<int>();
  return seconds_since(start) / count * 1e6;
}

void shapes(const Options& options) {
  constexpr int kLarge = 10'000;  // the default step_limit
  constexpr int kSmall = 1'000;
  struct Shape {
    const char* what;
    Code code;
    Series large{};
    Series small{};
  };
  std::vector<Shape> shapes{{"graph of 10000 steps, wide", wide},
                            {"graph of 10000 steps, deep", deep},
                            {"instance of 10000 serial steps", serial}};
  Rounds rounds;
  for (Shape& shape : shapes) {
    rounds.add([&shape] {
      const TempDir dir;
      shape.large.push_back(cost_of_a_step(dir.path() / "engine.db", shape.code, kLarge));
    });
    rounds.add([&shape] {
      const TempDir dir;
      shape.small.push_back(cost_of_a_step(dir.path() / "engine.db", shape.code, kSmall));
    });
  }
  rounds.run(options.rounds);
  for (const Shape& shape : shapes) {
    Figure("P13", fmt::format("C++ {}", shape.what), shape.large, "us/step")
        .beside({shape.small, "the same with 1000 steps"})
        .against(ratio_at_most(1.5))
        .print();
  }
}

// ---- P13: payloads

// Bytes that this process has given to the system to write.
double written_bytes() {
  std::ifstream io("/proc/self/io");
  for (std::string word; io >> word;) {
    double bytes = 0;
    if (word != "wchar:") continue;
    io >> bytes;
    return bytes;
  }
  return 0;
}

// Every payload consists of this letter, which is rare in all else that is written.
constexpr char kLetter = 'x';
std::atomic<std::int64_t> letters_written = 0;

ssize_t counting_pwrite(int file, const void* data, std::size_t size, off_t at) {
  const std::string_view text(static_cast<const char*>(data), size);
  letters_written += std::ranges::count(text, kLetter);
  return ::pwrite(file, data, size, at);
}

// SQLite writes with one of the two, which are the same here.
void count_letters() {
  sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
  for (const char* name : {"pwrite", "pwrite64"})
    vfs->xSetSystemCall(vfs, name, reinterpret_cast<sqlite3_syscall_ptr>(&counting_pwrite));
}

// Moves what still is in the WAL to where it stays.
void write_out(const std::string& path) {
  sqlite3* db = nullptr;
  sqlite3_open(path.c_str(), &db);
  const int code = sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errstr(code));
}

struct Payload {
  const char* name;
  std::size_t bytes;  // as JSON
  int instances;
  int steps;
  Series milliseconds{};  // a MiB
  Series written{};       // times that each of its bytes was
  Series in_all{};        // bytes for each of its bytes, with all that surrounds them
};

void write_payloads(const std::string& path, Payload& payload) {
  const double before = written_bytes();
  letters_written = 0;
  const auto start = Steady::now();
  workflows::Engine engine({.database = path});
  engine.add("payloads", [&](const workflows::Event&, workflows::Step& step) -> workflows::Workflow<int> {
    for (int i = 0; i < payload.steps; ++i) {
      auto large = step.do_("large", [&] { return std::string(payload.bytes - 2, kLetter); });
      co_await large;
    }
    co_return 0;
  });
  engine.start();
  std::vector<workflows::InstanceHandle> all;
  for (int i = 0; i < payload.instances; ++i) all.push_back(engine.create("payloads"));
  for (const auto& instance : all) instance.result<int>();
  const double seconds = seconds_since(start);
  engine.close();
  write_out(path);
  const double bytes = static_cast<double>(payload.bytes) * payload.instances * payload.steps;
  payload.milliseconds.push_back(seconds * 1e3 / (bytes / (1 << 20)));
  payload.written.push_back(static_cast<double>(letters_written) / bytes);
  payload.in_all.push_back((written_bytes() - before) / bytes);
}

void payloads(const Options& options) {
  std::vector<Payload> payloads{{"1 KiB", 1 << 10, 320, 100}, {"64 KiB", 64 << 10, 50, 10}, {"1 MiB", 1 << 20, 8, 5}};
  count_letters();
  Rounds rounds;
  for (Payload& payload : payloads) {
    rounds.add([&payload] {
      const TempDir dir;
      write_payloads(dir.path() / "engine.db", payload);
    });
  }
  rounds.run(options.rounds);
  const Payload& smallest = payloads.front();
  for (const Payload& payload : payloads) {
    Figure cost("P13", fmt::format("C++ payloads of {}, time", payload.name), payload.milliseconds, "ms/MiB");
    if (&payload != &smallest) cost.beside({smallest.milliseconds, "payloads of 1 KiB"}).against(ratio_at_most(1.5));
    cost.print();
    Figure("P13", fmt::format("C++ payloads of {}, times that each of their bytes is written", payload.name),
           payload.written, "times")
        .against(value_at_most(2))
        .print();
    Figure("P13", fmt::format("C++ payloads of {}, bytes written in all, for each", payload.name), payload.in_all,
           "bytes")
        .print();
  }
}

// ---- P14: the file

constexpr std::uint32_t kInstances = 1'000;

// Bytes a step of the whole file.
double fill(const std::string& path, int million_steps) {
  workflows::Engine engine({.database = path, .hibernate_after = 24h});
  Wave wave(engine);
  engine.start();
  for (int million = 0; million < million_steps; ++million) wave.run(kInstances, 1'000);
  engine.close();
  write_out(path);
  return static_cast<double>(std::filesystem::file_size(path)) / (million_steps * 1e6);
}

void file(const Options& options) {
  const int million_steps = options.full ? 10 : 1;
  const TempDir full;
  const Series growth{fill(full.path() / "engine.db", million_steps)};
  Series filled, empty;
  Rounds rounds;
  rounds.add([&] { filled.push_back(steps_per_second(full.path() / "engine.db", kInstances, 10, 3)); });
  rounds.add([&] {
    const TempDir dir;
    empty.push_back(steps_per_second(dir.path() / "engine.db", kInstances, 10, 3));
  });
  rounds.run(options.rounds);
  Figure("P14", "C++ file, steps of 64 bytes", growth, "bytes/step").print();
  Figure("P14", fmt::format("C++ steps/s, {} M steps in the file, 1000 instances", million_steps), filled, "steps/s")
      .beside({empty, "an empty file"})
      .against(ratio_at_least(0.7))
      .print();
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = options_of(argc, argv);
  options.run("P13", shapes);
  options.run("P13", payloads);
  options.run("P14", file);
}
