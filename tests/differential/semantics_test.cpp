// SPDX-License-Identifier: Apache-2.0
// What a kernel does with NaN, Inf and padding, on shapes that take every way through the emitters
// and on odd schedules: the same on all of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "ir/text.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Channel counts around the lanes, both layouts, groups, depthwise with and without multiplier,
// strides, dilations, one, two and three spatial axes; all with padding at every border.
const char* const kShapes[] = {
    "conv2d src=f32:nhwc:1x5x6x1 weights=f32:hwio:3x3x1x1 pads=1x1",
    "conv2d src=f32:nhwc:1x5x9x3 weights=f32:hwio:3x3x3x16 pads=1x1",
    "conv2d src=f32:nhwc:1x4x7x17 weights=f32:hwio:3x3x17x19 pads=2:1x1:2",
    "conv2d src=f32:nchw:1x3x7x8 weights=f32:oihw:5x3x3x3 pads=1x1",
    "conv2d src=f32:nhwc:1x5x40x3 weights=f32:hwio:3x3x3x3 pads=1x1",
    "conv2d src=f32:nchw:2x8x6x6 weights=f32:hwio:3x2x8x33 dst=f32:nhwc pads=2:1x1:0",
    "conv2d src=f32:nhwc:1x8x8x8 weights=f32:oihw:8x8x3x3 dst=f32:nchw strides=2x2 pads=1x1",
    "conv2d src=f32:nhwc:1x7x7x16 weights=f32:hwio:3x3x1x16 groups=16 pads=1x1",
    "conv2d src=f32:nhwc:1x7x9x13 weights=f32:hwio:5x5x1x13 groups=13 strides=2x1 pads=2x2",
    "conv2d src=f32:nhwc:1x6x6x4 weights=f32:hwio:3x3x1x12 groups=4 pads=1x1",
    "conv2d src=f32:nchw:1x6x6x5 weights=f32:oihw:6x3x3x2 groups=2 pads=1x1",
    "conv2d src=f32:nhwc:1x6x7x20 weights=f32:hwio:3x3x4x20 groups=5 pads=1x1",
    "conv2d src=f32:nhwc:1x6x7x14 weights=f32:oihw:28x2x3x3 groups=7 strides=1x2 pads=1x1",
    "conv2d src=f32:nhwc:1x9x9x4 weights=f32:hwio:3x3x4x8 dilations=2x3 pads=2x3",
    "conv1d src=f32:nwc:1x20x5 weights=f32:wio:4x5x7 pads=3:2",
    "conv1d src=f32:ncw:2x4x11 weights=f32:oiw:16x4x5 strides=2 pads=2:2",
    "conv3d src=f32:ndhwc:1x3x4x5x3 weights=f32:dhwio:3x3x3x3x9 pads=1x1x1",
};

// Groups with as many outputs as inputs, which rotated takes: 2, 4, 8 and 16 channels, whole
// vectors and tails; all with padding at every border.
const char* const kSquareGroups[] = {
    "conv2d src=f32:nhwc:1x6x7x14 weights=f32:hwio:3x3x2x14 groups=7 pads=1x1",
    "conv2d src=f32:nhwc:1x7x9x20 weights=f32:oihw:20x4x3x3 dst=f32:nchw groups=5 strides=2x2 "
    "pads=1x1",
    "conv2d src=f32:nhwc:1x9x9x24 weights=f32:hwio:3x3x8x24 groups=3 dilations=2x2 pads=2x2",
    "conv1d src=f32:nwc:2x12x48 weights=f32:wio:5x16x48 groups=3 pads=2:2",
    "conv3d src=f32:ndhwc:1x3x4x5x12 weights=f32:dhwio:3x3x3x4x12 groups=3 pads=1x1x1",
};

const char* const kRotated[] = {
    "rotated lanes=4 tile=3x1 unroll=taps",
    "rotated lanes=8 tile=2x2 unroll=taps order=oc_inner",
    "rotated lanes=16 tile=5x1 unroll=row edges=ranged order=oc_inner",
};

const char* const kSchedules[] = {
    "",
    "tile=1x1 unroll=tile edges=ranged",
    "tile=3x1 lanes=4 unroll=taps",
    "tile=2x2 order=pixel_outer ic_unroll=2 epilogue=loop",
    "direct tile=5x1 edges=ranged unroll=taps rows_per_task=2 tiles_per_task=1",
    "direct tile=2x1 prefetch=2",
    "tile=2x1 order=oc_inner unroll=taps rows_per_task=3",
    "direct tile=3x2 order=oc_inner edges=ranged prefetch=1",
    "staged tile=9x3 lanes=4 unroll=tile rows_per_task=2",
};

// Calls check(conv, kernel, how) for every square group by every rotated schedule that fits it, on
// every instruction set.
template <typename Check>
void for_rotated_kernels(const std::string& words, Check check) {
  const auto engines = make_engines();
  size_t accepted = 0;
  for (const char* shape : kSquareGroups) {
    const ir::Conv conv = conv_of(std::string(shape) + words);
    for (const auto& [mcpu, engine] : engines)
      for (const char* schedule : kRotated) {
        const Result<Kernel> kernel = engine.compile(conv, with_schedule(schedule));
        if (!kernel.ok()) continue;
        ++accepted;
        check(conv, *kernel, fmt::format("{} on '{}'", schedule, mcpu));
      }
  }
  EXPECT_GE(accepted, 3 * engines.size()) << "four lanes take three of the shapes everywhere";
}

