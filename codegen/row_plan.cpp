// SPDX-License-Identifier: Apache-2.0
#include "codegen/row_plan.h"

#include <algorithm>

#include "codegen/nest_shape.h"

namespace convgen::codegen {
namespace {

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a - 1) / b) - 1; }
int64_t ceil_div(int64_t a, int64_t b) { return -floor_div(-a, b); }

// Outputs [begin, end) of a row for which tap kw lies inside the image. Both are within the row,
// also where it sees nothing but padding.
struct OwRange {
  int64_t begin;
  int64_t end;
};

OwRange outputs_inside(const NestShape& shape, int64_t kw) {
  const int64_t offset = kw * shape.dilations.w - shape.pads_begin.w;
  const int64_t begin = std::clamp<int64_t>(ceil_div(-offset, shape.strides.w), 0, shape.out.w);
  const int64_t end =
      std::min(shape.out.w, floor_div(shape.in.w - 1 - offset, shape.strides.w) + 1);
  return {begin, std::max(begin, end)};
}

// Outputs for which every tap lies inside.
OwRange interior(const NestShape& shape) {
  const int64_t begin = outputs_inside(shape, 0).begin;
  const int64_t end = outputs_inside(shape, shape.kernel.w - 1).end;
  return {begin, std::max(begin, end)};
}

std::vector<TapSpan> spans_of_tile(const NestShape& shape, int64_t first_ow, int pixels) {
  std::vector<TapSpan> spans;
  for (int64_t kw = 0; kw < shape.kernel.w; ++kw) {
    const OwRange inside = outputs_inside(shape, kw);
    const auto pixel = [&](int64_t ow) {
      return static_cast<int>(std::clamp<int64_t>(ow - first_ow, 0, pixels));
    };
    TapSpan span{kw, kw + 1, pixel(inside.begin), pixel(inside.end)};
    if (span.first_pixel >= span.last_pixel) span.first_pixel = span.last_pixel = 0;
    const bool unused = span.last_pixel == 0;
    if (unused && shape.pad_value == 0) continue;
    const bool extends = !spans.empty() && spans.back().kw_end == kw &&
                         spans.back().first_pixel == span.first_pixel &&
                         spans.back().last_pixel == span.last_pixel;
    if (extends)
      spans.back().kw_end = kw + 1;
    else
      spans.push_back(span);
  }
  return spans;
}

RowSegment interior_segment(const NestShape& shape, int64_t first_ow, int64_t tiles, int pixels) {
  return {first_ow, tiles, pixels, false, {{0, shape.kernel.w, 0, pixels}}};
}

// Tiles of P pixels from ow = begin on; runs of interior ones share a segment, the others have
// their taps spelled out.
void append_tiles(const NestShape& shape, int64_t begin, int64_t end, int tile_pixels,
                  RowPlan& plan) {
  const OwRange inner = interior(shape);
  for (int64_t ow = begin; ow < end;) {
    const int pixels = static_cast<int>(std::min<int64_t>(tile_pixels, end - ow));
    if (ow < inner.begin || ow + pixels > inner.end) {
      plan.push_back({ow, 1, pixels, false, spans_of_tile(shape, ow, pixels)});
      ow += pixels;
      continue;
    }
    const int64_t tiles = std::max<int64_t>(1, (std::min(inner.end, end) - ow) / pixels);
    plan.push_back(interior_segment(shape, ow, tiles, pixels));
    ow += tiles * pixels;
  }
}

void append_ranged(int64_t begin, int64_t end, RowPlan& plan) {
  if (begin < end) plan.push_back({begin, end - begin, 1, true, {}});
}

}  // namespace

RowPlan plan_row(const NestShape& shape, const Schedule& schedule) {
  RowPlan plan;
  if (schedule.edges != Edges::kRanged) {
    append_tiles(shape, 0, shape.out.w, schedule.tile_pixels, plan);
    return plan;
  }
  const OwRange inner = interior(shape);
  append_ranged(0, inner.begin, plan);
  append_tiles(shape, inner.begin, inner.end, schedule.tile_pixels, plan);
  append_ranged(inner.end, shape.out.w, plan);
  return plan;
}

int64_t count_row_tiles(const NestShape& shape, const Schedule& schedule) {
  if (schedule.edges != Edges::kRanged) return ceil_div(shape.out.w, schedule.tile_pixels);
  const OwRange inner = interior(shape);
  return count_border_columns(shape) + ceil_div(inner.end - inner.begin, schedule.tile_pixels);
}

size_t count_alike(std::span<const RowSegment> rest) {
  int64_t tiles_before = 0;  // of rest
  for (size_t count = 1; count < rest.size(); ++count) {
    tiles_before += rest[count - 1].tiles;
    const RowSegment& next = rest[count];
    if (next.pixels != rest[0].pixels ||
        next.first_ow != rest[0].first_ow + tiles_before * next.pixels)
      return count;
  }
  return rest.size();
}

int64_t count_border_columns(const NestShape& shape) {
  const OwRange inner = interior(shape);
  return shape.out.w - (inner.end - inner.begin);
}

}  // namespace convgen::codegen
