// SPDX-License-Identifier: Apache-2.0
// pack_weights (packed_layout.h) as emitted code, for programs without convgen: the same operations
// in the same order, so the same bits.
#pragma once

#include <llvm/IR/Module.h>

#include <string>

#include "codegen/packed_layout.h"
#include "codegen/target.h"
#include "ir/conv.h"

namespace convgen::codegen {

// Adds to module: void NAME(const float* weights, float* packed).
llvm::Function* emit_pack(llvm::Module& module, const ir::Conv& conv, const PackedLayout& layout,
                          const Target& target, const std::string& name);

}  // namespace convgen::codegen
