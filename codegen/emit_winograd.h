// SPDX-License-Identifier: Apache-2.0
// Winograd convolution: transforms around matrix products that are direct 1x1 tiles.
#pragma once

#include "codegen/emit_nest.h"
#include "codegen/ir_builder.h"
#include "codegen/schedule.h"
#include "ir/conv.h"

namespace convgen::codegen {

// Emits, at the builder's position,
//   for task in [begin, end)                    a run of blocks, a run of tiles
//     for tile, for a vector of ic              V[point][tile] = B^T d B, from src
//     for oc block of the run, for point        (pixel_outer: for point, for oc block)
//       for P tiles                             M[point][tile] = sum over ic of V U: P x V sums
//       for tile, for a vector of oc            dst = post-ops(A^T M A), behind the block's points
//                                               (pixel_outer: behind all)
// V and M lie in scratch. Inputs outside the image are read from a line of pad_value; outputs
// outside are left out.
void emit_winograd(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                   const KernelPointers& pointers, llvm::Value* begin, llvm::Value* end);

}  // namespace convgen::codegen
