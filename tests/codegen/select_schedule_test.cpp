// SPDX-License-Identifier: Apache-2.0
// Selection is total and pure: whatever the convolution, the schedule it gets can be emitted.
#include "codegen/select_schedule.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "codegen/compile.h"
#include "codegen/cost_model.h"
#include "codegen/nest_shape.h"
#include "ir/random_conv.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::schedule_of;
using testing::target_of;

constexpr uint64_t kSeed = 31;
constexpr int kThreads[] = {1, 2, 64};

// Every promise of select_schedule.h for one convolution.
void expect_selectable(const ir::Conv& conv, const Target& target) {
  for (int threads : kThreads) {
    const Selection selection = select_schedule(conv, target, threads);
    const std::string text = print_schedule(selection.schedule);
    SCOPED_TRACE(ir::print_conv(conv) + "\n  for " + target.tune_cpu + ": " + text);
    const Status status = check_schedule(selection.schedule, conv, target);
    ASSERT_TRUE(status.ok()) << status.message();
    const Result<Schedule> back = parse_schedule(text, {});
    ASSERT_TRUE(back.ok()) << back.status().message();
    ASSERT_EQ(*back, selection.schedule);
    ASSERT_TRUE(std::isfinite(selection.predicted_cycles) && selection.predicted_cycles >= 0);
    ASSERT_FALSE(selection.reason.empty());
    ASSERT_EQ(selection.reason.find('\n'), std::string::npos);
    ASSERT_GE(count_tasks(conv, selection.schedule), conv.dst_elements() == 0 ? 0 : 1);
    ASSERT_EQ(print_schedule(select_schedule(conv, target, threads).schedule), text);
  }
}

class SelectSchedule : public ::testing::TestWithParam<std::string> {};

TEST_P(SelectSchedule, TakesRandomConvolutions) {
  const Target target = target_of(GetParam());
  for (uint64_t index = 0; index < 2000 && !HasFatalFailure(); ++index) {
    SCOPED_TRACE("random_conv(" + std::to_string(kSeed) + ", " + std::to_string(index) + ")");
    expect_selectable(ir::random_conv(kSeed, index), target);
  }
}

TEST_P(SelectSchedule, TakesNetworkLayers) {
  const Target target = target_of(GetParam());
  for (const std::string& text : testing::layer_texts()) {
    expect_selectable(conv_of(text), target);
    if (HasFatalFailure()) return;
  }
}

// A chain longer than a code budget holds.
std::string long_chain(const char* op, int length) {
  std::string chain = op;
  for (int i = 1; i < length; ++i) chain += std::string(",") + op;
  return chain;
}

