// Steps in C++: how many a second, how long one takes, how fast they are replayed.

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include <workflows/workflows.h>

#include "storage/sqlite/journal_appender.h"
#include "storage/sqlite/sql.h"
#include "storage/store.h"
#include "tests/bench/ceiling.h"
#include "tests/bench/rounds.h"
#include "tests/bench/wave.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace std::chrono_literals;
using namespace workflows::bench;
using workflows::testing::TempDir;

constexpr std::uint32_t kSteps = 10;
const std::string kGroupCommit = "bare group commit (A)";

// P1, P2
void many_instances(const Options& options) {
  struct Size {
    std::uint32_t instances;
    Series engine{};
    Series ceiling{};
  };
  std::vector<Size> sizes{{100}, {1'000}, {10'000}};
  Rounds rounds;
  for (Size& size : sizes) {
    const int waves = waves_of(size.instances);
    rounds.add([&size, waves] {
      const TempDir dir;
      size.engine.push_back(steps_per_second(dir.path() / "engine.db", size.instances, kSteps, waves));
    });
    rounds.add([&size, waves] {
      const TempDir dir;
      size.ceiling.push_back(bare_group_commit(dir.path() / "ceiling.db", size.instances, kSteps, waves));
    });
  }
  rounds.run(options.rounds);
  for (const Size& size : sizes) {
    Figure(size.instances == 1'000 ? "P1" : "P2", fmt::format("C++ steps/s, {} instances", size.instances), size.engine,
           "steps/s")
        .beside({size.ceiling, kGroupCommit})
        .against(ratio_at_least(0.3))
        .plotted("C++", size.instances)
        .print();
  }
}

// P3: seconds of each step of one instance alone.
Series serial_latencies(const std::string& path, int count) {
  Series took;
  workflows::Engine engine({.database = path});
  engine.add("grow_wal", grow_wal);
  engine.add("serial", [&](const workflows::Event&, workflows::Step& step) -> workflows::Workflow<int> {
    for (int i = 0; i < count; ++i) {
      auto one = step.do_("step", [] { return kResult; });
      const auto start = Steady::now();
      co_await one;
      took.push_back(seconds_since(start));
    }
    co_return 0;
  });
  engine.start();
  engine.create("grow_wal").result<int>();
  engine.create("serial").result<int>();
  return took;
}

void one_instance(const Options& options) {
  constexpr int kCount = 1'000;
  Series p50, p99, commit_p50, commit_p99;
  const auto note = [](const Series& took, Series& half, Series& tail) {
    half.push_back(percentile(took, 0.5) * 1e6);
    tail.push_back(percentile(took, 0.99) * 1e6);
  };
  Rounds rounds;
  rounds.add([&] {
    const TempDir dir;
    note(serial_latencies(dir.path() / "engine.db", kCount), p50, p99);
  });
  rounds.add([&] {
    const TempDir dir;
    note(single_commits(dir.path() / "ceiling.db", kCount), commit_p50, commit_p99);
  });
  rounds.run(options.rounds);
  Figure("P3", "C++ latency of a serial step, p50", p50, "us")
      .beside({commit_p50, "one-row commit (B)"})
      .against(ratio_at_most(1.25))
      .print();
  Figure("P3", "C++ latency of a serial step, p99", p99, "us").beside({commit_p99, "one-row commit (B)"}).print();
}

// P6: from the first call of `create_batch` until the end of the last instance is durable. Two threads create, for one
// alone has nothing to do while its batch is committed.
constexpr std::uint32_t kBatch = 250;
constexpr std::uint32_t kCreators = 2;
constexpr std::int64_t kRowsAtOnce = 10;  // as the engine creates them

double instances_per_second(const std::string& path, std::uint32_t count) {
  std::uint32_t ended = 0;
  std::string last;
  std::binary_semaphore all_ended{0};
  workflows::Engine engine({.database = path});
  engine.add("grow_wal", grow_wal);
  engine.add("one", [&](const workflows::Event& event, workflows::Step& step) -> workflows::Workflow<int> {
    auto one = step.do_("step", [] { return kResult; });
    co_await one;
    if (++ended == count) {
      last = event.instance_id;
      all_ended.release();
    }
    co_return 0;
  });
  engine.start();
  engine.create("grow_wal").result<int>();
  const auto start = Steady::now();
  const std::vector<workflows::NewInstance<int>> batch(kBatch);
  {
    std::vector<std::jthread> creators(kCreators);
    for (std::jthread& creator : creators) {
      creator = std::jthread([&] {
        for (std::uint32_t made = 0; made < count / kCreators; made += kBatch) engine.create_batch("one", batch);
      });
    }
  }
  all_ended.acquire();
  engine.get("one", last).result<int>();
  return count / seconds_since(start);
}

