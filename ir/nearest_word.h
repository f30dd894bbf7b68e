// SPDX-License-Identifier: Apache-2.0
// Which word of a vocabulary a misspelled one was meant to be. Every message that lists known words
// ends with it: of ir, codegen, runtime and tools.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ir/export.h"

namespace convgen::ir {

// The known word that is fewest slips of the keyboard from `found`, upper or lower case being none;
// else the only one that begins with `found`. Empty where none is near, or two are equally so.
CONVGEN_SHARED std::string_view nearest_word(std::span<const std::string_view> known,
                                             std::string_view found);

// "; did you mean 'relu'?", the end of a message; empty where nearest_word is.
CONVGEN_SHARED std::string did_you_mean(std::span<const std::string_view> known,
                                        std::string_view found);

}  // namespace convgen::ir
