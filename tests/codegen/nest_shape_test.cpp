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

// Out 10 x 15. Four rows of outputs see 3 * 2 + 2 + 1 rows of 30 columns, 15 of each phase.
TEST(StageShape, HoldsTheRowsOfATaskByChannelAndPhase) {
  const std::string conv =
      "conv2d src=f32:nhwc:2x20x30x3 weights=f32:hwio:3x3x3x8 strides=2x2 pads=1x1";
  const NestShape s = shape_of(conv, "staged lanes=8 rows_per_task=4");
  ASSERT_TRUE(s.stage.has_value());
  EXPECT_EQ(s.stage->phases, 2);
  EXPECT_EQ(s.stage->rows, 9);
  EXPECT_EQ(s.stage->plane, 16);
  EXPECT_EQ(s.src.w, 1);
  EXPECT_EQ(s.src.c, 2 * 16);
  EXPECT_EQ(s.src.h, 3 * 2 * 16);
  EXPECT_EQ(s.src.d, 9 * 3 * 2 * 16);
  EXPECT_EQ(s.tensor.c, 1);
  EXPECT_EQ(s.tensor.w, 3);
  EXPECT_EQ(s.tensor.h, 3 * 30);
  EXPECT_EQ(s.tensor.n, 3 * 30 * 20);
  EXPECT_EQ(stage_floats(conv_of(conv), schedule_of("staged lanes=8 rows_per_task=4")), 9 * 96);
}

TEST(StageShape, RowsAreThoseOfTheImageAtMost) {
  const std::string conv = "conv2d src=f32:nchw:1x5x20x30 weights=f32:oihw:4x5x3x3 dilations=3x1";
  EXPECT_EQ(shape_of(conv, "staged").stage->rows, 7);  // one row of outputs, three taps 3 apart
  EXPECT_EQ(shape_of(conv, "staged rows_per_task=2").stage->rows, 8);
  EXPECT_EQ(shape_of(conv, "staged rows_per_task=14").stage->rows, 20);
  EXPECT_EQ(shape_of(conv, "staged rows_per_task=1000000").stage->rows, 20);
}

TEST(StageShape, DepthsOfTheKernelAreStaged) {
  const std::string conv =
      "conv3d src=f32:ncdhw:1x2x9x8x7 weights=f32:oidhw:4x2x3x2x2 dilations=4x1x1";
  const NestShape s = shape_of(conv, "staged lanes=4");
  EXPECT_EQ(s.stage->rows, 2);
  EXPECT_EQ(s.src.d, 2 * 2 * 8);
  EXPECT_EQ(s.tensor.d, 8 * 7);
  EXPECT_EQ(stage_floats(conv_of(conv), schedule_of("staged lanes=4")), 3 * 2 * 2 * 8);
}

TEST(StageShape, ChannelsAreThoseOfAGroup) {
  const NestShape s = shape_of("conv2d src=f32:nhwc:1x9x9x12 weights=f32:hwio:1x1x2x24 groups=6",
                               "staged lanes=16");
  EXPECT_EQ(s.groups, 6);
  EXPECT_EQ(s.src.c, 16);
  EXPECT_EQ(s.src.h, 2 * 16);
  EXPECT_EQ(s.tensor.w, 12);
}

TEST(StageShape, OneOutputColumnHasOnePhase) {
  const NestShape s =
      shape_of("conv1d src=f32:nwc:1x9x2 weights=f32:wio:9x2x4 strides=5", "staged lanes=4");
  EXPECT_EQ(s.stage->phases, 1);
  EXPECT_EQ(s.stage->plane, 12);
}

// Whole vectors, room for every column, and never a round number of floats.
TEST(StageShape, PlanesAreWholeVectorsAndNoRoundNumber) {
  for (int lanes : {4, 8, 16})
    for (int stride : {1, 2, 3, 8, 11})
      for (int width = stride + 1; width < 1100; width += width % 5 + 1) {
        const std::string conv = "conv1d src=f32:nwc:1x" + std::to_string(width) +
                                 "x2 weights=f32:wio:1x2x4 strides=" + std::to_string(stride);
        const StageShape stage = *shape_of(conv, "staged lanes=" + std::to_string(lanes)).stage;
        const int64_t columns = (width + stride - 1) / stride;
        ASSERT_EQ(stage.plane % lanes, 0) << conv;
        ASSERT_NE(stage.plane % 256, 0) << conv;
        ASSERT_GE(stage.plane, columns) << conv;
        ASSERT_LT(stage.plane, columns + 2 * lanes) << conv;
      }
  EXPECT_EQ(
      shape_of("conv1d src=f32:nwc:1x512x2 weights=f32:wio:1x2x4", "staged lanes=16").stage->plane,
      528);
}

