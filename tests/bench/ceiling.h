#pragma once
// What the disk and SQLite allow without an engine: the yardstick of the same run.

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace workflows::bench {

using Steady = std::chrono::steady_clock;

inline double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

inline double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values.at(static_cast<std::size_t>(share * static_cast<double>(values.size() - 1)));
}

// An append-only table in WAL mode, synchronous FULL, one prepared insert.
class AppendLog {
 public:
  explicit AppendLog(const std::string& path) {
    check(sqlite3_open(path.c_str(), &db_));
    execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4000;"
        "CREATE TABLE log(seq INTEGER PRIMARY KEY, instance INTEGER, payload TEXT)");
    check(sqlite3_prepare_v2(db_, "INSERT INTO log(instance, payload) VALUES(?1, ?2)", -1, &insert_, nullptr));
  }
  ~AppendLog() {
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }
  AppendLog(const AppendLog&) = delete;
  AppendLog& operator=(const AppendLog&) = delete;

  void append(const std::vector<std::uint32_t>& instances) {
    static const std::string payload(64, 'x');
    execute("BEGIN IMMEDIATE");
    for (const std::uint32_t instance : instances) {
      sqlite3_bind_int64(insert_, 1, instance);
      sqlite3_bind_text(insert_, 2, payload.data(), static_cast<int>(payload.size()), SQLITE_STATIC);
      sqlite3_step(insert_);
      sqlite3_reset(insert_);
    }
    execute("COMMIT");
  }

 private:
  static void check(int code) {
    if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errstr(code));
  }
  void execute(const char* sql) { check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr)); }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

// (A) Bare group commit: `instances` producers on one thread append `steps` rows each, one after the other, through one
// writer thread. Returns rows per second.
inline double bare_group_commit(const std::string& path, std::uint32_t instances, std::uint32_t steps) {
  AppendLog log(path);
  std::mutex mutex;
  std::condition_variable to_writer;
  std::condition_variable to_producers;
  std::vector<std::uint32_t> asked;
  std::vector<std::uint32_t> done;
  bool over = false;
  std::thread writer([&] {
    std::vector<std::uint32_t> batch;
    for (;;) {
      {
        std::unique_lock lock(mutex);
        to_writer.wait(lock, [&] { return over || !asked.empty(); });
        if (asked.empty()) return;
        batch.swap(asked);
      }
      log.append(batch);
      {
        const std::lock_guard lock(mutex);
        done.insert(done.end(), batch.begin(), batch.end());
      }
      to_producers.notify_one();
      batch.clear();
    }
  });
  std::vector<std::uint32_t> left(instances, steps);
  std::vector<std::uint32_t> next(instances);
  for (std::uint32_t i = 0; i < instances; ++i) next[i] = i;
  const auto start = Steady::now();
  for (std::uint64_t open = std::uint64_t{instances} * steps; open > 0;) {
    {
      const std::lock_guard lock(mutex);
      asked.insert(asked.end(), next.begin(), next.end());
    }
    to_writer.notify_one();
    next.clear();
    std::vector<std::uint32_t> finished;
    {
      std::unique_lock lock(mutex);
      to_producers.wait(lock, [&] { return !done.empty(); });
      finished.swap(done);
    }
    open -= finished.size();
    for (const std::uint32_t instance : finished) {
      if (--left[instance] > 0) next.push_back(instance);
    }
  }
  const double rate = instances * static_cast<double>(steps) / seconds_since(start);
  {
    const std::lock_guard lock(mutex);
    over = true;
  }
  to_writer.notify_one();
  writer.join();
  return rate;
}

// (B) One row, one commit, WAL grown before. Returns seconds each.
inline std::vector<double> single_commits(const std::string& path, int count) {
  AppendLog log(path);
  for (int i = 0; i < 1'000; ++i) log.append({0});
  std::vector<double> took;
  for (int i = 0; i < count; ++i) {
    const auto start = Steady::now();
    log.append({0});
    took.push_back(seconds_since(start));
  }
  return took;
}

}  // namespace workflows::bench
