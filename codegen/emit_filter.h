// SPDX-License-Identifier: Apache-2.0
// Image filters with known weights: every product is in the code, weights as constants.
#pragma once

#include "codegen/emit_nest.h"
#include "codegen/filter_plan.h"
#include "codegen/ir_builder.h"
#include "codegen/schedule.h"
#include "ir/conv.h"

namespace convgen::codegen {

// Emits, at the builder's position,
//   pad row = pad_value
//   for task in [begin, end)                   an image, a run of rows
//     for pass                                 unrolled: its weights differ
//       for oh of the task, R at a time        then the rest, one at a time
//         for tile of the row                  P floats; those at the ends from a copy with borders
//           acc = sum of weight x src          R rows share what they load
//           dst = post-ops(acc)
//         if a src was not finite              where zero weights were left out, and it may be
//           the same with all taps
// With passes=2 a block's rows are summed along the columns into scratch first, then along the row;
// where a sum of the first may have overflowed, in one pass. With stores=streaming the loop over
// inner tiles is there twice, for a dst that is aligned to vectors and for any.
void emit_filter(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                 const FilterPlan& plan, bool assume_finite, const KernelPointers& pointers,
                 llvm::Value* begin, llvm::Value* end);

}  // namespace convgen::codegen
