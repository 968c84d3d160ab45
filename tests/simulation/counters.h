#pragma once
// How often the paths were taken that a simulation exists for. Seeds that never come to one prove nothing about it.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace workflows::simulation {

class Counters {
 public:
  void sometimes(std::string_view what) { ++counts_[std::string(what)]; }
  std::uint64_t count(std::string_view what) const {
    const auto found = counts_.find(what);
    return found == counts_.end() ? 0 : found->second;
  }
  const std::map<std::string, std::uint64_t, std::less<>>& all() const { return counts_; }

 private:
  std::map<std::string, std::uint64_t, std::less<>> counts_;
};

}  // namespace workflows::simulation