std::vector<std::string> extreme_convs() {
  const std::string big = "1099511627776";  // 2^40
  return {
      "conv2d src=f32:nhwc:1x64x64x1000 weights=f32:hwio:31x31x1000x1000 pads=same",
      "conv2d src=f32:nchw:1x1000x64x64 weights=f32:oihw:1000x1000x31x31 pads=15x15 pad_value=1",
      "conv2d src=f32:nhwc:1x64x64x1000 weights=f32:hwio:31x31x1x1000 pads=same groups=1000",
      "conv2d src=f32:nhwc:1x9x9x1000 weights=f32:hwio:3x3x1x3000 pads=same groups=1000",
      "conv3d src=f32:ndhwc:1x33x33x33x1000 weights=f32:dhwio:7x7x7x1000x1000 pads=same",
      "conv3d src=f32:ncdhw:2x1000x9x9x9 weights=f32:oidhw:999x1000x3x3x3 pads=2x3x4 "
      "dst=f32:ndhwc post=bias,gelu,add",
      "conv2d src=f32:nhwc:1x5x5x3 weights=f32:hwio:3x3x3x8 pads=5000x5000",
      "conv2d src=f32:nhwc:1x5x5x3 weights=f32:hwio:3x3x3x8 pads=0:70000x90000:0 pad_value=2",
      "conv2d src=f32:nhwc:1x5x5x64 weights=f32:hwio:3x3x1x64 groups=64 pads=9000x9000",
      "conv1d src=f32:nwc:1x4294967297x1 weights=f32:wio:3x1x1 pads=1000",
      "conv1d src=f32:ncw:1x1x4294967297 weights=f32:wio:1x1x1",
      "conv2d src=f32:nhwc:1x2147483649x1x1 weights=f32:hwio:3x1x1x1",
      "conv2d src=f32:nhwc:2147483649x1x1x1 weights=f32:hwio:1x1x1x1",
      "conv2d src=f32:nhwc:1x1x1x2147483649 weights=f32:hwio:1x1x2147483649x1",
      "conv2d src=f32:nhwc:1x1x1x1 weights=f32:hwio:1x1x1x2147483649",
      "conv1d src=f32:nwc:1x1x2147483649 weights=f32:wio:1x1x2147483649 groups=2147483649",
      "conv1d src=f32:nwc:1x1x9007199254740992 weights=f32:wio:1x1x9007199254740992 "
      "groups=9007199254740992",
      "conv2d src=f32:nhwc:1x2251799813685248x1x1 weights=f32:hwio:3x1x1x8 pads=1x0",
      "conv3d src=f32:ndhwc:1x2251799813685248x1x1x1 weights=f32:dhwio:3x1x1x1x8",
      "conv1d src=f32:nwc:1x1048600x1 weights=f32:wio:1048576x1x1",
      "conv1d src=f32:nwc:1x1048600x1 weights=f32:wio:1048576x1x1 pads=20",
      "conv1d src=f32:nwc:1x5008x8 weights=f32:wio:5000x1x8 groups=8",
      "conv1d src=f32:nwc:1x1048600x8 weights=f32:wio:1048576x1x8 groups=8 pads=4",
      "conv1d src=f32:nwc:1x1048600x8 weights=f32:wio:1048576x2x8 groups=4",
      "conv1d src=f32:nwc:1x1x1 weights=f32:wio:2x1x1 pads=" + big + " dilations=" + big,
      "conv1d src=f32:nwc:1x5x1 weights=f32:wio:3x1x1 strides=" + big,
      "conv1d src=f32:nwc:1x5x1 weights=f32:wio:1x1x1 dilations=" + big,
      "conv1d src=f32:nwc:1x1x4 weights=f32:wio:1x4x4 pads=" + big + " strides=1000",
      "conv2d src=f32:nhwc:0x8x8x3 weights=f32:hwio:3x3x3x4 pads=same",
      "conv2d src=f32:nhwc:1x4x4x3 weights=f32:hwio:3x3x3x0",
      "conv2d src=f32:nhwc:1x0x0x3 weights=f32:hwio:3x3x3x4 pads=2x2",
      "conv2d src=f32:nhwc:1x0x5x3 weights=f32:hwio:1x1x3x4",
      "conv2d src=f32:nhwc:1x0x5x1000 weights=f32:hwio:1x1x1000x1000",
      "conv2d src=f32:nhwc:1x5x0x1000 weights=f32:hwio:1x3x1000x1000 pads=0x1 strides=1x4",
      "conv2d src=f32:nhwc:1x5x0x1000 weights=f32:hwio:1x1x1000x1000",
      "conv2d src=f32:nhwc:0x1x1x1000 weights=f32:hwio:1x1x1000x1000",
      "conv2d src=f32:nhwc:0x4x4x8 weights=f32:hwio:3x3x1x8 groups=8",
      // Large enough for winograd, but for its scratch, weights, tiles or post-ops.
      "conv2d src=f32:nhwc:1x9x9x10000000 weights=f32:hwio:3x3x10000000x8 pads=1x1",
      "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x8x2000000000000000 pads=1x1",
      "conv2d src=f32:nhwc:1x1073741824x1073741824x1 weights=f32:hwio:3x3x1x1",
      "conv1d src=f32:nwc:1x2305843009213693900x1 weights=f32:wio:3x1x1",
      "conv1d src=f32:nwc:768614336404564000x1x1 weights=f32:wio:3x1x2 pads=1",
      "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:5x5x64x64 dilations=" + big + "x" + big +
          " pads=" + "2199023255552x2199023255552",
      "conv1d src=f32:nwc:1x100000x4 weights=f32:wio:3x4x4 pads=1152921504606846976 "
      "dilations=1152921504606846976",
      // Found by tests/fuzz/inputs: its borders were listed, pixel by pixel, where nobody read it.
      "conv1d src=f32:nwc:1x100x8 weights=f32:wio:3x8x8 pads=11529212123",
      "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x72 post=" + long_chain("relu", 1000),
      "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x72 post=" + long_chain("gelu", 100),
      "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x72 dst=f32:nchw post=" +
          long_chain("gelu", 20),
      "conv2d src=f32:nhwc:1x4x4x3 weights=f32:hwio:3x3x3x8 post=" + long_chain("relu", 1000),
      "conv2d src=f32:nhwc:1x4x4x3 weights=f32:hwio:3x3x3x8 post=" + long_chain("gelu", 60),
      "conv2d src=f32:nhwc:1x4x4x3 weights=f32:hwio:3x3x3x8 post=" + long_chain("gelu", 100),
  };
}

