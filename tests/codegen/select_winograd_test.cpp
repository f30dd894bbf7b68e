// SPDX-License-Identifier: Apache-2.0
// Where winograd is chosen, where never, and that what is chosen stays within memory and threads.
#include "codegen/select_winograd.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "codegen/code_size.h"
#include "codegen/compile.h"
#include "codegen/cost_model.h"
#include "codegen/nest_shape.h"
#include "codegen/packed_layout.h"
#include "codegen/winograd.h"
#include "ir/random_conv.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::target_of;

Schedule selected(const std::string& conv, const std::string& target, int threads = 1) {
  return select_schedule(conv_of(conv), target_of(target), threads).schedule;
}

std::vector<std::string> layers_named(const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const std::string& text : testing::layer_texts())
    for (const std::string& name : names)
      if (testing::test_name_of(conv_of(text).name) == name) found.push_back(text);
  EXPECT_EQ(found.size(), names.size());
  return found;
}

std::vector<std::string> layers_of_3x3() {
  return layers_named({"resnet50_res2_3x3", "resnet50_res3_3x3", "resnet50_res4_3x3",
                       "vgg16_conv1_2", "vgg16_conv2_2", "vgg16_conv3_2", "vgg16_conv4_2",
                       "vgg16_conv5_1", "deeplab_d2"});
}

TEST(SelectWinograd, ForTheLayersOf3x3) {
  for (const std::string& target : isa_levels())
    for (const std::string& text : layers_of_3x3())
      for (const int threads : {1, 4}) {
        const Selection selection = select_schedule(conv_of(text), target_of(target), threads);
        EXPECT_EQ(selection.schedule.algorithm, Algorithm::kWinograd) << target << ": " << text;
        EXPECT_THAT(selection.reason, ::testing::HasSubstr("winograd F("));
      }
}

TEST(SelectWinograd, NeverUnderStrict) {
  for (const std::string& target : testing::all_target_names())
    for (const std::string& text : testing::layer_texts())
      EXPECT_NE(selected(text + " accuracy=strict", target).algorithm, Algorithm::kWinograd)
          << text;
}

TEST(SelectWinograd, NeverForWhatItCannotRun) {
  for (const std::string& target : testing::all_target_names())
    for (const std::string& text : testing::layer_texts())
      EXPECT_TRUE(can_run_winograd(conv_of(text)) ||
                  selected(text, target).algorithm != Algorithm::kWinograd)
          << text;
}

// A few microseconds are not worth a larger error.
TEST(SelectWinograd, NeverForSmallConvolutions) {
  for (const std::string& name : testing::all_target_names()) {
    const Target target = target_of(name);
    for (uint64_t index = 0; index < 500; ++index) {
      const ir::Conv conv = ir::random_conv(3, index);
      EXPECT_TRUE(conv.multiply_adds() > 1e6 ||
                  select_schedule(conv, target).schedule.algorithm != Algorithm::kWinograd)
          << ir::print_conv(conv);
    }
    EXPECT_NE(selected("conv2d src=f32:nhwc:1x14x14x32 weights=f32:hwio:3x3x32x32 pads=1x1", name)
                  .algorithm,
              Algorithm::kWinograd);
  }
}

std::vector<ir::Conv> large_convs() {
  std::vector<ir::Conv> convs;
  for (const char* taps : {"3x3", "1x3", "5x1", "5x5"})
    for (const char* size : {"7x7", "14x14", "56x56", "224x224", "3x2000"})
      for (const int ic : {16, 100, 512})
        for (const int oc : {24, 512})
          for (const char* rest : {"", " dilations=2x2", " dst=f32:nchw post=bias,relu"})
            convs.push_back(conv_of(fmt::format(
                "conv2d src=f32:nhwc:1x{0}x{1} weights=f32:hwio:{2}x{1}x{3} pads=4x4{4}", size, ic,
                taps, oc, rest)));
  return convs;
}

