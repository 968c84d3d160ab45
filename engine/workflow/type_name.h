#pragma once

#include <string>
#include <typeinfo>

namespace workflows::detail {

// As a C++ programmer writes it: "shop::CardDeclined".
std::string type_name(const std::type_info& type);

}  // namespace workflows::detail
