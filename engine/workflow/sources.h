#pragma once
// Places in the source, as they are recorded. Asked for with every step, so each place is made once. One thread.

#include <cstdint>
#include <source_location>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <boost/unordered/unordered_flat_map.hpp>

#include <workflows/host.h>

namespace workflows::detail {

class Sources {
 public:
  // "checkout.cpp:42": the folder is the machine's affair.
  Source at(const std::source_location& place) {
    const auto [known, is_new] = known_.try_emplace({place.file_name(), place.line()}, nullptr);
    if (is_new) {
      const std::string_view path = place.file_name();
      known->second = source(fmt::format("{}:{}", path.substr(path.find_last_of('/') + 1), place.line()));
    }
    return known->second;
  }

 private:
  boost::unordered_flat_map<std::pair<const char*, std::uint32_t>, Source> known_;
};

}  // namespace workflows::detail
