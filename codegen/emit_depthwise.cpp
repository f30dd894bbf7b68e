// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_depthwise.h"

#include "codegen/loop_nest.h"

namespace convgen::codegen {

Values DepthwiseTapEmitter::emit_taps(const TileSite& site, const TapRow& row, Values acc) {
  const bool unroll =
      schedule_.unroll >= Unroll::kTaps && constant_index(row.begin) && constant_index(row.end);
  return emit_for(b_, {row.begin, row.end, 1, unroll}, "kw", acc,
                  [&](llvm::Value* kw, Values at_kw) { return emit_tap(site, row, kw, at_kw); });
}

Values DepthwiseTapEmitter::emit_tap(const TileSite& site, const TapRow& row, llvm::Value* kw,
                                     Values acc) {
  llvm::Value* src = b_.at(site.src_row, b_.scale_index(kw, shape_.dilations.w * shape_.src.w));
  llvm::Value* weights =
      b_.at(site.weights_row, b_.scale_index(kw, int64_t{site.vectors} * schedule_.lanes));
  for (int v = 0; v < site.vectors; ++v) {
    llvm::Value* w = b_.load_packed(b_.at(weights, v * schedule_.lanes), "w" + llvm::Twine(v));
    const int lanes = v + 1 == site.vectors ? site.last_lanes : schedule_.lanes;
    for (int p = 0; p < site.pixels; ++p) {
      const bool inside = p >= row.first_pixel && p < row.last_pixel;
      if (!inside && shape_.pad_value == 0) continue;
      const int64_t offset = p * shape_.strides.w * shape_.src.w + v * schedule_.lanes;
      llvm::Value* x = inside ? b_.load_lanes(b_.at(src, offset), lanes, "x" + llvm::Twine(p))
                              : b_.splat(shape_.pad_value);
      llvm::Value*& sum = acc[p * site.vectors + v];
      sum = b_.fma(x, w, sum);
    }
  }
  return acc;
}

}  // namespace convgen::codegen
