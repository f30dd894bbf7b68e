// SPDX-License-Identifier: Apache-2.0
// Direct convolution: lanes are output channels, every source value is broadcast.
#pragma once

#include "codegen/emit_nest.h"

namespace convgen::codegen {

// Emits, for one row of taps and a tile of P pixels x V vectors,
//   for kw, for ic step ic_unroll               one loop where kw and ic lie behind each other
//     w[v] = weights row of (kw, ic)            V vector loads
//     acc[p][v] += splat(src[p, kw, ic]) * w[v] P broadcasts, P x V FMAs
//     prefetch of the next block's weights      where the schedule asks for it
// After Georganas et al., "Anatomy of High-Performance Deep Learning Convolutions on SIMD
// Architectures", SC18, section II (register blocking), without its data layout.
class DirectTapEmitter : public TapEmitter {
 public:
  DirectTapEmitter(KernelBuilder& b, const Schedule& schedule, const NestShape& shape)
      : b_(b), schedule_(schedule), shape_(shape) {}
  Values emit_taps(const TileSite& site, const TapRow& row, Values acc) override;

 protected:
  struct Pointers {
    llvm::Value* src;
    llvm::Value* weights;
    llvm::Value* prefetch;  // null: none
  };
  // How far tap kw of a row lies from TileSite::src_row, in floats.
  virtual llvm::Value* tap_offset(llvm::Value* kw);
  // The products of one tap and channel `ic` behind `at`.
  virtual Values emit_step(const TileSite& site, const TapRow& row, Pointers at, int64_t ic,
                           Values acc);

  KernelBuilder& b_;
  const Schedule& schedule_;
  const NestShape& shape_;

 private:
  Pointers pointers_at(const TileSite& site, llvm::Value* kw);
  Values emit_channels(const TileSite& site, const TapRow& row, Pointers at, int64_t count,
                       Values acc);
  bool taps_are_contiguous(const TapRow& row) const;
};

}  // namespace convgen::codegen
