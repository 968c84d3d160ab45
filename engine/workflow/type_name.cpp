#include "engine/workflow/type_name.h"

#include <boost/core/demangle.hpp>

namespace workflows::detail {

std::string type_name(const std::type_info& type) { return boost::core::demangle(type.name()); }

}  // namespace workflows::detail
