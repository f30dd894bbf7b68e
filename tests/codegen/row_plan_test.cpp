// SPDX-License-Identifier: Apache-2.0
// Row plans against the definition of a convolution, over every small geometry.
#include "codegen/row_plan.h"

#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "codegen/nest_shape.h"

namespace convgen::codegen {
namespace {

// One axis of a convolution, with nothing of NestShape's own arithmetic.
struct Axis {
  int64_t in, kernel, stride, dilation, pad_begin, pad_end;

  int64_t out() const {
    return (in + pad_begin + pad_end - ((kernel - 1) * dilation + 1)) / stride + 1;
  }
  bool valid() const { return in + pad_begin + pad_end >= (kernel - 1) * dilation + 1; }
  bool inside(int64_t ow, int64_t kw) const {
    const int64_t at = ow * stride - pad_begin + kw * dilation;
    return at >= 0 && at < in;
  }
  bool is_border(int64_t ow) const {
    for (int64_t kw = 0; kw < kernel; ++kw)
      if (!inside(ow, kw)) return true;
    return false;
  }
};

std::ostream& operator<<(std::ostream& out, const Axis& a) {
  return out << "in " << a.in << " kernel " << a.kernel << " stride " << a.stride << " dilation "
             << a.dilation << " pads " << a.pad_begin << ":" << a.pad_end;
}

NestShape shape_of(const Axis& axis, float pad_value) {
  NestShape shape;
  shape.in.w = axis.in;
  shape.out.w = axis.out();
  shape.kernel.w = axis.kernel;
  shape.strides.w = axis.stride;
  shape.dilations.w = axis.dilation;
  shape.pads_begin = {0, 0, axis.pad_begin};
  shape.pad_value = pad_value;
  return shape;
}

// What is wrong with the spans of the tile at first_ow, or "".
std::string spans_error(const Axis& axis, const RowSegment& segment, int64_t first_ow,
                        bool padded) {
  std::vector<const TapSpan*> span_of(axis.kernel, nullptr);
  int64_t previous_end = 0;
  for (const TapSpan& span : segment.spans) {
    if (span.kw_begin < previous_end) return "spans out of order";
    if (span.kw_begin >= span.kw_end || span.kw_end > axis.kernel) return "a span of no taps";
    if (span.first_pixel < 0 || span.last_pixel > segment.pixels) return "pixels beyond the tile";
    if (!padded && span.first_pixel >= span.last_pixel) return "a span of no pixels";
    previous_end = span.kw_end;
    for (int64_t kw = span.kw_begin; kw < span.kw_end; ++kw) span_of[kw] = &span;
  }
  for (int64_t kw = 0; kw < axis.kernel; ++kw) {
    if (padded && span_of[kw] == nullptr) return "a tap of the padding is left out";
    for (int p = 0; p < segment.pixels; ++p) {
      const bool planned =
          span_of[kw] && p >= span_of[kw]->first_pixel && p < span_of[kw]->last_pixel;
      if (planned != axis.inside(first_ow + p, kw)) return "a tap on the wrong side of the border";
    }
  }
  return "";
}

std::string segment_error(const Axis& axis, const RowSegment& segment, const Schedule& schedule,
                          bool padded) {
  if (segment.tiles < 1 || segment.pixels < 1) return "an empty segment";
  if (segment.ranged) {
    if (segment.pixels != 1 || !segment.spans.empty()) return "a ranged tile of more than a pixel";
    if (schedule.edges != Edges::kRanged) return "ranged was not asked for";
    for (int64_t tile = 0; tile < segment.tiles; ++tile)
      if (!axis.is_border(segment.first_ow + tile)) return "an interior output is ranged";
    return "";
  }
  if (segment.pixels > schedule.tile_pixels) return "a tile wider than the schedule's";
  for (int64_t tile = 0; tile < segment.tiles; ++tile) {
    const int64_t first_ow = segment.first_ow + tile * segment.pixels;
    if (std::string error = spans_error(axis, segment, first_ow, padded); !error.empty())
      return error;
    if (schedule.edges != Edges::kRanged) continue;
    for (int p = 0; p < segment.pixels; ++p)
      if (axis.is_border(first_ow + p)) return "a border output has a fixed tile";
  }
  return "";
}

std::string plan_error(const Axis& axis, const Schedule& schedule, float pad_value) {
  const NestShape shape = shape_of(axis, pad_value);
  int64_t next_ow = 0, tiles = 0;
  for (const RowSegment& segment : plan_row(shape, schedule)) {
    if (segment.first_ow != next_ow) return "outputs twice or not at all";
    if (std::string error = segment_error(axis, segment, schedule, pad_value != 0); !error.empty())
      return error;
    next_ow += segment.tiles * segment.pixels;
    tiles += segment.tiles;
  }
  if (next_ow != shape.out.w) return "the row is not covered";
  if (count_row_tiles(shape, schedule) != tiles) return "count_row_tiles disagrees";
  int64_t border = 0;
  for (int64_t ow = 0; ow < shape.out.w; ++ow) border += axis.is_border(ow);
  if (count_border_columns(shape) != border) return "count_border_columns disagrees";
  return "";
}

template <typename Check>
void for_each_axis(const Check& check) {
  for (int64_t in = 1; in <= 12; ++in)
    for (int64_t k = 1; k <= 6; ++k)
      for (int64_t s = 1; s <= 5; ++s)
        for (int64_t d = 1; d <= 3; ++d)
          for (int64_t begin = 0; begin <= k; ++begin)
            for (int64_t end = 0; end <= k; ++end)
              if (const Axis axis{in, k, s, d, begin, end}; axis.valid()) check(axis);
}

class RowPlanOf : public ::testing::TestWithParam<std::tuple<Edges, float>> {};

TEST_P(RowPlanOf, EverySmallAxisFollowsTheDefinition) {
  const auto& [edges, pad_value] = GetParam();
  int64_t plans = 0;
  for_each_axis([&](const Axis& axis) {
    for (int pixels : {1, 2, 3, 4, 5, 8, 14}) {
      const Schedule schedule{.tile_pixels = pixels, .edges = edges};
      const std::string error = plan_error(axis, schedule, pad_value);
      ASSERT_EQ(error, "") << axis << " tile " << pixels;
      ++plans;
    }
  });
  EXPECT_GT(plans, 100000);
}

INSTANTIATE_TEST_SUITE_P(Edges, RowPlanOf,
                         ::testing::Combine(::testing::Values(Edges::kExact, Edges::kRanged),
                                            ::testing::Values(0.0f, 1.5f)),
                         [](const auto& instance) {
                           const bool exact = std::get<0>(instance.param) == Edges::kExact;
                           const bool padded = std::get<1>(instance.param) != 0;
                           return std::string(exact ? "exact" : "ranged") +
                                  (padded ? "_padded" : "_skipped");
                         });

// Beyond brute force: wide rows with one tile more or less than even.
TEST(RowPlan, WideRowsAreFewSegments) {
  for (int64_t in : {111, 112, 113, 1000}) {
    const Axis axis{in, 3, 1, 1, 1, 1};
    const Schedule schedule{.tile_pixels = 14};
    EXPECT_EQ(plan_error(axis, schedule, 0), "") << axis;
    EXPECT_LE(plan_row(shape_of(axis, 0), schedule).size(), 4u) << axis;
  }
}

TEST(RowPlan, InteriorTilesShareOneSpanOverAllTaps) {
  const RowPlan plan = plan_row(shape_of({103, 5, 1, 1, 0, 0}, 0), {.tile_pixels = 8});
  ASSERT_EQ(plan.size(), 2u);  // 99 outputs
  EXPECT_EQ(plan[0].tiles, 12);
  EXPECT_EQ(plan[0].pixels, 8);
  EXPECT_EQ(plan[1].tiles, 1);
  EXPECT_EQ(plan[1].pixels, 3);
  ASSERT_EQ(plan[0].spans.size(), 1u);
  EXPECT_EQ(plan[0].spans[0].kw_begin, 0);
  EXPECT_EQ(plan[0].spans[0].kw_end, 5);
}

// 3x1 over 26 outputs, tiles of 8: border, two of the interior, and two outputs at the other
// border.
TEST(RowPlan, TilesOfOneWidthThatFollowEachOtherAreAlike) {
  const RowPlan plan = plan_row(shape_of({26, 3, 1, 1, 1, 1}, 0), {.tile_pixels = 8});
  ASSERT_EQ(plan.size(), 3u);
  const std::span<const RowSegment> segments(plan);
  EXPECT_EQ(count_alike(segments), 2u);
  EXPECT_EQ(count_alike(segments.subspan(1)), 1u);
  EXPECT_EQ(count_alike(segments.subspan(2)), 1u);
}

// Ranged outputs are tiles of one pixel, and so may interior ones be: alike, but a pixel that is
// not where such a row would have it ends the run.
TEST(RowPlan, TilesOutOfStepAreNotAlike) {
  const RowSegment wide{0, 2, 4, false, {}}, in_step{8, 1, 4, false, {}}, late{13, 1, 4, false, {}};
  EXPECT_EQ(count_alike(RowPlan{wide, in_step}), 2u);
  EXPECT_EQ(count_alike(RowPlan{wide, late}), 1u);
  EXPECT_EQ(count_alike(RowPlan{wide, in_step, late}), 2u);
}

TEST(RowPlan, EmptyRowHasNoTile) {
  NestShape shape = shape_of({4, 3, 1, 1, 0, 0}, 0);
  shape.out.w = 0;
  for (Edges edges : {Edges::kExact, Edges::kRanged}) {
    const Schedule schedule{.tile_pixels = 4, .edges = edges};
    EXPECT_TRUE(plan_row(shape, schedule).empty());
    EXPECT_EQ(count_row_tiles(shape, schedule), 0);
    EXPECT_EQ(count_border_columns(shape), 0);
  }
}

// Huge rows are planned by arithmetic, not by walking them.
TEST(RowPlan, HugeRowsAreCountedNotWalked) {
  const Axis axis{int64_t{1} << 50, 3, 1, 1, int64_t{1} << 40, int64_t{1} << 40};
  const NestShape shape = shape_of(axis, 0);
  const Schedule schedule{.tile_pixels = 14, .edges = Edges::kRanged};
  int64_t covered = 0;
  for (const RowSegment& segment : plan_row(shape, schedule))
    covered += segment.tiles * segment.pixels;
  EXPECT_EQ(covered, axis.out());
  EXPECT_EQ(count_border_columns(shape), int64_t{2} << 40);
}

}  // namespace
}  // namespace convgen::codegen
