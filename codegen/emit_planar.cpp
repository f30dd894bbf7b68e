// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_planar.h"

#include <algorithm>

namespace convgen::codegen {

// The lanes of a run that exist, and those of them whose tap lies inside the image.
struct PlanarTapEmitter::RunLanes {
  int pixels;
  int first;
  int last;
  bool all() const { return first == 0 && last == pixels; }
  bool none() const { return first == last; }
};

PlanarTapEmitter::RunLanes PlanarTapEmitter::lanes_of(const TileSite& site, const TapRow& row,
                                                      int run) const {
  const int begin = run * schedule_.lanes;
  const int pixels = std::min(schedule_.lanes, site.pixels - begin);
  const int first = std::clamp(row.first_pixel - begin, 0, pixels);
  return {pixels, first, std::clamp(row.last_pixel - begin, first, pixels)};
}

// In a stage, output ow sees tap kw at column ow * stride + position, with position = kw * dilation
// - pad: in phase position mod stride, position div stride behind column ow of it.
llvm::Value* PlanarTapEmitter::tap_offset(llvm::Value* kw) {
  if (!shape_.stage) return DirectTapEmitter::tap_offset(kw);
  const int64_t stride = shape_.strides.w;
  // Whole strides that keep the dividend positive.
  const int64_t rest = (stride - shape_.pads_begin.w % stride) % stride;
  const int64_t ahead = shape_.pads_begin.w / stride + (rest > 0 ? 1 : 0);
  llvm::Value* position = b_.add_index(b_.scale_index(kw, shape_.dilations.w), b_.index(rest));
  llvm::Value* phase = b_.CreateURem(position, b_.index(stride));
  llvm::Value* column = b_.sub_index(b_.CreateUDiv(position, b_.index(stride)), b_.index(ahead));
  return b_.add_index(b_.scale_index(phase, shape_.stage->plane), column);
}

// Null where the run sees nothing at all.
llvm::Value* PlanarTapEmitter::load_run(const RunLanes& lanes, llvm::Value* address) {
  if (lanes.none() && shape_.pad_value == 0) return nullptr;
  llvm::Value* x = b_.load_lanes_between(address, lanes.first, lanes.last, "x");
  if (lanes.all() || shape_.pad_value == 0) return x;
  return b_.select_lanes(lanes.first, lanes.last, x, b_.splat(shape_.pad_value));
}

Values PlanarTapEmitter::emit_step(const TileSite& site, const TapRow& row, Pointers at, int64_t ic,
                                   Values acc) {
  const int runs = (site.pixels + schedule_.lanes - 1) / schedule_.lanes;
  Values x;
  for (int run = 0; run < runs; ++run)
    x.push_back(load_run(lanes_of(site, row, run),
                         b_.at(at.src, ic * shape_.src.c + run * schedule_.lanes)));
  for (int c = 0; c < site.vectors; ++c) {
    llvm::Value* w = b_.load_splat(b_.at(at.weights, ic * site.vectors + c));
    for (int run = 0; run < runs; ++run) {
      if (x[run] == nullptr) continue;
      const RunLanes lanes = lanes_of(site, row, run);
      llvm::Value*& sum = acc[run * site.vectors + c];
      llvm::Value* next = b_.fma(x[run], w, sum);
      const bool whole = lanes.all() || shape_.pad_value != 0;
      sum = whole ? next : b_.select_lanes(lanes.first, lanes.last, next, sum);
    }
  }
  return acc;
}

}  // namespace convgen::codegen
