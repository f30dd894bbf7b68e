// SPDX-License-Identifier: Apache-2.0
// What schedules take from the core's own model: by the CPU's name, the host's for the host.
#include "codegen/core_model.h"

#include <gtest/gtest.h>

#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::target_of;

Target with_core(Target target, const char* cpu) {
  target.core = core_model(cpu);
  return target;
}

Schedule selected(const std::string& text, const Target& target) {
  return select_schedule(conv_of(text), target).schedule;
}

TEST(CoreModel, CpusThatWereNotMeasuredHaveTheDefaults) {
  for (const char* cpu : {"", "x86-64-v4", "znver3", "graniterapids", "neoverse-n1"})
    EXPECT_EQ(core_model(cpu).memory_bytes, CoreModel().memory_bytes) << cpu;
  EXPECT_GT(core_model("znver5").memory_bytes, CoreModel().memory_bytes);
}

// A named target has its own core; on the host's triple it has the host's, which runs it.
TEST(CoreModel, TargetsHaveTheCoreTheyRunOn) {
  const double zen = core_model("znver5").memory_bytes;
  EXPECT_EQ(target_of("znver5").core.memory_bytes, zen);
  EXPECT_EQ(target_of("x86-64-v4").core.memory_bytes, CoreModel().memory_bytes);
  const Target host = *host_target();
  EXPECT_EQ(host.core.memory_bytes, core_model(host.tune_cpu).memory_bytes);
  const Result<Target> lower = make_target("", "", "-avx512vl");
  ASSERT_TRUE(lower.ok()) << lower.status().message();
  EXPECT_EQ(lower->core.memory_bytes, host.core.memory_bytes);
}

// The core decides what is chosen, never which instructions.
TEST(CoreModel, NoPartOfTheTargetsKey) {
  const Target target = target_of("x86-64-v4");
  EXPECT_EQ(target.key(), with_core(target, "znver5").key());
}

TEST(CoreModel, Zen5WalksNoDepthwiseLayerInTheOrderOfMemory) {
  const std::string large =
      "conv2d src=f32:nhwc:1x56x56x144 weights=f32:hwio:3x3x1x144 pads=1x1 groups=144";
  const Target other = target_of("x86-64-v4");
  EXPECT_EQ(selected(large, other).order, LoopOrder::kOcInner);
  EXPECT_EQ(selected(large, with_core(other, "znver5")).order, LoopOrder::kPixelOuter);
}

TEST(CoreModel, Zen5LoopsOverRowsOfFiveTaps) {
  const Target target = with_core(target_of("x86-64-v4"), "znver5");
  const auto unroll_of = [&](const std::string& kernel, const Target& on) {
    return selected("conv2d src=f32:nhwc:1x28x28x240 weights=f32:hwio:" + kernel +
                        "x1x240 pads=same groups=240",
                    on)
        .unroll;
  };
  EXPECT_EQ(unroll_of("3x3", target), Unroll::kTaps);
  EXPECT_EQ(unroll_of("5x5", target), Unroll::kRow);
  EXPECT_EQ(unroll_of("5x5", target_of("x86-64-v4")), Unroll::kTaps);
}

// Whatever the core, groups whose weights pass L1 keep them in registers over many pixels.
TEST(CoreModel, WeightsBeyondL1AreNotReadForEachTile) {
  const std::string src = "conv2d src=f32:nhwc:1x56x56x256 weights=f32:hwio:3x3x";
  for (const char* cpu : {"x86-64-v4", "znver5"}) {
    const Target target = with_core(target_of("x86-64-v4"), cpu);
    EXPECT_EQ(selected(src + "2x256 pads=1x1 groups=128", target).order, LoopOrder::kOcInner);
    EXPECT_EQ(selected(src + "8x256 pads=1x1 groups=32", target).order, LoopOrder::kPixelOuter);
  }
}

// Weights that stream behind the products make large filters cheaper, not dearer.
TEST(CoreModel, OverlappedStreamsCostLess) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x14x14x512 weights=f32:hwio:3x3x512x512 pads=1x1");
  Target target = target_of("x86-64-v4");
  const double alone = select_schedule(conv, target).predicted_cycles;
  target.core.winograd.stream_overlap = 1;
  EXPECT_LT(select_schedule(conv, target).predicted_cycles, alone);
}

}  // namespace
}  // namespace convgen::codegen
