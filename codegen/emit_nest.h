// SPDX-License-Identifier: Apache-2.0
// The loop nest every tiled algorithm shares: tasks, rows, tiles, taps in depth and height, and the
// epilogue. An algorithm adds the products of one row of taps, as a TapEmitter.
#pragma once

#include "codegen/ir_builder.h"
#include "codegen/nest_shape.h"
#include "codegen/schedule.h"
#include "ir/conv.h"

namespace convgen::codegen {

// The tile at hand, where its sources and weights begin.
struct TileSite {
  int pixels = 1;
  int vectors = 1;
  int last_lanes = 1;  // real channels in the last vector
  // Pixel 0, tap kw = 0, first channel of the block's input; in a stage, phase 0 of pixel 0.
  llvm::Value* src_row = nullptr;
  llvm::Value* weights_row = nullptr;   // packed row of tap kw = 0
  llvm::Value* prefetch_row = nullptr;  // where to prefetch from in this row of taps; null: nothing
};

// Taps [begin, end) of a row, inside the image for pixels [first_pixel, last_pixel) only. The
// others see pad_value, or nothing at all where it is 0.
struct TapRow {
  llvm::Value* begin = nullptr;
  llvm::Value* end = nullptr;
  int first_pixel = 0;
  int last_pixel = 0;
};

class TapEmitter {
 public:
  virtual ~TapEmitter() = default;
  // Adds the products of `row` to the accumulators, acc[pixel * vectors + vector], in the order
  // kw, then ic: the summation order of the numerics' `strict`.
  virtual Values emit_taps(const TileSite& site, const TapRow& row, Values acc) = 0;
  // All taps are summed: one vector for each vector of outputs, acc[pixel * vectors + vector].
  virtual Values finish(const TileSite&, Values acc) { return acc; }
};

// The arguments of the emitted function.
struct KernelPointers {
  llvm::Value* src;
  llvm::Value* weights;
  llvm::Value* bias;
  llvm::Value* add;
  llvm::Value* scale;
  llvm::Value* dst;
  llvm::Value* scratch;
};

// Emits, at the builder's position,
//   for task in [begin, end)                   n, g, oc block or not, od, block of oh, block of ow
//     sources of the task -> stage             where the schedule asks for one
//     for oc block of the task                 the last one narrower
//       for oh of the task
//         for tile of the row                  a branch picks border, interior or tail tile
//           acc = 0
//           for kd, kh inside the image        acc += products of the row of taps
//           dst = post-ops(acc)
// With order=oc_inner the loop over oc blocks stands around acc, within a tile.
void emit_nest(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
               const NestShape& shape, const KernelPointers& pointers, llvm::Value* begin,
               llvm::Value* end, TapEmitter& taps);

}  // namespace convgen::codegen
