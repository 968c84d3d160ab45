#pragma once
// Work in a process of its own, whose memory holds nothing else. This process never opens an engine then: engines do
// not survive fork.

#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/bench/rounds.h"

namespace workflows::bench {

// The numbers that `work` returns. The process is killed as soon as it has returned them: what it left open, it leaves
// as a crash would.
template <class Work>
Series in_child(Work work) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    Series numbers;
    try {
      numbers = work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "benchmark: %s\n", error.what());
      ::_exit(1);
    }
    [[maybe_unused]] const auto written = ::write(ends[1], numbers.data(), numbers.size() * sizeof(double));
    ::kill(::getpid(), SIGKILL);
  }
  ::close(ends[1]);
  Series numbers;
  for (double number = 0; ::read(ends[0], &number, sizeof number) == sizeof number;) numbers.push_back(number);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSIGNALED(status)) throw std::runtime_error("a child process of the benchmark failed");
  return numbers;
}

// Bytes that the program has asked for and not given back, by all threads; what the allocator keeps beside is not in
// it.
inline double allocated_bytes() {
  const auto info = ::mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

// "VmRSS" or "VmHWM" of this process.
inline double memory_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != field + ":") continue;
    double kibibytes = 0;
    status >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

// Of all threads, in seconds.
inline double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace workflows::bench
