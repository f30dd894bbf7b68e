// SPDX-License-Identifier: Apache-2.0
// The cost model's shape: what must cost more costs more. Its constants are measured elsewhere.
#include "codegen/cost_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ir/random_conv.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::schedule_of;
using testing::target_of;

class CostModelOn : public ::testing::TestWithParam<std::string> {
 protected:
  const Target target_ = target_of(GetParam());
};

TEST_P(CostModelOn, TilesFitTheRegisters) {
  for (Algorithm algorithm : {Algorithm::kDirect, Algorithm::kDepthwise, Algorithm::kGrouped})
    for (int vectors = 1; vectors <= kMaxTileVectors; ++vectors) {
      const int pixels = max_tile_pixels(target_, algorithm, vectors);
      EXPECT_GE(pixels, vectors == 1 ? 1 : 0);
      // One register at least for an operand.
      EXPECT_LT(pixels * vectors, target_.vector_registers) << vectors << " vectors";
      const int fewer_vectors = std::max(1, vectors - 1);
      EXPECT_LE(pixels, max_tile_pixels(target_, algorithm, fewer_vectors)) << vectors;
    }
}

// A rotated tile keeps a sum for each channel of a group, beside a source and a weight at least.
TEST_P(CostModelOn, RotatedTilesFitTheRegisters) {
  const auto most = [&](int vectors, int row_taps, int channels) {
    return max_tile_pixels(target_, Algorithm::kRotated, vectors, row_taps, channels);
  };
  for (int channels : {1, 2, 4, 8, 16})
    for (int row_taps : {1, 3, 5, 31})
      for (int vectors = 1; vectors <= kMaxTileVectors; ++vectors) {
        SCOPED_TRACE(::testing::Message() << channels << " channels, " << vectors << " vectors");
        const int pixels = most(vectors, row_taps, channels);
        EXPECT_LE(pixels * vectors * channels + 2, target_.vector_registers);
        EXPECT_LE(pixels, most(std::max(1, vectors - 1), row_taps, channels));
        EXPECT_LE(pixels, most(vectors, 1, channels));
        EXPECT_LE(most(vectors, row_taps, 2 * channels), pixels);
      }
  EXPECT_GE(most(1, 3, 8), 1);
  EXPECT_GE(most(1, 3, 4), 2);
}

// Permutes once an output against one for each tap and channel.
TEST_P(CostModelOn, RotatedBeatsGroupedOnSquareGroups) {
  for (int channels : {2, 4}) {
    const ir::Conv conv = conv_of(
        fmt::format("conv2d src=f32:nhwc:1x14x14x64 weights=f32:hwio:3x3x{}x64 pads=1x1 groups={}",
                    channels, 64 / channels));
    const Schedule grouped = schedule_of("grouped lanes=4 tile=2x1 unroll=taps");
    const Schedule rotated = schedule_of("rotated lanes=4 tile=2x1 unroll=taps");
    EXPECT_LT(predict_cycles(conv, rotated, target_), predict_cycles(conv, grouped, target_))
        << channels;
  }
}

TEST_P(CostModelOn, LargeTilesBeatSmallOnes) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=1x1");
  const Schedule one = schedule_of("lanes=4 tile=1x1");
  const Schedule many = schedule_of("lanes=4 tile=4x2");
  EXPECT_LT(predict_cycles(conv, many, target_), 0.5 * predict_cycles(conv, one, target_));
}

TEST_P(CostModelOn, WorkCostsInProportion) {
  const Schedule schedule = schedule_of("lanes=4 tile=4x2");
  const std::string filter = " weights=f32:hwio:3x3x64x64 pads=1x1";
  const auto cycles = [&](const std::string& text) {
    return predict_cycles(conv_of(text), schedule, target_);
  };
  const double base = cycles("conv2d src=f32:nhwc:1x56x56x64" + filter);
  EXPECT_NEAR(cycles("conv2d src=f32:nhwc:4x56x56x64" + filter) / base, 4, 0.01);
  EXPECT_NEAR(cycles("conv2d src=f32:nhwc:1x112x56x64" + filter) / base, 2, 0.01);
  const double more = cycles("conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x128 pads=1x1");
  EXPECT_NEAR(more / base, 2, 0.01);
  const double deeper =
      cycles("conv2d src=f32:nhwc:1x56x56x128 weights=f32:hwio:3x3x128x64 pads=1x1");
  EXPECT_GT(deeper / base, 1.7);
  EXPECT_LT(deeper / base, 2.1);
}

// No prediction may promise more than two FMAs a cycle on every lane.
TEST_P(CostModelOn, NeverFasterThanTheMachine) {
  for (const std::string& text : testing::layer_texts()) {
    const ir::Conv conv = conv_of(text);
    const Schedule schedule = select_schedule(conv, target_).schedule;
    const double least = conv.multiply_adds() / (2.0 * schedule.lanes);
    EXPECT_GE(predict_cycles(conv, schedule, target_), 0.99 * least) << text;
  }
}

