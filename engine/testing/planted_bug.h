#pragma once
// Bugs that the simulation plants into the engine, one at a time, to see that it finds them. Compiled in only with
// WORKFLOWS_PLANTED_BUGS: into the simulation's own objects of these files, and into nothing else.

#ifdef WORKFLOWS_PLANTED_BUGS
#include <string_view>

namespace workflows::testing {

inline std::string_view planted_bug;  // "": none

}  // namespace workflows::testing

#define WORKFLOWS_PLANTED(name) (::workflows::testing::planted_bug == #name)
#else
#define WORKFLOWS_PLANTED(name) false
#endif
