#pragma once
// How code that no longer does what its history says is reported (S39).

#include <cstdint>
#include <string>
#include <vector>

#include <workflows/failure.h>
#include <workflows/journal.h>

namespace workflows::core {

struct DivergentStep {
  std::uint32_t number = 0;
  StepKind kind{};
  std::string name;
  std::uint32_t occurrence = 1;
  std::string source;
  bool ended = false;
};

struct Divergence {
  std::uint32_t position = 0;          // outcomes that the code had got
  DivergentStep recorded;              // was asked for here, and is not any more
  std::vector<DivergentStep> asked{};  // what the code asks for instead; nothing: it ends
};

// For people: what the history has, what the code asks for, three ways out.
std::string describe(const Divergence& divergence);
// {"reason": "diverged", "message", "position", "recorded", "asked"}
std::string to_json(const Divergence& divergence);

// "ValueError: text"
std::string describe(const Failure& failure);

}  // namespace workflows::core
