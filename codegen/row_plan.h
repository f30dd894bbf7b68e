// SPDX-License-Identifier: Apache-2.0
// RowPlan: how one row of outputs is cut into tiles, and which taps each tile reaches along the
// width. Follows from the shape and the schedule; decides nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codegen/schedule.h"

namespace convgen::codegen {

struct NestShape;

// Taps [kw_begin, kw_end) that the same pixels [first_pixel, last_pixel) of a tile can use; for the
// other pixels of the tile these taps lie outside the image.
struct TapSpan {
  int64_t kw_begin = 0;
  int64_t kw_end = 0;
  int first_pixel = 0;
  int last_pixel = 0;
};

// `tiles` tiles of `pixels` outputs each, the first at first_ow.
struct RowSegment {
  int64_t first_ow = 0;
  int64_t tiles = 1;
  int pixels = 1;
  bool ranged = false;         // one pixel a tile, its tap range computed at run time
  std::vector<TapSpan> spans;  // empty for ranged
};

using RowPlan = std::vector<RowSegment>;

// Segments in the order of ow, together covering [0, out.w). Where pad_value is not 0, taps that
// no pixel can use keep their span; else they are left out.
RowPlan plan_row(const NestShape& shape, const Schedule& schedule);

// How many tiles plan_row makes, without listing them.
int64_t count_row_tiles(const NestShape& shape, const Schedule& schedule);

// How many segments, from the first one on, have tiles that are alike but for the taps they reach:
// as many pixels, each tile's first output where a row of such tiles would have it. rest: not
// empty.
size_t count_alike(std::span<const RowSegment> rest);

// Outputs of a row that have a tap outside the image.
int64_t count_border_columns(const NestShape& shape);

}  // namespace convgen::codegen
