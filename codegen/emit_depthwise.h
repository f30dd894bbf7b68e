// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution with as many outputs as inputs: lanes are channels of both.
#pragma once

#include "codegen/emit_nest.h"

namespace convgen::codegen {

// Emits, for one row of taps and a tile of P pixels x V vectors,
//   for kw                                      unrolled, so that neighbours share their loads
//     acc[p][v] += src[p * stride + kw, v] * w[kw, v]
class DepthwiseTapEmitter : public TapEmitter {
 public:
  DepthwiseTapEmitter(KernelBuilder& b, const Schedule& schedule, const NestShape& shape)
      : b_(b), schedule_(schedule), shape_(shape) {}
  Values emit_taps(const TileSite& site, const TapRow& row, Values acc) override;

 private:
  Values emit_tap(const TileSite& site, const TapRow& row, llvm::Value* kw, Values acc);

  KernelBuilder& b_;
  const Schedule& schedule_;
  const NestShape& shape_;
};

}  // namespace convgen::codegen
