#pragma once
// A run that ends its process, or never ends, says before which run it was.

#include "tests/simulation/scenario.h"

namespace workflows::simulation {

// One at a time.
class LastWords {
 public:
  explicit LastWords(const Scenario& scenario);
  ~LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;
};

}  // namespace workflows::simulation
