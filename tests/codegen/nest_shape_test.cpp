// SPDX-License-Identifier: Apache-2.0
// The convolution as the loop nest sees it: strides, merged rows, blocks and tasks.
#include "codegen/nest_shape.h"

#include <gtest/gtest.h>

#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::schedule_of;

NestShape shape_of(const std::string& conv, const std::string& schedule) {
  return nest_shape(conv_of(conv), schedule_of(schedule));
}

TEST(NestShape, ChannelsLastStrides) {
  const NestShape s = shape_of(
      "conv3d src=f32:ndhwc:2x5x6x7x3 weights=f32:dhwio:1x2x3x3x8 dst=f32:ncdhw", "lanes=4");
  EXPECT_EQ(s.src.c, 1);
  EXPECT_EQ(s.src.w, 3);
  EXPECT_EQ(s.src.h, 3 * 7);
  EXPECT_EQ(s.src.d, 3 * 7 * 6);
  EXPECT_EQ(s.src.n, 3 * 7 * 6 * 5);
  EXPECT_EQ(s.dst.w, 1);  // out 5 x 5 x 5
  EXPECT_EQ(s.dst.h, 5);
  EXPECT_EQ(s.dst.d, 25);
  EXPECT_EQ(s.dst.c, 125);
  EXPECT_EQ(s.dst.n, 8 * 125);
}

TEST(NestShape, GroupsAreLoopedAndDepthwiseIsOneGroup) {
  const std::string conv = "conv2d src=f32:nhwc:1x9x9x24 weights=f32:hwio:3x3x1x24 groups=24";
  const NestShape direct = shape_of(conv, "direct lanes=8");
  EXPECT_EQ(direct.groups, 24);
  EXPECT_EQ(direct.oc, 1);
  EXPECT_EQ(direct.ic, 1);
  const NestShape depthwise = shape_of(conv, "depthwise lanes=8");
  EXPECT_EQ(depthwise.groups, 1);
  EXPECT_EQ(depthwise.oc, 24);
  EXPECT_EQ(depthwise.ic, 1);
  EXPECT_EQ(depthwise.oc_blocks, 3);
}

TEST(NestShape, GroupsInAVectorAreOneGroup) {
  const NestShape s = shape_of("conv2d src=f32:nhwc:1x9x9x12 weights=f32:hwio:3x3x2x24 groups=6",
                               "grouped lanes=8");
  EXPECT_EQ(s.groups, 1);
  EXPECT_EQ(s.ic, 2);
  EXPECT_EQ(s.oc, 24);
  EXPECT_EQ(s.oc_per_group, 4);
  EXPECT_EQ(s.oc_blocks, 3);
}

TEST(NestShape, GroupedNeedsWholeGroupsInAVector) {
  const std::string src = "conv2d src=f32:nhwc:1x9x9x12 ";
  EXPECT_TRUE(can_run_grouped(conv_of(src + "weights=f32:hwio:3x3x2x24 groups=6"), 8));
  EXPECT_TRUE(can_run_grouped(conv_of(src + "weights=f32:hwio:3x3x1x12 groups=12"), 4));
  EXPECT_FALSE(can_run_grouped(conv_of(src + "weights=f32:hwio:3x3x2x48 groups=6"), 4));
  EXPECT_FALSE(can_run_grouped(conv_of(src + "weights=f32:hwio:3x3x2x18 groups=6"), 8));
  EXPECT_FALSE(can_run_grouped(conv_of(src + "weights=f32:hwio:3x3x2x6 groups=6"), 8));
  EXPECT_FALSE(can_run_grouped(conv_of(src + "weights=f32:hwio:3x3x12x4"), 8));
  EXPECT_FALSE(can_run_grouped(
      conv_of("conv2d src=f32:nchw:1x12x9x9 weights=f32:hwio:3x3x2x24 groups=6"), 8));
}

TEST(NestShape, RotatedKeepsASumForEachChannelOfAGroup) {
  const std::string conv = "conv2d src=f32:nhwc:1x9x9x24 weights=f32:hwio:3x3x4x24 groups=6";
  const NestShape s = shape_of(conv, "rotated lanes=8");
  EXPECT_EQ(s.groups, 1);
  EXPECT_EQ(s.ic, 4);
  EXPECT_EQ(s.oc, 24);
  EXPECT_EQ(s.oc_per_group, 4);
  EXPECT_EQ(s.oc_blocks, 3);
  EXPECT_EQ(s.rotations, 4);
  for (const char* other : {"grouped lanes=8", "direct lanes=8"})
    EXPECT_EQ(shape_of(conv, other).rotations, 1) << other;
}

TEST(NestShape, RotatedNeedsSquareGroupsInAVectorAndAFreeOrder) {
  const std::string src = "conv2d src=f32:nhwc:1x9x9x12 ";
  const std::string square = src + "weights=f32:hwio:3x3x2x12 groups=6";
  for (int lanes : {4, 8, 16}) EXPECT_TRUE(can_run_rotated(conv_of(square), lanes));
  EXPECT_TRUE(can_run_rotated(conv_of(square + " dst=f32:nchw"), 8));
  EXPECT_TRUE(can_run_rotated(conv_of(src + "weights=f32:hwio:3x3x4x12 groups=3"), 4));
  EXPECT_FALSE(can_run_rotated(conv_of(square + " accuracy=strict"), 8));
  // 4 outputs from 2 inputs, 1 from 2, 3 from 3, more than the lanes, one group, channels first.
  for (const char* weights :
       {"weights=f32:hwio:3x3x2x24 groups=6", "weights=f32:hwio:3x3x2x6 groups=6",
        "weights=f32:hwio:3x3x3x12 groups=4", "weights=f32:hwio:3x3x12x12"})
    for (int lanes : {4, 8, 16})
      EXPECT_FALSE(can_run_rotated(conv_of(src + weights), lanes)) << weights;
  const std::string wide = "conv2d src=f32:nhwc:1x9x9x32 weights=f32:hwio:3x3x16x32 groups=2";
  EXPECT_FALSE(can_run_rotated(conv_of(wide), 8));
  EXPECT_TRUE(can_run_rotated(conv_of(wide), 16));
  EXPECT_FALSE(can_run_rotated(
      conv_of("conv2d src=f32:nchw:1x12x9x9 weights=f32:hwio:3x3x2x12 groups=6"), 8));
}

