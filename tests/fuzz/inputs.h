#pragma once
// What is done with one input, whoever chose it: the fuzzer, or the seeded test that runs with all others. Each aborts
// when a promise is broken; an error of the engine's own classes is what bad input is to get (S46).

#include <string_view>

namespace workflows::fuzz {

void duration(std::string_view text);
void iso_time(std::string_view text);
void names(std::string_view text);
void step_config(std::string_view text);
void failure(std::string_view text);
void json(std::string_view text);
void history_document(std::string_view text);

}  // namespace workflows::fuzz