// Legal, comfortable to compile, scratch within its limit, prefetch only of weights that leave L2.
TEST(SelectWinograd, KeepsItsLimits) {
  int chosen = 0;
  for (const std::string& name : testing::all_target_names()) {
    const Target target = target_of(name);
    for (const ir::Conv& conv : large_convs()) {
      const Schedule schedule = select_schedule(conv, target, 2).schedule;
      if (schedule.algorithm != Algorithm::kWinograd) continue;
      ++chosen;
      SCOPED_TRACE(name + ": " + ir::print_conv(conv) + "\n  " + print_schedule(schedule));
      EXPECT_TRUE(check_schedule(schedule, conv, target).ok());
      EXPECT_LE(estimate_code_size(conv, schedule).total, 8192);
      EXPECT_LE(static_cast<double>(scratch_bytes(conv, schedule)), 4 * kMaxScratchFloats);
      EXPECT_EQ(schedule.unroll, Unroll::kTile);
      EXPECT_NE(schedule.order, LoopOrder::kOcInner);
      EXPECT_LE(schedule.tile_pixels,
                max_tile_pixels(target, Algorithm::kDirect, schedule.tile_vectors));
      EXPECT_TRUE(schedule.prefetch == 0 ||
                  8 * packed_layout(conv, schedule).elements() > target.l2_bytes);
    }
  }
  EXPECT_GE(chosen, 100);
}

// Where there is work for all threads nearly all have a task, and none gets much more than its
// share. Not always all: 196 tiles for 16 threads are 13 tasks of 16, better than 17 of 12.
TEST(SelectWinograd, ThreadsGetTasks) {
  for (const std::string& target : isa_levels())
    for (const std::string& text : layers_of_3x3())
      for (const int threads : {2, 4, 16}) {
        const ir::Conv conv = conv_of(text);
        const Schedule schedule = selected(text, target, threads);
        if (schedule.algorithm != Algorithm::kWinograd) continue;
        const WinogradShape shape = winograd_shape(conv, schedule);
        SCOPED_TRACE(
            fmt::format("{} threads, {}: {}: {}", threads, target, text, print_schedule(schedule)));
        EXPECT_GE(4 * shape.tasks(), 3 * std::min<int64_t>(threads, shape.tiles / 4));
        const int64_t busiest =
            (shape.tasks() + threads - 1) / threads * shape.tiles_per_task * shape.blocks_per_task;
        EXPECT_LE(static_cast<double>(busiest),
                  1.5 * static_cast<double>(shape.tiles * shape.blocks) / threads +
                      4.0 * static_cast<double>(shape.blocks_per_task));
      }
}

// Bits may not depend on the number of threads: neither may the algorithm nor its output tile.
TEST(SelectWinograd, ThreadsChangeNoBit) {
  int winograd = 0;
  for (const std::string& target : isa_levels())
    for (const std::string& text : layers_of_3x3()) {
      const Schedule alone = selected(text, target, 1);
      for (const int threads : {2, 3, 8, 64}) {
        const Schedule shared = selected(text, target, threads);
        EXPECT_EQ(alone.algorithm, shared.algorithm) << threads << " threads: " << text;
        if (alone.algorithm != Algorithm::kWinograd) continue;
        EXPECT_EQ(alone.output_tile, shared.output_tile) << threads << " threads: " << text;
        ++winograd;
      }
    }
  EXPECT_GE(winograd, 40);
}

// The chain is there three times: a very long one is direct's.
TEST(SelectWinograd, LongChainsAreLeftToDirect) {
  const std::string layer = "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=1x1";
  std::string chain = " post=gelu";
  EXPECT_EQ(selected(layer + chain, "x86-64-v4").algorithm, Algorithm::kWinograd);
  for (int i = 0; i < 100; ++i) chain += ",gelu,tanh";
  EXPECT_EQ(selected(layer + chain, "x86-64-v4").algorithm, Algorithm::kDirect);
}

}  // namespace
}  // namespace convgen::codegen
