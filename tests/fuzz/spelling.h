// SPDX-License-Identifier: Apache-2.0
// Convolutions as texts: in one of the many spellings of the same, or with a rule broken. Knows
// nothing of what convgen should answer: conv_rules.py does.
#pragma once

#include <string>

#include "ir/conv.h"
#include "tests/support/random.h"

namespace convgen::testing {

// Valid: words in any order, defaults said or not, numbers and blanks in several forms. At times
// the pads are said to be `same`, or the label is new: the text, not `conv`, says what is meant.
std::string spell(const ir::Conv& conv, Random& random);

// The same with one thing changed, which nearly always breaks a rule, and one only: which of two
// answers would come first is nobody's promise.
std::string spell_broken(const ir::Conv& conv, Random& random);

}  // namespace convgen::testing
