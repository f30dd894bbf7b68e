// SPDX-License-Identifier: Apache-2.0
// Copies the sources of a task into planes, so that lanes may be neighbouring pixels whatever the
// layout of src and the stride along the width.
#pragma once

#include "codegen/ir_builder.h"
#include "codegen/nest_shape.h"

namespace convgen::codegen {

// Output rows [oh_begin, oh_end) of one depth.
struct StagedRows {
  llvm::Value* od;
  llvm::Value* oh_begin;
  llvm::Value* oh_end;
  bool unroll;  // leave no loop
};

// Emits the copy of all source rows that lie inside the image and that some output of `rows` may
// see, in the order of StageShape:
//   for kd, for row, for a run of lanes x phases columns
//     vectors as they lie in memory, taken apart in registers, one store for each phase and channel
// Rows and columns outside the image stay as they were; taps never read them. src: image and input
// channels chosen, d = h = w = 0. Reads nothing outside src.
void emit_stage(KernelBuilder& b, const NestShape& shape, llvm::Value* src, llvm::Value* scratch,
                const StagedRows& rows);

}  // namespace convgen::codegen