TEST_P(CostModelOn, PredictionsAreFiniteNumbers) {
  for (uint64_t index = 0; index < 500; ++index) {
    const ir::Conv conv = ir::random_conv(3, index);
    const Schedule schedule = select_schedule(conv, target_).schedule;
    const double cycles = predict_cycles(conv, schedule, target_);
    const Traffic traffic = predict_traffic(conv, schedule, target_);
    EXPECT_TRUE(std::isfinite(cycles) && cycles >= 0) << ir::print_conv(conv);
    for (double bytes : {traffic.oc_outer_bytes, traffic.pixel_outer_bytes})
      EXPECT_TRUE(std::isfinite(bytes) && bytes >= 4.0 * conv.dst_elements())
          << ir::print_conv(conv);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, CostModelOn, ::testing::ValuesIn(testing::all_target_names()),
                         [](const auto& instance) {
                           return testing::test_name_of(instance.param);
                         });

// Pixels 2^k lines apart share 1/2^k of L1's sets: of 512 channels it holds fewer than of 528.
TEST(TilesInL1, PowersOfTwoLeaveRoomForFewer) {
  const Target target = target_of("x86-64-v4");  // 32 KiB: 8 ways of 64 lines
  const Schedule schedule = schedule_of("depthwise lanes=16 tile=4x2");
  const auto tiles = [&](int width, int channels) {
    const ir::Conv conv = conv_of(fmt::format(
        "conv2d src=f32:nhwc:1x56x{0}x{1} weights=f32:hwio:3x3x1x{1} pads=1x1 groups={1}", width,
        channels));
    return tiles_in_l1(nest_shape(conv, schedule), target, schedule);
  };
  EXPECT_EQ(tiles(56, 528), 14);  // all of a row: 3 rows of 58 lines, and 56 of dst, of 256
  EXPECT_EQ(tiles(56, 64), 7);    // of 128: 3 rows of 30, and 28; an eighth tile would make 134
  EXPECT_EQ(tiles(56, 128), 3);   // of 64: 3 rows of 14, and 12
  EXPECT_EQ(tiles(56, 256), 1);   // of 32: 3 rows of 6, and 4
  EXPECT_EQ(tiles(56, 1024), 0);  // of 8
  EXPECT_LT(tiles(280, 528), 70);
}

TEST(TilesInL1, WhatNothingSharesNeedNotStay) {
  const Target target = target_of("x86-64-v4");
  const Schedule schedule = schedule_of("depthwise lanes=16 tile=4x1");
  const auto all = [&](const std::string& text) {
    const NestShape shape = nest_shape(conv_of(text), schedule);
    return tiles_in_l1(shape, target, schedule) == shape.row_tiles;
  };
  EXPECT_TRUE(all("conv1d src=f32:nwc:1x4096x1024 weights=f32:wio:3x1x1024 groups=1024"));
  EXPECT_TRUE(all("conv2d src=f32:nhwc:1x9x512x1024 weights=f32:hwio:1x3x1x1024 groups=1024"));
  EXPECT_FALSE(all("conv2d src=f32:nhwc:1x9x512x1024 weights=f32:hwio:3x1x1x1024 groups=1024"));
}

TEST(TilesInL1, LostLinesCost) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x14x14x1024 weights=f32:hwio:3x3x1x1024 pads=1x1 groups=1024");
  const Schedule schedule = schedule_of("depthwise lanes=16 tile=4x2 unroll=taps");
  Target target = target_of("x86-64-v4");
  const double lost = predict_cycles(conv, schedule, target);
  target.l1d_bytes = int64_t{1} << 20;
  EXPECT_LT(predict_cycles(conv, schedule, target), 0.8 * lost);
}

Target with_l2(int64_t bytes) {
  Target target = target_of("x86-64-v4");
  target.l2_bytes = bytes;
  return target;
}

TEST(Traffic, WeightsBeyondTheCacheAreReadOnceWithOcOutside) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:8x14x14x512 weights=f32:hwio:3x3x512x512 pads=1x1");
  const Schedule schedule = schedule_of("lanes=16 tile=14x2");
  const Traffic small = predict_traffic(conv, schedule, with_l2(1 << 20));
  EXPECT_GT(small.pixel_outer_bytes, 2 * 4.0 * conv.weights_elements());
  const Traffic large = predict_traffic(conv, schedule, with_l2(int64_t{1} << 30));
  EXPECT_LT(large.pixel_outer_bytes, small.pixel_outer_bytes);
  EXPECT_LT(large.oc_outer_bytes, small.oc_outer_bytes);
}

TEST(Traffic, SourcesBeyondTheCacheAreReadOnceWithPixelsOutside) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x112x112x256 weights=f32:hwio:1x1x256x256");
  const Schedule schedule = schedule_of("lanes=16 tile=14x2");
  const Traffic traffic = predict_traffic(conv, schedule, with_l2(1 << 20));
  EXPECT_GT(traffic.oc_outer_bytes, 2 * traffic.pixel_outer_bytes);
}

TEST(Traffic, EverythingInCacheIsReadOnce) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x8x8x16 weights=f32:hwio:3x3x16x16");
  const double all = 4.0 * (conv.src_elements() + conv.weights_elements() + conv.dst_elements());
  const Traffic traffic =
      predict_traffic(conv, schedule_of("lanes=16 tile=6x1"), with_l2(int64_t{1} << 30));
  EXPECT_EQ(traffic.oc_outer_bytes, all);
  EXPECT_EQ(traffic.pixel_outer_bytes, all);
}

}  // namespace
}  // namespace convgen::codegen
