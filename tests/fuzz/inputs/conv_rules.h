// SPDX-License-Identifier: Apache-2.0
// What holds for every Conv, whichever text it came from.
#pragma once

#include "ir/conv.h"

namespace convgen::fuzz_inputs {

// The rules of docs/conv-ir.md in 128 bits, sharing no code with make_conv.
void expect_conv_rules(const ir::Conv& conv);

// The canonical text is read as the same convolution, and is canonical.
void expect_round_trip(const ir::Conv& conv);

}  // namespace convgen::fuzz_inputs
