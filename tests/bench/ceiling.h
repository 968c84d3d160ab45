#pragma once
// What the disk and SQLite allow without an engine: the yardsticks A and B. Yardstick C is in ceiling.py.

#include <sqlite3.h>

#include <algorithm>
#include <condition_variable>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/rounds.h"

namespace workflows::bench {

inline constexpr int kPayloadBytes = 64;

// An append-only table in WAL mode, synchronous FULL, one prepared insert. The WAL is grown beforehand, because writing
// into blocks that the file already has is much cheaper than making it longer.
class AppendLog {
 public:
  explicit AppendLog(const std::string& path) {
    static const int without_lock_per_allocation = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);  // as the engine does
    (void)without_lock_per_allocation;
    check(
        sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr));
    execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000;"
        "CREATE TABLE log(seq INTEGER PRIMARY KEY, instance INTEGER, payload TEXT)");
    check(sqlite3_prepare_v2(db_, "INSERT INTO log(instance, payload) VALUES(?1, ?2)", -1, &insert_, nullptr));
    execute("PRAGMA wal_autocheckpoint=0");
    append(std::vector<std::uint32_t>(100'000));
    execute("PRAGMA wal_checkpoint(RESTART); PRAGMA wal_autocheckpoint=2000");
    append({0});
  }
  ~AppendLog() {
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }
  AppendLog(const AppendLog&) = delete;
  AppendLog& operator=(const AppendLog&) = delete;

  void append(const std::vector<std::uint32_t>& instances) {
    static const std::string payload(kPayloadBytes, 'x');
    execute("BEGIN IMMEDIATE");
    for (const std::uint32_t instance : instances) {
      sqlite3_bind_int64(insert_, 1, instance);
      sqlite3_bind_text(insert_, 2, payload.data(), kPayloadBytes, SQLITE_STATIC);
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

// (A) Coroutines on one thread, each of which appends one row after the other and goes on when the row is durable; one
// writer thread, which commits together what has gathered while it committed before.
class GroupCommit {
 public:
  explicit GroupCommit(const std::string& path) : log_(path), writer_([this] { write(); }) {}
  ~GroupCommit() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    to_writer_.notify_one();
    writer_.join();
  }
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // Rows per second.
  double run(std::uint32_t instances, std::uint32_t steps) {
    std::vector<std::coroutine_handle<>> ready;
    for (std::uint32_t i = 0; i < instances; ++i) ready.push_back(producer(i, steps).frame);
    open_ = instances;
    const auto start = Steady::now();
    while (true) {
      for (const auto code : ready) code.resume();
      if (open_ == 0) break;
      hand_over();
      take_durable(ready);
    }
    return instances * static_cast<double>(steps) / seconds_since(start);
  }

 private:
  struct Producer {
    struct promise_type {
      Producer get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_always initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() { std::terminate(); }
    };
    std::coroutine_handle<> frame;
  };
  struct Append {
    GroupCommit& log;
    std::uint32_t instance;
    std::coroutine_handle<> code{};
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      code = handle;
      log.collected_.push_back(this);
    }
    void await_resume() const noexcept {}
  };

  Producer producer(std::uint32_t instance, std::uint32_t steps) {
    for (std::uint32_t i = 0; i < steps; ++i) {
      Append append{*this, instance};
      co_await append;
    }
    --open_;
  }

  void hand_over() {
    {
      const std::lock_guard lock(mutex_);
      asked_.insert(asked_.end(), collected_.begin(), collected_.end());
    }
    collected_.clear();
    to_writer_.notify_one();
  }

  void take_durable(std::vector<std::coroutine_handle<>>& ready) {
    std::unique_lock lock(mutex_);
    to_producers_.wait(lock, [&] { return !done_.empty(); });
    ready.clear();
    for (const Append* append : done_) ready.push_back(append->code);
    done_.clear();
  }

  void write() {
    std::vector<Append*> batch;
    std::vector<std::uint32_t> instances;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        to_writer_.wait(lock, [&] { return over_ || !asked_.empty(); });
        if (asked_.empty()) return;
        batch.swap(asked_);
      }
      for (const Append* append : batch) instances.push_back(append->instance);
      log_.append(instances);
      {
        const std::lock_guard lock(mutex_);
        done_.insert(done_.end(), batch.begin(), batch.end());
      }
      to_producers_.notify_one();
      batch.clear();
      instances.clear();
    }
  }

  AppendLog log_;
  std::uint32_t open_ = 0;          // producers that have not ended
  std::vector<Append*> collected_;  // of this turn
  std::mutex mutex_;
  std::condition_variable to_writer_;
  std::condition_variable to_producers_;
  std::vector<Append*> asked_;
  std::vector<Append*> done_;
  bool over_ = false;
  std::thread writer_;
};

inline double bare_group_commit(const std::string& path, std::uint32_t instances, std::uint32_t steps, int waves) {
  GroupCommit group(path);
  group.run(instances, steps);
  Series rates;
  for (int wave = 0; wave < waves; ++wave) rates.push_back(group.run(instances, steps));
  return median(rates);
}

// (B) One row, one commit. Seconds each.
inline Series single_commits(const std::string& path, int count) {
  AppendLog log(path);
  Series took;
  for (int i = 0; i < count; ++i) {
    const auto start = Steady::now();
    log.append({0});
    took.push_back(seconds_since(start));
  }
  return took;
}

}  // namespace workflows::bench
