// SPDX-License-Identifier: Apache-2.0
// What values an option takes. Help, completion and the man page read it back from the option's
// validators, so that a word is written down once.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace convgen::tool {

// "a, b or c", and "; did you mean 'b'?" where one of them is near what was found.
std::string expected_one_of(const std::vector<std::string>& words, std::string_view found);

// One of `words`; else "gpu: expected jit or generic".
CLI::Validator one_of(const std::vector<std::string>& words);

// Names the words without a check, for a command that looks at them itself.
CLI::Validator known_words(const std::vector<std::string>& words);

// A whole number; CLI11's own reader wraps "-1" and saturates what is too large.
CLI::Validator whole_number(uint64_t min, uint64_t max);

// The words of one_of or known_words that an option was given, and the range of whole_number or
// another validator: "1..1024". Empty where it has none.
std::vector<std::string> words_of(const CLI::Option& option);
std::string range_of(const CLI::Option& option);

// The name of a value in the help: "N", "FILE". Empty for a flag.
std::string value_name_of(const CLI::Option& option);

}  // namespace convgen::tool
