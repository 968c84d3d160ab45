// One fuzzer; CMakeLists.txt says which input it feeds.

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/any_history.h"
#include "tests/fuzz/command_line.h"
#include "tests/fuzz/damaged_database.h"
#include "tests/fuzz/inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  workflows::fuzz::WORKFLOWS_FUZZ_INPUT({reinterpret_cast<const char*>(data), size});
  return 0;
}
