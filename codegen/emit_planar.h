// SPDX-License-Identifier: Apache-2.0
// Planar convolution: lanes are pixels of a row, every weight is broadcast. For tensors with their
// channels first, whose pixels lie behind each other: nothing is transposed or reordered.
#pragma once

#include "codegen/emit_direct.h"

namespace convgen::codegen {

// The loops of the direct emitter around another step. For a tile of R runs of pixels x C channels,
//   x[r] = src[kw, ic, run r]                   R vector loads, only of lanes inside the image
//   acc[r][c] += splat(w[kw, ic, c]) * x[r]     C broadcasts, R x C FMAs
// with acc[r * C + c]. Lanes whose tap lies outside keep their sum.
class PlanarTapEmitter : public DirectTapEmitter {
 public:
  using DirectTapEmitter::DirectTapEmitter;

 protected:
  llvm::Value* tap_offset(llvm::Value* kw) override;
  Values emit_step(const TileSite& site, const TapRow& row, Pointers at, int64_t ic,
                   Values acc) override;

 private:
  struct RunLanes;
  RunLanes lanes_of(const TileSite& site, const TapRow& row, int run) const;
  llvm::Value* load_run(const RunLanes& lanes, llvm::Value* address);
};

}  // namespace convgen::codegen
