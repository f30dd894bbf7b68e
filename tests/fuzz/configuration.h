// SPDX-License-Identifier: Apache-2.0
// Configuration number N of the fuzzer: a text, and how its kernel is made and fed. A function of N
// alone, so that the number is the reproducer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "tests/support/kernels.h"

namespace convgen::testing {

struct Configuration {
  uint64_t number = 0;
  std::string text = {};
  bool breaks_a_rule = false;  // most likely; nothing below is drawn then
  size_t isa = 0;              // of kIsaLevels
  std::string schedule = {};   // words that outrank the selected ones; may be refused
  Data data = Data::kIntegers;
  uint64_t seed = 0;  // of tensors and of what else is drawn
};

Configuration draw_configuration(uint64_t number);

// Weights that a filter is made for, for some convolutions of few channels: separable, sparse,
// symmetric, or neither; nothing for most.
std::optional<ConstantWeights> draw_constants(const Configuration& configuration,
                                              const ir::Conv& conv);

}  // namespace convgen::testing
