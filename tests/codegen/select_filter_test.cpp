// SPDX-License-Identifier: Apache-2.0
// Which convolutions with known weights become filters, how they are cut for threads, and what a
// schedule by hand is told.
#include "codegen/select_filter.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "codegen/compile.h"
#include "tests/codegen/codegen_test_support.h"
#include "tests/support/filters.h"

namespace convgen::codegen {
namespace {

using convgen::testing::edge_filter;
using convgen::testing::filter_named;
using convgen::testing::gauss_filter;
using testing::conv_of;
using ::testing::HasSubstr;
using testing::schedule_of;
using ::testing::StartsWith;
using testing::target_of;

std::string picture(int channels, int kernel, bool grouped, const std::string& more = "") {
  return fmt::format(
      "conv2d src=f32:nhwc:1x1080x1920x{0} weights=f32:hwio:{1}x{1}x{2}x{0} groups={3} "
      "pads=same{4}",
      channels, kernel, grouped ? 1 : channels, grouped ? channels : 1, more);
}

Schedule select(const ir::Conv& conv, const ConstantWeights& weights, const std::string& target,
                int threads = 1) {
  return select_schedule(conv, target_of(target), threads, &weights).schedule;
}

TEST(SelectFilter, PicturesOfFewChannels) {
  for (const std::string& target : isa_levels())
    for (const int channels : {1, 3, 4})
      for (const bool grouped : {false, true})
        for (const char* filter : {"edge", "sharpen", "sobel"}) {
          const ir::Conv conv = conv_of(picture(channels, 3, grouped));
          const ConstantWeights weights = filter_named(filter, conv);
          const Schedule schedule = select(conv, weights, target);
          SCOPED_TRACE(fmt::format("{} {} {}", target, filter, ir::print_conv(conv)));
          EXPECT_EQ(schedule.algorithm, Algorithm::kFilter);
          EXPECT_EQ(schedule.lanes, target_of(target).max_lanes);
          EXPECT_TRUE(check_schedule(schedule, conv, target_of(target), &weights).ok());
          EXPECT_EQ(count_tasks(conv, schedule), 1);
        }
}

TEST(SelectFilter, NothingElse) {
  const ir::Conv picture_conv = conv_of(picture(3, 3, true));
  EXPECT_NE(select_schedule(picture_conv, target_of("x86-64-v3")).schedule.algorithm,
            Algorithm::kFilter)
      << "weights are not known";
  ConstantWeights infinite = edge_filter(picture_conv);
  infinite.values[0] = std::numeric_limits<float>::infinity();
  EXPECT_NE(select(picture_conv, infinite, "x86-64-v3").algorithm, Algorithm::kFilter);
  for (const char* text : {"conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=1x1",
                           "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x1x64 groups=64",
                           "conv2d src=f32:nhwc:1x56x56x3 weights=f32:hwio:3x3x3x3 strides=2x2",
                           "conv2d src=f32:nhwc:1x0x56x3 weights=f32:hwio:1x1x3x3"}) {
    const ir::Conv conv = conv_of(text);
    const ConstantWeights weights = filter_named("random", conv);
    EXPECT_NE(select(conv, weights, "x86-64-v3").algorithm, Algorithm::kFilter) << text;
    EXPECT_FALSE(select_filter(conv, weights, target_of("x86-64-v3"), 1).has_value()) << text;
  }
}

Stores stores_of(const ir::Conv& conv, const Target& target) {
  const ConstantWeights weights = edge_filter(conv);
  return select_schedule(conv, target, 1, &weights).schedule.stores;
}

// 1080p of 3 channels are 25 MB in and 25 MB out.
TEST(SelectFilter, StreamsWhatPassesTheLastCache) {
  Target target = target_of("x86-64-v3");
  target.l3_bytes = int64_t{32} << 20;
  EXPECT_EQ(stores_of(conv_of(picture(3, 3, true)), target), Stores::kStreaming);
  EXPECT_EQ(stores_of(conv_of(picture(3, 3, true, " post=add")), target), Stores::kCached)
      << "dst may be read";
  EXPECT_EQ(stores_of(conv_of("conv2d src=f32:nhwc:1x1080x1919x3 weights=f32:hwio:3x3x1x3 "
                              "groups=3 pads=same"),
                      target),
            Stores::kCached)
      << "5757 floats in a row";
  target.l3_bytes = int64_t{96} << 20;
  EXPECT_EQ(stores_of(conv_of(picture(3, 3, true)), target), Stores::kCached);
  target = target_of(testing::kAArch64);
  target.l3_bytes = int64_t{32} << 20;
  EXPECT_EQ(stores_of(conv_of(picture(3, 3, true)), target), Stores::kCached);
}

TEST(SelectFilter, TwoPassesWhereTheyAreLess) {
  for (const std::string& target : isa_levels()) {
    const ir::Conv conv = conv_of(picture(3, 5, true));
    EXPECT_EQ(select(conv, gauss_filter(conv), target).passes, 2) << target;
    const ir::Conv strict = conv_of(picture(3, 5, true, " accuracy=strict"));
    EXPECT_EQ(select(strict, gauss_filter(strict), target).passes, 1) << target;
    const ir::Conv small = conv_of(picture(3, 3, true));
    EXPECT_EQ(select(small, edge_filter(small), target).passes, 1) << target;
  }
}

TEST(SelectFilter, ThreadsGetTasks) {
  for (const int threads : {2, 4, 16}) {
    const ir::Conv conv = conv_of(picture(3, 3, true));
    const Schedule schedule = select(conv, edge_filter(conv), "x86-64-v3", threads);
    ASSERT_EQ(schedule.algorithm, Algorithm::kFilter);
    EXPECT_GE(count_tasks(conv, schedule), 2 * threads);
    EXPECT_EQ(schedule.rows_per_task % schedule.tile_vectors, 0) << "whole blocks of rows";
  }
}

TEST(SelectFilter, KnownFiniteSourcesCostNoMore) {
  const Target target = target_of("x86-64-v4");
  const ir::Conv conv = conv_of(picture(3, 3, true));
  ConstantWeights weights = filter_named("sharpen", conv);
  const FilterPlan plan = *plan_filter(conv, weights);
  const Schedule schedule = select(conv, weights, "x86-64-v4");
  EXPECT_LT(predict_filter_cycles(conv, plan, true, schedule, target),
            predict_filter_cycles(conv, plan, false, schedule, target) * 1.0001);
  EXPECT_GT(predict_filter_cycles(conv, plan, true, schedule, target), 0);
}

// Code for many borders, taps and post-ops is still within the budget.
TEST(SelectFilter, WhatIsSelectedIsLegal) {
  for (const std::string& target : isa_levels())
    for (const char* text :
         {"conv2d src=f32:nhwc:1x5x3x8 weights=f32:hwio:3x3x8x8 pads=4x9",
          "conv2d src=f32:nhwc:2x50x300x5 weights=f32:hwio:7x7x1x10 groups=5 pads=3x3 "
          "post=bias,gelu,add,gelu,tanh",
          "conv2d src=f32:nchw:1x16x50x60 weights=f32:oihw:16x1x5x5 groups=16 pads=2x2 post=gelu",
          "conv2d src=f32:nhwc:1x40x7000x3 weights=f32:hwio:3x3x3x3 dilations=1x9 pads=1x9",
          "conv1d src=f32:nwc:1x100000x1 weights=f32:wio:101x1x1"}) {
      const ir::Conv conv = conv_of(text);
      const ConstantWeights weights = filter_named("reals", conv);
      const auto selection = select_filter(conv, weights, target_of(target), 2);
      if (!selection) continue;
      const Status status = check_schedule(selection->schedule, conv, target_of(target), &weights);
      EXPECT_TRUE(status.ok()) << status.message() << " " << text;
      EXPECT_THAT(selection->reason, StartsWith("weights are constants: "));
    }
}

// --- By hand ---

struct Broken {
  const char* schedule;
  const char* conv;
  const char* filter;
  const char* message;
};

TEST(CheckFilter, SaysWhatIsWrong) {
  const char* const rgb = "conv2d src=f32:nhwc:1x50x60x3 weights=f32:hwio:3x3x1x3 groups=3";
  const char* const grey = "conv2d src=f32:nhwc:1x50x60x1 weights=f32:hwio:5x5x1x1";
  for (const Broken& broken : std::vector<Broken>{
           {"filter lanes=8 tile=24x1", "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64",
            "random",
            "schedule algorithm=filter: must have a 1D or 2D convolution of few channels, stride "
            "1"},
           {"filter lanes=8 tile=24x1",
            "conv2d src=f32:nhwc:1x56x56x3 weights=f32:hwio:3x3x1x3 groups=3 strides=1x2", "edge",
            "stride 1 along the width"},
           {"filter lanes=8 tile=20x1", rgb, "edge",
            "schedule tile=20x1: floats of a filter's tile must be a multiple of 8 lanes and of 3 "
            "channels, and at least 6"},
           {"filter lanes=8 tile=16x1", rgb, "edge", "schedule tile=16x1: floats"},
           {"filter lanes=4 tile=12x1",
            "conv2d src=f32:nhwc:1x50x60x3 weights=f32:hwio:3x3x1x3 groups=3 dilations=1x3", "edge",
            "and at least 18"},
           {"filter lanes=8 tile=24x1 passes=2", rgb, "edge",
            "schedule passes=2: the filter must be one column times one row of weights"},
           {"filter lanes=8 tile=24x1 unroll=taps", rgb, "edge",
            "schedule unroll: must be tile, which unrolls all taps of a filter"},
           {"filter lanes=8 tile=24x1 passes=3", rgb, "edge", "passes=3: expected a number"},
           {"filter lanes=16 tile=48x1", rgb, "edge", "lanes=16"},
           {"filter lanes=8 tile=128x32", grey, "gauss", "schedule tile=128x32: about "},
           {"filter lanes=8 tile=8x1",
            "conv2d src=f32:nhwc:1x50x99999999x1 weights=f32:hwio:5x5x1x1", "gauss",
            "schedule algorithm=filter: rows too long for scratch"}}) {
    const ir::Conv conv = conv_of(broken.conv);
    const ConstantWeights weights = filter_named(broken.filter, conv);
    const Result<Schedule> schedule = parse_schedule(broken.schedule, {});
    const Status status = schedule.ok()
                              ? check_schedule(*schedule, conv, target_of("x86-64-v3"), &weights)
                              : schedule.status();
    EXPECT_FALSE(status.ok()) << broken.schedule << " " << broken.conv;
    EXPECT_THAT(status.message(), StartsWith("schedule ")) << broken.conv;
    EXPECT_THAT(status.message(), HasSubstr(broken.message)) << broken.conv;
  }
  const ir::Conv conv = conv_of(rgb);
  const Status without =
      check_schedule(schedule_of("filter lanes=8 tile=24x1"), conv, target_of("x86-64-v3"));
  EXPECT_EQ(without.message(), "schedule algorithm=filter: must have constant weights");
  ConstantWeights weights = edge_filter(conv);
  weights.values[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(check_schedule(schedule_of("filter lanes=8 tile=24x1"), conv, target_of("x86-64-v3"),
                             &weights)
                  .message(),
              HasSubstr("and finite weights"));
}

}  // namespace
}  // namespace convgen::codegen
