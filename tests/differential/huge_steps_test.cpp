// SPDX-License-Identifier: Apache-2.0
// Strides, dilations and pads that only just fit int64: how far apart taps lie in memory does not.
// Results are right all the same, since no address outside of the tensors is read; that nothing
// overflows on the way is seen under the preset ubsan.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/verify.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

// P stands for 2^60, Q for 2^62 - 1, M for 2^63 - 1 less the size of the image.
const std::vector<const char*> kHugeSteps = {
    // The middle taps see the image, the others are padding.
    "conv1d src=f32:nwc:1x5x8 weights=f32:wio:3x8x20 dilations=P pads=P:P",
    "conv1d src=f32:nwc:1x5x8 weights=f32:wio:3x8x20 dilations=P pads=P:P pad_value=2",
    "conv1d src=f32:ncw:2x3x37 weights=f32:oiw:5x3x3 dilations=P pads=P:P post=bias",
    "conv1d src=f32:nwc:1x13x1 weights=f32:wio:3x1x4 dilations=P pads=P:P",
    "conv1d src=f32:nwc:1x9x20 weights=f32:wio:3x4x20 groups=5 dilations=P pads=P:P",
    "conv1d src=f32:nwc:1x9x19 weights=f32:wio:3x1x19 groups=19 dilations=P pads=P:P",
    "conv1d src=f32:nwc:1x9x19 weights=f32:wio:3x1x19 groups=19 dilations=P pads=P:P pad_value=2",
    "conv2d src=f32:nhwc:1x4x5x16 weights=f32:hwio:3x3x16x24 dilations=PxP pads=P:PxP:P",
    "conv2d src=f32:nchw:1x3x4x5 weights=f32:oihw:7x3x3x3 dilations=PxP pads=P:PxP:P pad_value=1",
    "conv2d src=f32:nhwc:1x4x5x7 weights=f32:hwio:3x3x1x7 groups=7 dilations=PxP pads=P:PxP:P",
    "conv3d src=f32:ndhwc:1x2x3x4x5 weights=f32:dhwio:3x3x3x5x9 dilations=PxPxP pads=P:PxP:PxP:P",
    // The first tap is padding, the second sees the image; and the other way round.
    "conv1d src=f32:nwc:1x5x8 weights=f32:wio:2x8x20 dilations=Q pads=Q:0",
    "conv2d src=f32:nhwc:1x5x6x8 weights=f32:hwio:2x2x8x20 dilations=QxQ pads=0:Qx0:Q",
    // The first output sees the image, the second padding.
    "conv1d src=f32:nwc:1x5x8 weights=f32:wio:1x8x20 strides=Q pads=0:Q",
    "conv1d src=f32:nwc:1x5x8 weights=f32:wio:1x8x20 strides=Q pads=0:Q pad_value=3",
    "conv2d src=f32:nhwc:1x3x3x8 weights=f32:hwio:3x3x1x8 groups=8 strides=QxQ pads=0:Qx0:Q",
    "conv2d src=f32:nchw:1x4x3x3 weights=f32:oihw:5x4x3x3 strides=QxQ pads=0:Qx0:Q",
    "conv2d src=f32:nhwc:1x3x9x16 weights=f32:hwio:3x3x16x16 strides=Qx1 pads=Q:0x1:1",
    // As large as it gets.
    "conv1d src=f32:nwc:1x5x8 weights=f32:wio:2x8x20 dilations=M pads=M:0",
    "conv1d src=f32:nwc:1x5x8 weights=f32:wio:1x8x20 strides=M pads=0:M",
    "conv1d src=f32:ncw:1x3x5 weights=f32:oiw:4x3x1 strides=M pads=M:0",
};

ir::Conv huge_conv(std::string text) {
  for (const auto& [letter, number] :
       {std::pair{'P', int64_t{1} << 60}, std::pair{'Q', (int64_t{1} << 62) - 1},
        std::pair{'M', INT64_MAX - 5}})
    for (size_t at; (at = text.find(letter)) != std::string::npos;)
      text.replace(at, 1, std::to_string(number));
  return conv_of(text);
}

const std::vector<const char*> kWords = {
    "",
    "direct tile=3x2 unroll=tile",
    "direct tile=2x1 unroll=full order=pixel_outer",
    "direct tile=4x1 unroll=taps edges=ranged rows_per_task=2305843009213693952",
    "direct tile=14x1 unroll=row edges=shared epilogue=loop tiles_per_task=2305843009213693952",
    "planar tile=16x2 unroll=tile edges=ranged",
    "planar tile=16x2 unroll=taps edges=exact",
    "staged tile=16x2 order=pixel_outer unroll=tile merge_rows=0 prefetch=0",
    "staged tile=16x2 order=pixel_outer unroll=tile merge_rows=0 prefetch=0 edges=ranged "
    "rows_per_task=2305843009213693952",
    "grouped tile=2x1 unroll=row",
    "grouped tile=2x1 unroll=tile edges=ranged",
    "rotated tile=2x1 unroll=taps",
    "depthwise tile=4x2 unroll=taps",
    "depthwise tile=5x1 unroll=row edges=ranged order=oc_inner",
    "winograd",
};

void expect_right(const ir::Conv& conv, const Kernel& kernel, const Reproducer& again) {
  for (const VerifyData data : {VerifyData::kIntegers, VerifyData::kReals}) {
    const Result<VerifyReport> report = verify_kernel(kernel, {.seed = 1, .data = data});
    ASSERT_TRUE(report.ok()) << report.status().message() << "\n  again: " << again.text(conv);
    EXPECT_TRUE(report->pass) << report->failure << "\n  again: " << again.text(conv);
    EXPECT_EQ(report->checked_outputs, conv.dst_elements());
  }
}

class HugeStepsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(HugeStepsTest, AreRight) {
  const ir::Conv conv = huge_conv(GetParam());
  for (const auto& [mcpu, engine] : make_engines()) {
    int accepted = 0;
    for (const char* words : kWords) {
      const Result<Kernel> kernel = engine.compile(conv, with_schedule(words));
      if (!kernel.ok()) {
        EXPECT_EQ(kernel.status().message().rfind("schedule ", 0), 0u) << kernel.status().message();
        continue;
      }
      ++accepted;
      expect_right(conv, *kernel, {.mcpu = mcpu, .schedule = words});
    }
    EXPECT_GE(accepted, 4) << mcpu;
  }
  const Engine engine = make_engine();
  expect_right(conv, compile_kernel(engine, conv, generic_engine()), {.engine = "generic"});
}

INSTANTIATE_TEST_SUITE_P(Shapes, HugeStepsTest, ::testing::ValuesIn(kHugeSteps));

}  // namespace
}  // namespace convgen::testing
