#include "tests/simulation/scenario.h"

#include <utility>

namespace workflows::simulation {

Scenario random_scenario(std::uint64_t seed) {
  Random random(seed);
  Scenario scenario{.seed = seed,
                    .workers = static_cast<std::uint32_t>(1 + random.below(3)),
                    .instances = static_cast<std::uint32_t>(1 + random.below(4)),
                    .at_once = static_cast<std::uint32_t>(random.one_in(3) ? 1 + random.below(2) : 0),
                    .hibernate_ms = random.one_in(2) ? 10'000 : static_cast<std::int64_t>(random.below(200)),
                    .unsynced = random.one_in(2) ? 0U : 6U};
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<Fault>>([&](auto fault) {
    if (random.below(5) < 2) scenario.faults.push_back(fault.value);
  });
  for (std::size_t programs = 1 + random.below(2); programs > 0; --programs)
    scenario.programs.push_back(random_program(random));
  return scenario;
}

std::string to_text(const Scenario& scenario) {
  boost::json::object told = boost::json::value_from(scenario).as_object();
  boost::json::array programs;
  for (const Op& program : scenario.programs) programs.push_back(to_json(program));
  told["programs"] = std::move(programs);
  return boost::json::serialize(told);
}

Scenario scenario_from(const std::string& text) {
  boost::json::object told = boost::json::parse(text).as_object();
  const boost::json::value programs = std::exchange(told["programs"], boost::json::array());
  auto scenario = boost::json::value_to<Scenario>(boost::json::value(std::move(told)));
  for (const auto& program : programs.as_array()) scenario.programs.push_back(program_from(program));
  return scenario;
}

std::string command_of(const Scenario& scenario) {
  return "build/release/tests/simulation --scenario '" + to_text(scenario) + "'";
}

std::vector<Scenario> smaller(const Scenario& scenario) {
  std::vector<Scenario> found;
  const auto with = [&](auto change) { change(found.emplace_back(scenario)); };
  for (std::size_t i = 0; i < scenario.programs.size() && scenario.programs.size() > 1; ++i) {
    with([&](Scenario& s) { s.programs.erase(s.programs.begin() + static_cast<std::ptrdiff_t>(i)); });
  }
  if (scenario.moves > 10) with([](Scenario& s) { s.moves /= 2; });
  if (scenario.instances > 1) with([](Scenario& s) { --s.instances; });
  if (scenario.workers > 1) with([](Scenario& s) { --s.workers; });
  if (scenario.at_once > 0) with([](Scenario& s) { s.at_once = 0; });
  if (scenario.unsynced > 0) with([](Scenario& s) { s.unsynced = 0; });
  for (std::size_t i = 0; i < scenario.faults.size(); ++i) {
    with([&](Scenario& s) { s.faults.erase(s.faults.begin() + static_cast<std::ptrdiff_t>(i)); });
  }
  for (std::size_t i = 0; i < scenario.programs.size(); ++i) {
    for (Op& program : smaller(scenario.programs[i])) {
      with([&](Scenario& s) { s.programs[i] = std::move(program); });
    }
  }
  return found;
}

}  // namespace workflows::simulation
