// SPDX-License-Identifier: Apache-2.0
// im2col: the inputs of a block of output pixels as a dense matrix, in the order the matrix
// product reads it. Column k is (kd, kh, kw, ic of the group), in this order. Padding becomes
// pad_value. Internal to the generic path.
#pragma once

#include <cstdint>

#include "ir/conv.h"

namespace convgen::generic {

// The output pixels [begin, end) of one image, counted d, h, w, and the group they are for.
struct PixelBlock {
  int64_t n = 0;
  int64_t group = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

// Channels-last src: matrix[pixel][k], rows `row_stride` apart.
void fill_pixel_rows(const ir::Conv& conv, const float* src, const PixelBlock& block,
                     int64_t row_stride, float* matrix);

// Channels-first src: panels of `width` pixels, each [k][width] dense; the last one is as wide as
// its pixels rounded up to `lanes`, the excess 0.
void fill_pixel_panels(const ir::Conv& conv, const float* src, const PixelBlock& block,
                       int64_t width, int64_t lanes, float* matrix);

}  // namespace convgen::generic
