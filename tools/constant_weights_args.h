// SPDX-License-Identifier: Apache-2.0
// --constant-weights F.npy [--assume-finite], the same for every command that takes them.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "ir/status.h"

namespace convgen::tool {

struct ConstantWeightsArgs {
  std::string file;  // empty: weights are none
  bool assume_finite = false;
};

void add_constant_weights(CLI::App& command, ConstantWeightsArgs& args);

// Errors: invalid_argument where --assume-finite stands alone.
Status check_constant_weights(const ConstantWeightsArgs& args);

// The file's values; nothing where none is given. Errors: what read_npy says; invalid_argument
// where the shape is not that of the conv's weights, or what check_constant_weights says.
Result<std::optional<ConstantWeights>> read_constant_weights(const ConstantWeightsArgs& args,
                                                             const ir::Conv& conv);

}  // namespace convgen::tool
