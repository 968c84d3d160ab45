#pragma once
// How figures are taken and printed. What is compared runs in the same round, in shuffled order, so that a machine that
// slows down for a minute slows down both; a ratio is formed inside a round. What is printed is the median of the
// rounds, with the least and the greatest.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace workflows::bench {

using Steady = std::chrono::steady_clock;

inline double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

// One value a round.
using Series = std::vector<double>;

inline double percentile(Series values, double share) {
  std::ranges::sort(values);
  return values.at(static_cast<std::size_t>(share * static_cast<double>(values.size() - 1)));
}
inline double median(const Series& values) { return percentile(values, 0.5); }

inline Series ratios(const Series& values, const Series& ceilings) {
  Series all;
  for (std::size_t i = 0; i < values.size(); ++i) all.push_back(values[i] / ceilings.at(i));
  return all;
}

struct Options {
  int rounds = 3;
  bool full = false;   // the sizes of the targets, where the default is smaller to save time
  std::string only{};  // of one target

  // `ids`: of the targets that `measure` has figures for.
  void run(const std::string& ids, void (*measure)(const Options&)) const {
    if (only.empty() || (" " + ids + " ").find(" " + only + " ") != std::string::npos) measure(*this);
  }
};

inline Options options_of(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--full") options.full = true;
    if (i + 1 == argc) break;
    if (argument == "--rounds") options.rounds = std::max(1, std::stoi(argv[i + 1]));
    if (argument == "--only") options.only = argv[i + 1];
  }
  return options;
}

// Each measurement appends one value to each of its series.
class Rounds {
 public:
  void add(std::function<void()> measurement) { measurements_.push_back(std::move(measurement)); }

  void run(int rounds) {
    std::mt19937 random(1);
    for (int round = 0; round < rounds; ++round) {
      std::ranges::shuffle(measurements_, random);
      for (const auto& measure : measurements_) measure();
    }
  }

 private:
  std::vector<std::function<void()>> measurements_;
};

struct Ceiling {
  const Series& values;
  std::string of;
};

// What a figure should reach: the number itself, or its ratio to the ceiling.
struct Target {
  enum class Compares : std::uint8_t { ratio, value } compares;
  enum class Better : std::uint8_t { more, less } better;
  double at;
};
inline Target ratio_at_least(double at) { return {Target::Compares::ratio, Target::Better::more, at}; }
inline Target ratio_at_most(double at) { return {Target::Compares::ratio, Target::Better::less, at}; }
inline Target value_at_least(double at) { return {Target::Compares::value, Target::Better::more, at}; }
inline Target value_at_most(double at) { return {Target::Compares::value, Target::Better::less, at}; }

// One line of JSON that is built up part by part. `id` is the target's in PERFORMANCE.md.
class Figure {
 public:
  Figure(std::string_view id, std::string_view what, const Series& values, std::string_view unit)
      : values_(values),
        line_(fmt::format(R"({{"id":"{}","what":"{}","unit":"{}","value":{:.6g},"low":{:.6g},"high":{:.6g})", id, what,
                          unit, median(values), percentile(values, 0), percentile(values, 1))) {}

  Figure& beside(const Ceiling& ceiling) {
    const Series all = ratios(values_, ceiling.values);
    line_ += fmt::format(R"(,"ceiling":{:.6g},"of":"{}","ratio":{:.4g},"ratio_low":{:.4g},"ratio_high":{:.4g})",
                         median(ceiling.values), ceiling.of, median(all), percentile(all, 0), percentile(all, 1));
    return *this;
  }
  Figure& against(const Target& target) {
    line_ += fmt::format(R"(,"target":{},"compares":"{}","better":"{}")", target.at,
                         target.compares == Target::Compares::ratio ? "ratio" : "value",
                         target.better == Target::Better::more ? "more" : "less");
    return *this;
  }
  // For plots: which curve and where on it.
  Figure& plotted(std::string_view curve, double x) {
    line_ += fmt::format(R"(,"curve":"{}","x":{})", curve, x);
    return *this;
  }
  void print() const {
    std::puts((line_ + "}").c_str());
    std::fflush(stdout);
  }

 private:
  const Series& values_;
  std::string line_;
};

}  // namespace workflows::bench