// The least that SQLite does for such an instance: its row, the entries of its step and its end, and the row again, by
// the engine's own statements on one thread, with nobody to wait for.
double bare_instances_per_second(const std::string& path, std::uint32_t count) {
  namespace sqlite = workflows::storage::sqlite;
  workflows::storage::open_database({.location = path}).value();
  sqlite::Connection connection(path, sqlite::Connection::Mode::read_write, 1s);
  connection.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000", "preparing");
  sqlite::JournalAppender journal(connection);
  const workflows::Entry step{.kind = workflows::EntryKind::step_completed, .name = "step", .value = kResult};
  const workflows::Entry end{.kind = workflows::EntryKind::instance_completed, .value = "0"};
  const auto in_transaction = [&](const auto& work) {
    connection.control("BEGIN IMMEDIATE", "");
    for (std::int64_t i = 0; i < kBatch; ++i) work(i);
    journal.flush();
    connection.control("COMMIT", "");
  };
  auto start = Steady::now();
  for (std::int64_t first = 1; first <= 2 * std::int64_t{count}; first += kBatch) {
    if (first == count + 1) start = Steady::now();  // the WAL has its full size
    in_transaction([&](std::int64_t i) {
      if (i % kRowsAtOnce != 0) return;
      std::array<std::string, kRowsAtOnce> ids;
      sqlite::Query query(connection, sqlite::sql::kCreateTen);
      for (std::string& id : ids) {
        id = workflows::make_instance_id(workflows::TimePoint(workflows::Millis(first + i)));
        query.bind_next(1, id, 1, 1, 1, 1, 1, nullptr, "null", nullptr, nullptr);
      }
      query.run();
    });
    in_transaction([&](std::int64_t i) { journal.append(first + i, 0, step); });
    in_transaction([&](std::int64_t i) {
      const auto head = journal.append(first + i, journal.last() - kBatch, end);
      sqlite::Query(connection, sqlite::sql::kFinish, first + i, 16, 1, head).run();
    });
  }
  return count / seconds_since(start);
}

void whole_instances(const Options& options) {
  constexpr std::uint32_t kCount = 50'000;
  Series engine, floor, ceiling;
  Rounds rounds;
  rounds.add([&] {
    const TempDir dir;
    engine.push_back(instances_per_second(dir.path() / "engine.db", kCount));
  });
  rounds.add([&] {
    const TempDir dir;
    floor.push_back(bare_instances_per_second(dir.path() / "floor.db", kCount));
  });
  rounds.add([&] {
    const TempDir dir;
    ceiling.push_back(bare_group_commit(dir.path() / "ceiling.db", 1'000, kSteps, waves_of(1'000)));
  });
  rounds.run(options.rounds);
  Figure("P6", "C++ instances created and completed, one step each, created 250 at a time by two threads", engine,
         "instances/s")
      .beside({ceiling, kGroupCommit})
      .against(ratio_at_least(0.15))
      .print();
  Figure("P6", "the rows of such instances alone, without an engine", floor, "instances/s")
      .beside({ceiling, kGroupCommit})
      .print();
}

// P7: one instance is woken by an event again and again. Each time its code runs over all that is recorded.
class Replay {
 public:
  explicit Replay(const std::string& path) : engine_({.database = path, .hibernate_after = 1ms}) {
    engine_.add("long", [this](const workflows::Event&, workflows::Step& step) { return code(step); });
    engine_.start();
    instance_.emplace(engine_.create("long"));
  }

  // Appends steps per second in the code alone, and from the event to the end of the replay.
  void run(Series& in_code, Series& from_file) {
    while (engine_.counters().hibernated_instances == 0) std::this_thread::sleep_for(10ms);
    const auto start = Steady::now();
    instance_->send_event("again", ++round_);
    received_.acquire();
    in_code.push_back(kRecorded / std::chrono::duration<double>(ended_ - began_).count());
    from_file.push_back(kRecorded / std::chrono::duration<double>(ended_ - start).count());
  }

 private:
  static constexpr int kRecorded = 9'000;

  workflows::Workflow<int> code(workflows::Step& step) {
    began_ = Steady::now();
    for (int i = 0; i < kRecorded; ++i) {
      auto one = step.do_("step", [] { return kResult; });
      co_await one;
    }
    ended_ = Steady::now();
    while (true) {
      const auto again = co_await step.wait_for_event<int>("again", "again");
      if (again.payload == round_) received_.release();
    }
  }

  workflows::Engine engine_;
  std::optional<workflows::InstanceHandle> instance_;
  std::atomic<int> round_ = 0;
  Steady::time_point began_;
  Steady::time_point ended_;
  std::binary_semaphore received_{0};
};

void replay(const Options& options) {
  const TempDir dir;
  Replay replay(dir.path() / "engine.db");
  Series in_code, from_file;
  for (int round = 0; round < options.rounds + 2; ++round) replay.run(in_code, from_file);
  Figure("P7", "C++ replay, recorded steps handed to the code", in_code, "steps/s")
      .against(value_at_least(2e6))
      .print();
  Figure("P7", "C++ replay, reading the file included", from_file, "steps/s").print();
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = options_of(argc, argv);
  options.run("P1 P2", many_instances);
  options.run("P3", one_instance);
  options.run("P6", whole_instances);
  options.run("P7", replay);
}