TEST(NestShape, MergedRowsAreOneRowOfAllPixels) {
  const std::string filter = " weights=f32:hwio:1x1x4x8";
  const NestShape last = shape_of("conv2d src=f32:nhwc:3x5x6x4" + filter, "merge_rows=1");
  EXPECT_EQ(last.n, 1);  // images follow each other as rows do
  EXPECT_EQ(last.out, (ir::Extent3{1, 1, 90}));
  const NestShape first = shape_of("conv2d src=f32:nchw:3x4x5x6" + filter, "merge_rows=1");
  EXPECT_EQ(first.n, 3);
  EXPECT_EQ(first.out, (ir::Extent3{1, 1, 30}));
  const NestShape mixed =
      shape_of("conv2d src=f32:nhwc:3x5x6x4 dst=f32:nchw" + filter, "merge_rows=1");
  EXPECT_EQ(mixed.n, 3);
}

TEST(NestShape, RowsMergeOnlyWhereEveryPixelIsVisited) {
  const std::string src = "conv2d src=f32:nhwc:1x5x6x4";
  EXPECT_TRUE(can_merge_rows(conv_of(src + " weights=f32:hwio:1x1x4x8")));
  for (const char* rest :
       {" weights=f32:hwio:1x2x4x8", " weights=f32:hwio:2x1x4x8",
        " weights=f32:hwio:1x1x4x8 strides=2x1", " weights=f32:hwio:1x1x4x8 strides=1x2",
        " weights=f32:hwio:1x1x4x8 pads=0:1x0", " weights=f32:hwio:1x1x4x8 pads=0x1:0"})
    EXPECT_FALSE(can_merge_rows(conv_of(src + rest))) << rest;
}

TEST(NestShape, DepthwiseNeedsOneChannelInAndOutAndChannelsLast) {
  EXPECT_TRUE(can_run_depthwise(
      conv_of("conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x1x8 groups=8 dst=f32:nchw")));
  for (const char* text : {"conv2d src=f32:nchw:1x8x9x9 weights=f32:hwio:3x3x1x8 groups=8",
                           "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x1x16 groups=8",
                           "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x2x4 groups=4",
                           "conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1"})
    EXPECT_FALSE(can_run_depthwise(conv_of(text))) << text;
}

// Every way to cut, against counting by hand: out 7 x 30, 3 images, 2 groups of 40 channels.
TEST(NestShape, TasksCoverAllWork) {
  const std::string conv =
      "conv2d src=f32:nhwc:3x7x30x8 weights=f32:hwio:3x3x4x80 pads=1x1 groups=2";
  const auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  for (int pixels : {1, 7, 30, 31})
    for (int vectors : {1, 2, 4})
      for (int rows : {1, 2, 7, 100})
        for (int tiles : {0, 1, 3, 100})
          for (LoopOrder order :
               {LoopOrder::kOcOuter, LoopOrder::kPixelOuter, LoopOrder::kOcInner}) {
            const Schedule schedule{.lanes = 8,
                                    .tile_pixels = pixels,
                                    .tile_vectors = vectors,
                                    .order = order,
                                    .rows_per_task = rows,
                                    .tiles_per_task = tiles};
            const NestShape shape = nest_shape(conv_of(conv), schedule);
            SCOPED_TRACE(print_schedule(schedule));
            EXPECT_EQ(shape.oc_blocks, up(40, 8 * vectors));
            EXPECT_EQ(shape.row_tiles, up(30, pixels));
            const int64_t blocks = order == LoopOrder::kOcOuter ? shape.oc_blocks : 1;
            const int64_t tile_blocks = tiles == 0 ? 1 : up(shape.row_tiles, tiles);
            EXPECT_EQ(shape.tasks(), 3 * 2 * blocks * up(7, rows) * tile_blocks);
          }
}

TEST(NestShape, StepsNeverTakenCannotOverflow) {
  const std::string huge = "4611686018427387904";  // 2^62
  const NestShape s =
      shape_of("conv2d src=f32:nhwc:1x5x5x1 weights=f32:hwio:1x3x1x1 strides=" + huge + "x" + huge +
                   " dilations=" + huge + "x1",
               "lanes=4");
  EXPECT_EQ(s.strides, (ir::Extent3{1, 1, 1}));
  EXPECT_EQ(s.dilations, (ir::Extent3{1, 1, 1}));
}

TEST(NestShape, EmptyConvolutionsHaveNoTask) {
  for (const char* text : {"conv2d src=f32:nhwc:0x8x8x3 weights=f32:hwio:3x3x3x4",
                           "conv2d src=f32:nhwc:1x4x4x3 weights=f32:hwio:3x3x3x0"})
    EXPECT_EQ(shape_of(text, "lanes=4").tasks(), 0) << text;
}

}  // namespace
}  // namespace convgen::codegen
