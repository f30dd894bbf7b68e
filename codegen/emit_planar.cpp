// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_planar.h"

#include <algorithm>

namespace convgen::codegen {

Values PlanarTapEmitter::emit_step(const TileSite& site, const TapRow& row, Pointers at, int64_t ic,
                                   Values acc) {
  const int lanes = schedule_.lanes;
  for (int run = 0; run * lanes < site.pixels; ++run) {
    // Lanes of the run that exist, and those of them whose tap lies inside the image.
    const int pixels = std::min(lanes, site.pixels - run * lanes);
    const int first = std::clamp(row.first_pixel - run * lanes, 0, pixels);
    const int last = std::clamp(row.last_pixel - run * lanes, first, pixels);
    const bool all = first == 0 && last == pixels;
    if (first == last && shape_.pad_value == 0) continue;
    llvm::Value* x = b_.load_lanes_between(b_.at(at.src, ic * shape_.src.c + run * lanes), first,
                                           last, "x" + llvm::Twine(run));
    if (!all && shape_.pad_value != 0)
      x = b_.select_lanes(first, last, x, b_.splat(shape_.pad_value));
    for (int c = 0; c < site.vectors; ++c) {
      llvm::Value* w = b_.load_splat(b_.at(at.weights, ic * site.vectors + c));
      llvm::Value*& sum = acc[run * site.vectors + c];
      llvm::Value* next = b_.fma(x, w, sum);
      sum = all || shape_.pad_value != 0 ? next : b_.select_lanes(first, last, next, sum);
    }
  }
  return acc;
}

}  // namespace convgen::codegen
