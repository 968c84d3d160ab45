#pragma once
// Values of the engine as people read them.

#include <optional>
#include <string>
#include <string_view>

#include <workflows/instance_info.h>
#include <workflows/time.h>

#include "engine/cli/console.h"

namespace workflows::cli {

std::string duration(Millis time);                    // "12 ms", "1.5 s", "2m 03s", "3h 12m", "5d 04h"
std::string moment(TimePoint time);                   // "2026-01-01 00:00:00Z"
std::string relative(TimePoint time, TimePoint now);  // "5m 00s ago", "in 3h 12m"
std::string moment_and_relative(TimePoint time, TimePoint now);
std::string bytes(std::uint64_t size);       // "12.3 kB"
std::string thousands(std::uint64_t count);  // "100,000"

struct Look {
  std::string_view glyph;
  Style style;
};
Look look_of(Status status);
Look look_of_step(std::string_view status);
std::string status_text(const Console& console, Status status);

// A recorded value on one line of at most so many columns; of a longer one it says how long it is.
std::string preview(std::string_view json, std::size_t columns);
// At most so many columns; of more it says how to see all.
std::string shortened(std::string_view text, std::size_t columns);
// "shop.CardDeclined: no money"
std::string summary(const Failure& failure);
// "order/order-17", "order/order-17@2"
std::string name_of(const InstanceInfo& info);
// The same where there are older generations: "order/order-17@1"
std::string exact_name_of(const InstanceInfo& info);
// "charge", "charge (2)"
std::string step_label(std::string_view name, std::uint32_t occurrence);

}  // namespace workflows::cli