TEST_P(SelectSchedule, TakesExtremes) {
  const Target target = target_of(GetParam());
  for (const std::string& text : extreme_convs()) {
    expect_selectable(conv_of(text), target);
    if (HasFatalFailure()) return;
  }
}

// What is selected can also be emitted, without overflow on the way.
TEST_P(SelectSchedule, ExtremesCompile) {
  const Target target = target_of(GetParam());
  for (const std::string& text : extreme_convs()) {
    const ir::Conv conv = conv_of(text);
    const Selection selection = select_schedule(conv, target);
    const Result<std::string> object = compile(Stage::kObject, conv, selection.schedule, target);
    EXPECT_TRUE(object.ok()) << text << ": " << object.status().message();
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, SelectSchedule, ::testing::ValuesIn(testing::all_target_names()),
                         [](const auto& instance) {
                           return testing::test_name_of(instance.param);
                         });

Schedule selected(const std::string& conv, const std::string& target, int threads = 1) {
  return select_schedule(conv_of(conv), target_of(target), threads).schedule;
}

TEST(SelectScheduleChoice, UsesTheWidestVectorsThatTheChannelsFill) {
  const std::string conv = "conv2d src=f32:nhwc:1x28x28x128 weights=f32:hwio:3x3x128x128 pads=1x1";
  EXPECT_EQ(selected(conv, "x86-64-v2").lanes, 4);
  EXPECT_EQ(selected(conv, "x86-64-v3").lanes, 8);
  EXPECT_EQ(selected(conv, "x86-64-v4").lanes, 16);
  EXPECT_EQ(selected(conv, testing::kAArch64).lanes, 4);
}

TEST(SelectScheduleChoice, LargeLayersGetTilesThatHideTheLatency) {
  for (const std::string& target : testing::all_target_names()) {
    const Schedule schedule = selected(
        "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=1x1 accuracy=strict",
        target);
    EXPECT_GE(schedule.tile_pixels * schedule.tile_vectors, 8) << target;
    EXPECT_NE(schedule.unroll, Unroll::kFull) << target;
  }
}

TEST(SelectScheduleChoice, DepthwiseWhereItApplies) {
  const std::string filter = " weights=f32:hwio:3x3x1x64 groups=64 pads=1x1";
  EXPECT_EQ(selected("conv2d src=f32:nhwc:1x9x9x64" + filter, "x86-64-v3").algorithm,
            Algorithm::kDepthwise);
  EXPECT_EQ(selected("conv2d src=f32:nchw:1x64x9x9" + filter, "x86-64-v3").algorithm,
            Algorithm::kPlanar);
}

constexpr const char* kGroupsOf4 =
    "conv2d src=f32:nhwc:1x56x56x128 weights=f32:hwio:3x3x4x128 pads=1x1 groups=32";

TEST(SelectScheduleChoice, RotatedForSquareGroupsOfFewChannels) {
  for (const std::string target : {"x86-64-v3", "x86-64-v4"}) {
    const Schedule schedule = selected(kGroupsOf4, target);
    EXPECT_EQ(schedule.algorithm, Algorithm::kRotated) << target;
    EXPECT_EQ(schedule.unroll, Unroll::kTaps) << target;
    EXPECT_EQ(schedule.ic_unroll, 1) << target;
  }
}

// Its sums are in an order of their own.
TEST(SelectScheduleChoice, NeverRotatedUnderStrict) {
  for (const std::string& target : testing::all_target_names())
    for (const int channels : {1, 2, 4, 8, 16})
      for (const int groups : {2, 32, 33}) {
        const std::string conv = fmt::format(
            "conv2d src=f32:nhwc:1x28x28x{} weights=f32:hwio:3x3x{}x{} groups={} accuracy=strict",
            channels * groups, channels, channels * groups, groups);
        EXPECT_NE(selected(conv, target).algorithm, Algorithm::kRotated) << target << ": " << conv;
      }
}

// Turning 16 sums costs more than broadcasts that fill a vector anyhow.
TEST(SelectScheduleChoice, DirectForGroupsOf16Channels) {
  for (const std::string& target : testing::all_target_names())
    EXPECT_EQ(selected("conv2d src=f32:nhwc:1x14x14x512 weights=f32:hwio:3x3x16x512 pads=1x1 "
                       "groups=32",
                       target)
                  .algorithm,
              Algorithm::kDirect)
        << target;
}

TEST(SelectScheduleChoice, ReasonCountsEachRotationAsAnAccumulator) {
  const Selection selection = select_schedule(conv_of(kGroupsOf4), target_of("x86-64-v4"));
  const Schedule& s = selection.schedule;
  EXPECT_THAT(selection.reason,
              ::testing::HasSubstr(fmt::format("keep {} of 32 registers as accumulators",
                                               4 * s.tile_pixels * s.tile_vectors)));
}

// Where lanes span groups and src and dst pass L2, they pass once, in the order of memory.
TEST(SelectScheduleChoice, ChannelsInnermostWhereGroupsPassL2) {
  const std::string filter = " weights=f32:hwio:3x3x1x144 pads=1x1 groups=144";
  const std::string large = "conv2d src=f32:nhwc:1x56x56x144" + filter;  // 3.6 MB of src and dst
  const std::string small = "conv2d src=f32:nhwc:1x14x14x144" + filter;  // 0.2 MB
  for (const std::string& name : testing::all_target_names()) {
    EXPECT_EQ(selected(large, name).order, LoopOrder::kOcInner) << name;
    EXPECT_EQ(selected(small, name).order, LoopOrder::kPixelOuter) << name;
    Target target = target_of(name);
    target.l2_bytes = int64_t{16} << 20;
    EXPECT_EQ(select_schedule(conv_of(large), target).schedule.order, LoopOrder::kPixelOuter);
    target.l2_bytes = int64_t{1} << 17;
    EXPECT_EQ(select_schedule(conv_of(small), target).schedule.order, LoopOrder::kOcInner);
  }
  EXPECT_EQ(selected(kGroupsOf4, "x86-64-v4").order, LoopOrder::kOcInner);
}

// Tasks of depthwise layers are columns, so narrow that the next row finds its sources in L1.
TEST(SelectScheduleChoice, DepthwiseTasksStayInL1) {
  for (const int channels : {32, 64, 96, 128, 256, 512})
    for (const std::string& name : testing::all_target_names()) {
      const ir::Conv conv = conv_of(fmt::format(
          "conv2d src=f32:nhwc:1x28x28x{0} weights=f32:hwio:3x3x1x{0} pads=1x1 groups={0}",
          channels));
      Target target = target_of(name);
      target.l1d_bytes = 48 << 10;
      target.l2_bytes = int64_t{16} << 20;
      const Schedule schedule = select_schedule(conv, target).schedule;
      const NestShape shape = nest_shape(conv, schedule);
      SCOPED_TRACE(fmt::format("{} channels on {}: {}", channels, name, print_schedule(schedule)));
      const int64_t kept = tiles_in_l1(shape, target, schedule);
      EXPECT_GE(kept, 1);
      EXPECT_LE(schedule.tiles_per_task == 0 ? shape.row_tiles : schedule.tiles_per_task, kept);
    }
}

TEST(SelectScheduleChoice, ChannelsInnermostForGroupsOnly) {
  for (const std::string& target : testing::all_target_names())
    for (const std::string& text : testing::layer_texts()) {
      const Schedule schedule = selected(text, target);
      EXPECT_TRUE(lanes_span_groups(schedule.algorithm) || schedule.order != LoopOrder::kOcInner)
          << target << ": " << text;
    }
}

// Weights beyond half of L2 are fetched ahead by 2 to 16 tiles a block: a single tile reads as fast
// as anything could fetch, and among many the first one's wait is lost. Steps of less than a line
// (SSE, without FMA) fetch nothing.
TEST(SelectScheduleChoice, FewTilesFetchTheNextBlock) {
  int one = 0, few = 0, many = 0;
  for (const std::string target : {"x86-64-v3", "x86-64-v4"})
    for (const int size : {1, 2, 7, 8, 9, 10, 14, 16, 28, 56}) {
      const std::string text = fmt::format(
          "conv2d src=f32:nhwc:1x{}x{}x512 weights=f32:hwio:3x3x512x512 pads=1x1 accuracy=strict",
          size, size);
      const Schedule schedule = selected(text, target);
      const int64_t in_a_row = schedule.tiles_per_task != 0
                                   ? schedule.tiles_per_task
                                   : nest_shape(conv_of(text), schedule).row_tiles;
      const int64_t tiles = schedule.rows_per_task * in_a_row;
      SCOPED_TRACE(target + ": " + text + "\n  " + print_schedule(schedule));
      const bool spills = schedule.accumulators(schedule.tile_pixels, schedule.tile_vectors) >= 28;
      EXPECT_EQ(schedule.prefetch > 0, tiles >= 2 && tiles <= 16 && !spills);
      ++(tiles < 2 ? one : tiles <= 16 ? few : many);
    }
  EXPECT_GE(std::min({one, few, many}), 2) << "of each kind";
  EXPECT_EQ(
      selected("conv2d src=f32:nhwc:1x1x1x512 weights=f32:hwio:1x1x512x1000", "x86-64-v4").prefetch,
      0);
}

TEST(SelectScheduleChoice, TinyConvolutionsHaveNoLoop) {
  EXPECT_EQ(selected("conv2d src=f32:nhwc:1x2x2x2 weights=f32:hwio:2x2x2x4", "x86-64-v3").unroll,
            Unroll::kFull);
}

TEST(SelectScheduleChoice, ThreadsGetTasks) {
  const std::string conv =
      "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=1x1 accuracy=strict";
  const int64_t tasks = count_tasks(conv_of(conv), selected(conv, "x86-64-v3", 16));
  EXPECT_GE(tasks, 16);
}

TEST(SelectScheduleChoice, ThreadsShareASingleRow) {
  for (const char* conv :
       {"conv1d src=f32:nwc:1x4000x256 weights=f32:wio:5x1x256 groups=256 pads=same",
        "conv1d src=f32:nwc:1x512x16 weights=f32:wio:3x1x16 groups=16 pads=same",
        "conv1d src=f32:nwc:1x4000x32 weights=f32:wio:5x32x32 pads=same accuracy=strict"})
    EXPECT_GE(count_tasks(conv_of(conv), selected(conv, "x86-64-v4", 2)), 2) << conv;
}

TEST(SelectScheduleChoice, BorderTilesShareCodeWithARunOfInteriorOnes) {
  const auto edges = [](const std::string& src, const std::string& rest) {
    return selected("conv2d src=f32:nhwc:" + src + " accuracy=strict " + rest, "x86-64-v4").edges;
  };
  const std::string full = "weights=f32:hwio:3x3x64x64 pads=same";
  EXPECT_EQ(edges("1x112x112x64", full), Edges::kShared);
  EXPECT_EQ(edges("1x14x14x64", full), Edges::kExact) << "every tile stands alone";
  EXPECT_EQ(edges("1x112x112x64", "weights=f32:hwio:3x3x64x64"), Edges::kExact) << "no border";
  EXPECT_EQ(edges("1x112x112x128", "weights=f32:hwio:3x3x4x128 pads=same groups=32"),
            Edges::kShared)
      << "strict groups are not rotated";
}

// Rows or tiles of the busiest of two threads, each with half of the tasks in a row, against half
// of all.
double share_of_busiest(const std::string& text) {
  const ir::Conv conv = conv_of(text);
  const Schedule schedule = selected(text, "x86-64-v4", 2);
  const NestShape shape = nest_shape(conv, schedule);
  const bool rows = schedule.tiles_per_task == 0;
  const int64_t items = rows ? shape.out.h : shape.row_tiles;
  const int64_t run = rows ? schedule.rows_per_task : schedule.tiles_per_task;
  const int64_t runs = (items + run - 1) / run;
  const int64_t outer = shape.tasks() / runs;
  std::vector<int64_t> load;
  for (int64_t task = 0; task < outer * runs; ++task)
    load.push_back(std::min(run, items - task % runs * run));
  const auto half = load.begin() + static_cast<int64_t>(load.size() + 1) / 2;
  const double first = static_cast<double>(std::accumulate(load.begin(), half, int64_t{0}));
  const double all = static_cast<double>(std::accumulate(load.begin(), load.end(), int64_t{0}));
  return std::max(first, all - first) / (all / 2);
}

TEST(SelectScheduleChoice, TwoThreadsGetEqualShares) {
  for (const char* conv :
       {"conv2d src=f32:nhwc:1x28x28x64 weights=f32:hwio:3x3x64x64 pads=same",
        "conv2d src=f32:nhwc:1x56x56x128 weights=f32:hwio:3x3x128x128 pads=same strides=2x2",
        "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:1x1x64x64",
        "conv2d src=f32:nhwc:1x28x28x512 weights=f32:hwio:1x1x512x128",
        "conv2d src=f32:nhwc:1x28x28x32 weights=f32:hwio:1x1x32x192",
        "conv2d src=f32:nhwc:1x45x80x24 weights=f32:hwio:3x3x24x24 pads=same",
        "conv2d src=f32:nhwc:1x110x110x144 weights=f32:hwio:3x3x1x144 groups=144 pads=same"})
    EXPECT_LE(share_of_busiest(conv), 1.08) << conv;
}

std::string depthwise(const std::string& size) {
  const std::string channels = size.substr(size.rfind('x') + 1);
  return "conv2d src=f32:nhwc:1x" + size + " weights=f32:hwio:3x3x1x" + channels +
         " pads=same groups=" + channels;
}
Schedule selected_depthwise(const std::string& size, int threads) {
  return selected(depthwise(size), "x86-64-v4", threads);
}

// What one task goes down shares the weights of its column.
TEST(SelectScheduleChoice, GroupsShareColumnsThenChannelsThenRows) {
  const Schedule alone = selected_depthwise("14x14x384", 1);
  EXPECT_EQ(alone.rows_per_task, 14);
  EXPECT_EQ(alone.tiles_per_task, 0);
  const Schedule columns = selected_depthwise("14x14x384", 2);
  EXPECT_EQ(columns.order, LoopOrder::kPixelOuter);
  EXPECT_EQ(columns.rows_per_task, 14);
  EXPECT_EQ(columns.tiles_per_task, 1) << "two tiles of 7 pixels";
  const Schedule channels = selected_depthwise("7x7x960", 2);
  EXPECT_EQ(channels.order, LoopOrder::kOcOuter) << "one tile, and an odd number of rows";
  EXPECT_EQ(channels.rows_per_task, 7);
  const Schedule rows = selected_depthwise("28x7x16", 2);
  EXPECT_EQ(rows.order, LoopOrder::kPixelOuter) << "one vector of channels";
  EXPECT_EQ(rows.rows_per_task, 14);
}

TEST(SelectScheduleChoice, GroupsKeepEveryThreadBusy) {
  for (const char* size : {"112x112x32", "56x56x144", "28x28x240", "14x14x384", "7x7x960"})
    for (const int threads : {2, 3, 4, 7, 8, 16}) {
      const Schedule schedule = selected_depthwise(size, threads);
      const NestShape shape = nest_shape(conv_of(depthwise(size)), schedule);
      const int64_t tiles =
          schedule.tiles_per_task == 0 ? shape.row_tiles : schedule.tiles_per_task;
      const int64_t blocks = schedule.order == LoopOrder::kOcOuter ? shape.oc_blocks : 1;
      const int64_t busiest = (shape.tasks() + threads - 1) / threads;
      const double work = static_cast<double>(busiest * schedule.rows_per_task * tiles);
      const double all = static_cast<double>(blocks * shape.out.h * shape.row_tiles);
      EXPECT_LE(work, 1.35 * all / threads) << size << " " << print_schedule(schedule);
    }
}

// 1080p of 3 channels are 25 MB in and 25 MB out; 224x224 of 64 channels 13 and 13.
TEST(SelectScheduleChoice, StreamsWhatPassesTheLastCache) {
  const std::string picture = "conv2d src=f32:nhwc:1x1080x1920x3 weights=f32:hwio:3x3x3x3 pads=1x1";
  const std::string layer = "conv2d src=f32:nhwc:1x224x224x64 weights=f32:hwio:3x3x64x64 pads=1x1";
  const auto stores = [](const std::string& conv, const std::string& name, int64_t l3_mib) {
    Target target = target_of(name);
    target.l3_bytes = l3_mib << 20;
    return select_schedule(conv_of(conv), target).schedule.stores;
  };
  for (const char* target : {"x86-64-v2", "x86-64-v3", "x86-64-v4"})
    for (const std::string& conv : {picture, layer, layer + " accuracy=strict"}) {
      EXPECT_EQ(stores(conv, target, 32), Stores::kStreaming) << target << " " << conv;
      EXPECT_EQ(stores(conv, target, 96), Stores::kCached) << target << " " << conv;
    }
  EXPECT_EQ(stores(layer + " post=add", "x86-64-v4", 32), Stores::kCached) << "dst may be read";
  EXPECT_EQ(stores(layer + " dst=f32:nchw", "x86-64-v4", 32), Stores::kCached) << "not by vectors";
  EXPECT_EQ(stores(layer, testing::kAArch64, 32), Stores::kCached);
}

TEST(SelectScheduleChoice, StagedWhereFewChannelsComeLast) {
  for (const std::string& target : isa_levels()) {
    for (const char* size : {"256x256", "1080x1920", "64x64"}) {
      const std::string conv = "conv2d src=f32:nhwc:1x" + std::string(size) +
                               "x3 weights=f32:hwio:3x3x3x3 pads=1x1 accuracy=strict";
      const Schedule schedule = selected(conv, target);
      EXPECT_EQ(schedule.algorithm, Algorithm::kStaged) << target << " " << conv;
      EXPECT_EQ(schedule.tile_vectors, 3) << "channels leave a tile together";
      EXPECT_EQ(schedule.merge_rows, false);
      EXPECT_EQ(schedule.prefetch, 0);
    }
  }
}

TEST(SelectScheduleChoice, PlanarWherePixelsAreNeighbours) {
  for (const std::string& target : isa_levels()) {
    const char* filter = " weights=f32:hwio:3x3x1x1 pads=1x1";
    for (const char* src : {"nhwc:1x256x256x1", "nchw:1x1x256x256"})
      EXPECT_EQ(selected("conv2d src=f32:" + std::string(src) + filter, target).algorithm,
                Algorithm::kPlanar)
          << target << " " << src;
  }
}

TEST(SelectScheduleChoice, StagedForStridesOfPlanes) {
  const std::string conv =
      "conv2d src=f32:nchw:1x64x56x56 weights=f32:oihw:64x1x3x3 groups=64 strides=2x2 pads=1x1";
  for (const std::string& target : isa_levels())
    EXPECT_EQ(selected(conv, target).algorithm, Algorithm::kStaged) << target;
}

TEST(SelectScheduleChoice, DirectWhereChannelsFillVectors) {
  const std::string filter = " weights=f32:hwio:3x3x64x64 pads=1x1 accuracy=strict";
  for (const std::string& target : isa_levels())
    EXPECT_EQ(selected("conv2d src=f32:nhwc:1x56x56x64" + filter, target).algorithm,
              Algorithm::kDirect)
        << target;
}

// Few channels, in rows of all lengths: what a stage may be chosen for.
std::vector<ir::Conv> convs_of_few_channels() {
  std::vector<ir::Conv> convs;
  for (const char* src : {"nhwc:1x40x{1}x{0}", "nchw:1x{0}x40x{1}"})
    for (int ic : {1, 2, 3, 5, 8, 16, 33, 64, 200})
      for (int oc : {1, 3, 8, 20, 40, 600})
        for (int width : {20, 41, 130, 600, 2000, 9000})
          for (const char* rest : {"3x3x{0}x{2} pads=1x1", "5x5x{0}x{2} strides=2x2",
                                   "1x7x{0}x{2} strides=1x3", "7x1x{0}x{2} dilations=3x1"})
            convs.push_back(conv_of(fmt::format(
                fmt::runtime("conv2d src=f32:" + std::string(src) + " weights=f32:hwio:" + rest),
                ic, width, oc)));
  return convs;
}

// A stage is read again and again while dst passes: it must stay in L2 beside it. The rows of a
// task are staged once, not once for each block of output channels.
TEST(SelectScheduleChoice, StagesStayInCacheAndAreFilledOnce) {
  int staged = 0;
  for (const std::string& name : isa_levels())
    for (int64_t l2_kib : {128, 256, 2048}) {
      Target target = target_of(name);
      target.l2_bytes = l2_kib << 10;
      for (const ir::Conv& conv : convs_of_few_channels())
        for (int threads : {1, 4}) {
          const Schedule schedule = select_schedule(conv, target, threads).schedule;
          if (schedule.algorithm != Algorithm::kStaged) continue;
          ++staged;
          SCOPED_TRACE(fmt::format("{} with {} KiB, {} threads: {}: {}", name, l2_kib, threads,
                                   ir::print_conv(conv), print_schedule(schedule)));
          EXPECT_LE(4 * stage_floats(conv, schedule), 0.25 * target.l2_bytes);
          if (nest_shape(conv, schedule).oc_blocks > 1) {
            EXPECT_EQ(schedule.order, LoopOrder::kPixelOuter);
          }
          EXPECT_EQ(schedule.tiles_per_task, 0);
        }
    }
  EXPECT_GT(staged, 5000);
}

}  // namespace
}  // namespace convgen::codegen
