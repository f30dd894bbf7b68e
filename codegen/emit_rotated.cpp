// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_rotated.h"

#include "codegen/loop_nest.h"

namespace convgen::codegen {

Values RotatedTapEmitter::emit_taps(const TileSite& site, const TapRow& row, Values acc) {
  const bool unroll =
      schedule_.unroll >= Unroll::kRow && constant_index(row.begin) && constant_index(row.end);
  return emit_for(b_, {row.begin, row.end, 1, unroll}, "kw", acc,
                  [&](llvm::Value* kw, Values at_kw) { return emit_tap(site, row, kw, at_kw); });
}

// Fenced off from the tap before, whose sources it would share and keep in registers.
Values RotatedTapEmitter::emit_tap(const TileSite& site, const TapRow& row, llvm::Value* kw,
                                   Values acc) {
  b_.fence();
  const int64_t tap_floats = shape_.ic * site.vectors * schedule_.lanes;
  llvm::Value* src =
      b_.at(site.src_row, b_.scale_index(kw, wrapping_offset(shape_.dilations.w, shape_.src.w)));
  llvm::Value* weights = b_.at(site.weights_row, b_.scale_index(kw, tap_floats));
  for (int v = 0; v < site.vectors; ++v) {
    const Values x = load_sources(site, row, src, v);
    for (int64_t r = 0; r < shape_.rotations; ++r) {
      llvm::Value* w =
          b_.load_packed(b_.at(weights, (r * site.vectors + v) * schedule_.lanes), "w");
      for (int p = 0; p < site.pixels; ++p) {
        if (x[p] == nullptr) continue;
        llvm::Value*& sum = acc[(p * site.vectors + v) * shape_.rotations + r];
        sum = b_.fma(x[p], w, sum);
      }
    }
  }
  return acc;
}

// One vector a pixel, no channel beyond the last real group; null for a pixel that sees nothing.
Values RotatedTapEmitter::load_sources(const TileSite& site, const TapRow& row, llvm::Value* src,
                                       int v) {
  const int lanes = v + 1 == site.vectors ? site.last_lanes : schedule_.lanes;
  Values x(site.pixels, nullptr);
  for (int p = 0; p < site.pixels; ++p) {
    const int64_t offset =
        wrapping_offset(p * shape_.strides.w, shape_.src.w, int64_t{v} * schedule_.lanes);
    if (p >= row.first_pixel && p < row.last_pixel)
      x[p] = b_.load_lanes(b_.at(src, offset), lanes, "x" + llvm::Twine(p));
    else if (shape_.pad_value != 0)
      x[p] = b_.splat(shape_.pad_value);
  }
  return x;
}

Values RotatedTapEmitter::finish(const TileSite& site, Values acc) {
  Values outputs;
  for (int i = 0; i < site.pixels * site.vectors; ++i) {
    llvm::Value* sum = acc[i * shape_.rotations];
    for (int64_t r = 1; r < shape_.rotations; ++r)
      sum = b_.CreateFAdd(sum, rotate(acc[i * shape_.rotations + r], r));
    outputs.push_back(sum);
  }
  return outputs;
}

// Lane (g, o) takes what lane (g, o - by mod C) collected for it.
llvm::Value* RotatedTapEmitter::rotate(llvm::Value* sums, int64_t by) {
  const int64_t channels = shape_.rotations;
  llvm::SmallVector<int, 16> from;
  for (int64_t lane = 0; lane < schedule_.lanes; ++lane) {
    const int64_t group = lane - lane % channels;
    from.push_back(static_cast<int>(group + (lane % channels + channels - by) % channels));
  }
  return b_.CreateShuffleVector(sums, from);
}

}  // namespace convgen::codegen
