// SPDX-License-Identifier: Apache-2.0
// Groups with as many outputs as inputs, a few: sources stay in the lanes they were loaded to, and
// the sums are turned into place once, at the end of the tile.
#pragma once

#include "codegen/emit_nest.h"

namespace convgen::codegen {

// Lane (g, j) of a source vector is channel j of group g, of C channels. It contributes to C
// outputs, so a tile keeps C sums for each of its vectors: sum r collects, in lane (g, j), what
// channel j adds to output (j + r) mod C. For one row of taps and a tile of P pixels x V vectors,
//   for kw, for v
//     x[p] = channels of vector v's groups        one vector load a pixel
//     w[r] = weights from j to (j + r) mod C      one vector load a rotation; packed so
//     acc[p][v][r] += x[p] * w[r]                 P x C FMAs and no permute
// and at the end acc[p][v] = sum over r of acc[p][v][r] rotated by r within each group: C - 1
// permutes an output, against one for each tap and channel in GroupedTapEmitter. The order of a sum
// differs from it, so `strict` never sees this one.
class RotatedTapEmitter : public TapEmitter {
 public:
  RotatedTapEmitter(KernelBuilder& b, const Schedule& schedule, const NestShape& shape)
      : b_(b), schedule_(schedule), shape_(shape) {}
  Values emit_taps(const TileSite& site, const TapRow& row, Values acc) override;
  Values finish(const TileSite& site, Values acc) override;

 private:
  Values emit_tap(const TileSite& site, const TapRow& row, llvm::Value* kw, Values acc);
  Values load_sources(const TileSite& site, const TapRow& row, llvm::Value* src, int v);
  llvm::Value* rotate(llvm::Value* sums, int64_t by);

  KernelBuilder& b_;
  const Schedule& schedule_;
  const NestShape& shape_;
};

}  // namespace convgen::codegen