// Calls check(conv, kernel, how) for every shape by every schedule that fits it, and the generic
// path. `words` are appended to the shape.
template <typename Check>
void for_all_kernels(const std::string& words, Check check) {
  for_rotated_kernels(words, check);
  const Engine engine = make_engine();
  std::vector<const char*> shapes(std::begin(kShapes), std::end(kShapes));
  shapes.insert(shapes.end(), std::begin(kSquareGroups), std::end(kSquareGroups));
  int refused = 0;
  for (const char* shape : shapes) {
    const ir::Conv conv = conv_of(std::string(shape) + words);
    check(conv, compile_kernel(engine, conv, generic_engine()), "generic");
    for (const char* schedule : kSchedules) {
      const Result<Kernel> kernel = engine.compile(conv, with_schedule(schedule));
      if (kernel.ok()) {
        check(conv, *kernel, schedule);
      } else {
        ++refused;
      }
    }
  }
  EXPECT_LE(refused, 8) << "of 198";
}

// An Inf in src or weights times anything, on every path; the interpreter says what is due.
void expect_as_interpreter(const ir::Conv& conv, const Kernel& kernel, const HostTensors& tensors,
                           const std::string& how) {
  EXPECT_TRUE(matches_interpreter(conv, tensors, run_kernel(kernel, tensors))) << how;
}

int64_t count_nan(const std::vector<float>& values) {
  return std::count_if(values.begin(), values.end(), [](float v) { return std::isnan(v); });
}

// How many outputs use position `i` of an axis: the definition, by counting.
int64_t uses_of(const ir::Conv& conv, int axis, int64_t i) {
  int64_t uses = 0;
  for (int64_t o = 0; o < conv.out[axis]; ++o)
    for (int64_t k = 0; k < conv.kernel[axis]; ++k)
      uses += o * conv.strides[axis] + k * conv.dilations[axis] - conv.pads_begin[axis] == i;
  return uses;
}

// One NaN in the first element, first channel of the first pixel: known how many outputs use it.
// Zero weights must not hide it.
TEST(SemanticsTest, NaNReachesEveryOutputThatUsesIt) {
  for_all_kernels("", [](const ir::Conv& conv, const Kernel& kernel, const std::string& how) {
    for (const bool zero_weights : {false, true}) {
      HostTensors tensors = random_tensors(conv, 1, Data::kIntegers);
      if (zero_weights) std::fill(tensors.weights.begin(), tensors.weights.end(), 0.0f);
      tensors.src[0] = kNaN;
      const std::vector<float> dst = run_kernel(kernel, tensors);
      const int64_t expected =
          uses_of(conv, 0, 0) * uses_of(conv, 1, 0) * uses_of(conv, 2, 0) * conv.oc_per_group();
      EXPECT_EQ(count_nan(dst), expected) << how << ": " << ir::print_conv(conv);
      EXPECT_TRUE(matches_interpreter(conv, tensors, dst)) << how;
    }
  });
}

TEST(SemanticsTest, InfReachesEveryOutputThatUsesIt) {
  for_all_kernels("", [](const ir::Conv& conv, const Kernel& kernel, const std::string& how) {
    HostTensors tensors = random_tensors(conv, 2, Data::kReals);
    tensors.src.back() = kInf;
    tensors.src[tensors.src.size() / 2] = -kInf;
    expect_as_interpreter(conv, kernel, tensors, how);
    std::fill(tensors.weights.begin(), tensors.weights.end(), 0.0f);
    expect_as_interpreter(conv, kernel, tensors, how);
  });
}

// All weights of all taps but the middle one are Inf, src is 1. Where a tap is padding its
// weight may do nothing; src 0 would make a NaN of it.
TEST(SemanticsTest, InfWeightsOnPaddedTapsDoNothing) {
  for_all_kernels("", [](const ir::Conv& conv, const Kernel& kernel, const std::string& how) {
    HostTensors tensors = random_tensors(conv, 3, Data::kIntegers);
    std::fill(tensors.src.begin(), tensors.src.end(), 1.0f);
    // The first tap in hwio and, in oihw, of each pair of channels.
    const bool taps_first = conv.weights_layout == ir::WeightsLayout::kSpatialIO;
    const auto taps = static_cast<size_t>(conv.kernel.product());
    const size_t per_tap = tensors.weights.size() / taps;
    for (size_t i = 0; i < per_tap; ++i) tensors.weights[taps_first ? i : i * taps] = kInf;
    const std::vector<float> dst = run_kernel(kernel, tensors);

    EXPECT_EQ(count_nan(dst), 0) << how << ": " << ir::print_conv(conv);
    const int64_t finite =
        std::count_if(dst.begin(), dst.end(), [](float v) { return std::isfinite(v); });
    EXPECT_GT(finite, 0) << "the padded tap was used: " << ir::print_conv(conv);
    EXPECT_LT(finite, conv.dst_elements()) << "the tap was never used: " << ir::print_conv(conv);
    EXPECT_TRUE(matches_interpreter(conv, tensors, dst)) << how;
  });
}