TEST(StageShape, OthersHaveNone) {
  const std::string conv = "conv2d src=f32:nchw:1x3x9x9 weights=f32:oihw:4x3x3x3";
  for (const char* schedule : {"direct", "planar"}) {
    const NestShape s = shape_of(conv, schedule);
    EXPECT_FALSE(s.stage.has_value());
    EXPECT_EQ(s.src.c, s.tensor.c);
    EXPECT_EQ(s.src.h, s.tensor.h);
    EXPECT_EQ(stage_floats(conv_of(conv), schedule_of(schedule)), 0);
  }
}

// Beyond int64: a number all the same.
TEST(StageShape, HugeStagesAreNumbersNotOverflows) {
  const double floats = stage_floats(
      conv_of("conv2d src=f32:nhwc:1x3000000x3000000x100000 weights=f32:hwio:3x3x100000x1"),
      schedule_of("staged lanes=16 rows_per_task=3000000"));
  EXPECT_GT(floats, 8e17);
  EXPECT_LT(floats, 1e18);
}

TEST(NestShape, PlanarNeedsNeighboursInSrc) {
  const std::string filter = " weights=f32:hwio:3x3x2x4";
  EXPECT_TRUE(can_run_planar(conv_of("conv2d src=f32:nchw:1x2x9x9" + filter)));
  EXPECT_TRUE(can_run_planar(conv_of("conv2d src=f32:nchw:1x2x9x9 dst=f32:nhwc" + filter)));
  EXPECT_TRUE(can_run_planar(conv_of("conv2d src=f32:nchw:1x2x9x9 strides=2x1" + filter)));
  EXPECT_FALSE(can_run_planar(conv_of("conv2d src=f32:nchw:1x2x9x9 strides=1x2" + filter)));
  EXPECT_FALSE(can_run_planar(conv_of("conv2d src=f32:nhwc:1x9x9x2" + filter)));
  const std::string one = "conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x4";
  EXPECT_TRUE(can_run_planar(conv_of(one)));
  EXPECT_TRUE(can_run_planar(conv_of(one + " dst=f32:nchw")));
  EXPECT_FALSE(can_run_planar(conv_of(one + " strides=1x2")));
  // Two channels of one each do not follow each other.
  EXPECT_FALSE(
      can_run_planar(conv_of("conv2d src=f32:nhwc:1x9x9x2 weights=f32:hwio:3x3x1x4 groups=2")));
  // One output column sees its sources at any stride.
  EXPECT_TRUE(can_run_planar(conv_of("conv2d src=f32:nchw:1x2x9x3 strides=1x2" + filter)));
}

// Pixels of one channel are taken apart by shuffles, for few phases; others block by block.
TEST(NestShape, StagedNeedsFewPhasesWherePixelsAreNeighbours) {
  for (int stride : {1, 8, 9, 100}) {
    const std::string strides = " strides=" + std::to_string(stride);
    const bool few = stride <= 8;
    EXPECT_EQ(can_run_staged(conv_of("conv1d src=f32:ncw:1x3x999 weights=f32:oiw:4x3x3" + strides)),
              few)
        << stride;
    EXPECT_EQ(can_run_staged(conv_of("conv1d src=f32:nwc:1x999x1 weights=f32:wio:3x1x4" + strides)),
              few)
        << stride;
    EXPECT_TRUE(
        can_run_staged(conv_of("conv1d src=f32:nwc:1x999x2 weights=f32:wio:3x2x4" + strides)))
        << stride;
  }
}

TEST(NestShape, DstIsInterleavedWhereSeveralChannelsComeLast) {
  const std::string src = "conv2d src=f32:nchw:1x3x9x9 weights=f32:oihw:";
  EXPECT_TRUE(interleaves_dst(conv_of(src + "2x3x3x3 dst=f32:nhwc")));
  EXPECT_FALSE(interleaves_dst(conv_of(src + "2x3x3x3")));
  EXPECT_FALSE(interleaves_dst(conv_of(src + "1x3x3x3 dst=f32:nhwc")));
}

}  // namespace
}  // namespace convgen::codegen
