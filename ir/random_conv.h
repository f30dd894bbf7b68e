// SPDX-License-Identifier: Apache-2.0
// A seeded generator of valid convolutions, biased to where specialised code goes wrong: sizes
// around the vector width, long rows of few channels, stride and pads beyond the kernel, odd
// groups, every layout pair, long post-op chains. Same seed, same convolutions, on every machine.
#pragma once

#include <cstdint>

#include "ir/conv.h"
#include "ir/export.h"

namespace convgen::ir {

struct RandomConvLimits {
  double max_multiply_adds = 2e6;
  int64_t max_elements = 1 << 20;  // of any one tensor
};

// The convolution number `index` of the sequence `seed`. Always valid.
CONVGEN_API Conv random_conv(uint64_t seed, uint64_t index, const RandomConvLimits& limits = {});

}  // namespace convgen::ir