// Another pad value is a term like any other, Inf weights among its factors.
TEST(SemanticsTest, PadValueIsATerm) {
  for (const char* words : {" pad_value=1", " pad_value=-2"}) {
    for_all_kernels(words, [&](const ir::Conv& conv, const Kernel& kernel, const std::string& how) {
      HostTensors tensors = random_tensors(conv, 4, Data::kIntegers);
      EXPECT_TRUE(matches_interpreter(conv, tensors, run_kernel(kernel, tensors), /*exact=*/true))
          << how << words;
      // All weights 1, src the pad value: every output is terms * pad_value, border or not.
      std::fill(tensors.weights.begin(), tensors.weights.end(), 1.0f);
      std::fill(tensors.src.begin(), tensors.src.end(), conv.pad_value);
      const auto sum = static_cast<float>(conv.terms()) * conv.pad_value;
      const std::vector<float> dst = run_kernel(kernel, tensors);
      EXPECT_EQ(dst, std::vector<float>(dst.size(), sum)) << how << ": " << ir::print_conv(conv);
      tensors.weights[0] = kInf;
      expect_as_interpreter(conv, kernel, tensors, how + words);
    });
  }
}

TEST(SemanticsTest, ZeroPadValueIsNoTerm) {
  const ir::Conv conv = conv_of(std::string(kShapes[1]) + " pad_value=0");
  EXPECT_EQ(conv, conv_of(kShapes[1]));
}

// A NaN goes through every post-op that has to keep it, on every lane and in the tail.
TEST(SemanticsTest, PostOpsKeepNaN) {
  const Engine engine = make_engine();
  for (const char* op : {"relu",         "leaky_relu:0.5",
                         "elu:1",        "clamp:-1:1",
                         "min:1",        "max:1",
                         "sigmoid",      "tanh",
                         "gelu",         "gelu_tanh",
                         "silu",         "hard_swish",
                         "hard_sigmoid", "abs",
                         "square",       "bias",
                         "scale",        "add",
                         "relu,min:255", "max:0,relu,clamp:0:6,min:3,abs"}) {
    for (const char* layout : {"nwc", "ncw"}) {
      const bool last = std::string(layout) == "nwc";
      const ir::Conv conv = conv_of(fmt::format(
          "conv1d src=f32:nwc:1x5x1 dst=f32:{} weights=f32:wio:1x1x21 post={}", layout, op));
      HostTensors tensors = random_tensors(conv, 5, Data::kReals);
      tensors.src = {kNaN, 1, kNaN, -1, kInf};
      for (const CompileOptions& options :
           {CompileOptions(), with_schedule("epilogue=loop tile=2x1"), generic_engine()}) {
        const std::vector<float> dst = run_kernel(compile_kernel(engine, conv, options), tensors);
        for (size_t ow : {0u, 2u})
          for (size_t oc = 0; oc < 21; ++oc)
            EXPECT_TRUE(std::isnan(dst[last ? ow * 21 + oc : oc * 5 + ow])) << op << ", " << layout;
        EXPECT_TRUE(matches_interpreter(conv, tensors, dst)) << op << ", " << layout;
      }
    }
  }
}

// An add or a bias that is NaN or Inf reaches its outputs and no others.
TEST(SemanticsTest, OperandsOfPostOpsMayBeSpecial) {
  const char* words = " post=bias,scale,add,relu,min:2";
  for_all_kernels(words, [](const ir::Conv& conv, const Kernel& kernel, const std::string& how) {
    HostTensors tensors = random_tensors(conv, 6, Data::kReals);
    tensors.add.front() = kNaN;
    tensors.add.back() = kInf;
    tensors.add[tensors.add.size() / 2] = -kInf;
    const std::vector<float> dst = run_kernel(kernel, tensors);
    EXPECT_EQ(count_nan(dst), 1) << how;
    EXPECT_TRUE(std::isnan(dst.front())) << how;
    EXPECT_EQ(dst.back(), 2) << how;
    EXPECT_EQ(dst[dst.size() / 2], 0) << how;
    tensors.bias.back() = kNaN;
    tensors.scale.front() = kInf;
    expect_as_interpreter(conv, kernel, tensors, how);
  });
}

// Subnormals are numbers: no kernel flushes them.
TEST(SemanticsTest, SubnormalsAreKept) {
  for_all_kernels("", [](const ir::Conv& conv, const Kernel& kernel, const std::string& how) {
    HostTensors tensors = random_tensors(conv, 7, Data::kIntegers);
    for (float& x : tensors.src) x *= 0x1p-147f;
    EXPECT_TRUE(matches_interpreter(conv, tensors, run_kernel(kernel, tensors), /*exact=*/true))
        << how;
  });
}

}  // namespace
}  // namespace convgen::testing
