// What the suite runs on: a new backend adds its name here and its opening in store_contract.h.

#include "tests/conformance/store_contract.h"

namespace workflows::storage {

INSTANTIATE_TEST_SUITE_P(Backends, StoreContract, ::testing::Values("sqlite", "memory"),
                         [](const auto& backend) { return backend.param; });

}  // namespace workflows::storage
