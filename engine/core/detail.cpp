#include "engine/core/detail.h"

#include <boost/json.hpp>
#include <new>
#include <string>

#include <workflows/error.h>

#include "engine/values/text.h"

namespace workflows::core {
namespace {

// All of these throw what Boost.JSON throws if a member is of another type than it has to be.

StepConfig config_of(const boost::json::object& members) {
  const auto* config = members.if_contains("config");
  return config == nullptr ? StepConfig{} : StepConfig::from_json(boost::json::serialize(*config));
}

std::optional<RollbackConfig> rollback_of(const boost::json::object& members) {
  const auto* rollback = members.if_contains("rollback");
  if (rollback == nullptr) return std::nullopt;
  const auto& its = rollback->as_object();
  return RollbackConfig{.step = config_of(its), .continue_on_failure = its.at("on_failure") == "continue"};
}

std::vector<std::uint32_t> depends_of(const boost::json::object& members) {
  std::vector<std::uint32_t> depends;
  const auto* numbers = members.if_contains("depends");
  if (numbers == nullptr) return depends;
  for (const auto& number : numbers->as_array()) depends.push_back(number.to_number<std::uint32_t>());
  return depends;
}

}  // namespace

Detail read_detail(const Entry& entry) {
  if (entry.detail.empty()) return {};
  try {
    const boost::json::value detail = boost::json::parse(entry.detail);
    const auto& members = detail.as_object();
    return {.config = config_of(members), .rollback = rollback_of(members), .depends = depends_of(members)};
  } catch (const std::bad_alloc&) { throw; } catch (const std::exception& error) {
    throw StoreCorruptError("the step " + values::quoted(entry.name) +
                            " is recorded with a detail that cannot be read, " + values::quoted(entry.detail) + ": " +
                            error.what() + "; the file is damaged: restore a copy of it");
  }
}

}  // namespace workflows::core
