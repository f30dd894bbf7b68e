// SPDX-License-Identifier: Apache-2.0
// NaN, Inf, zeros of both signs, subnormals and the largest floats: through every algorithm, with
// every post-op behind it, on every instruction set. semantics_test.cpp has more schedules of each
// algorithm, winograd_test.cpp how far a NaN may spread in a tile.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ir/text.h"
#include "tests/support/algorithms.h"
#include "tests/support/isa_levels.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();

// Numbers that are none, both ends of the subnormals and of the normal numbers, and where post-ops
// bend or give up: exp at 88.7 and -87.3, ramps at 3.
constexpr std::array kSpecials{kNaN,      kInf,       -kInf,       0.0f,       -0.0f,
                               0x1p-149f, -0x1p-149f, 0x1.8p-130f, -0x1p-127f, 0x1.fffffcp-127f,
                               0x1p-126f, -0x1p-126f, kMax,        -kMax,      88.75f,
                               -87.5f,    3.0f,       -3.0f,       -104.0f,    1e30f,
                               -1e30f,    0.25f,      -2.0f};

// Without those that transforms turn into others: see "The bound of Winograd" in numerics.md.
constexpr std::array kTinyNumbers{0.0f,       -0.0f,     0x1p-149f,         -0x1p-149f, 0x1.8p-130f,
                                  -0x1p-127f, 0x1p-126f, -0x1.fffffcp-127f, 0x1p-120f};

struct Op {
  const char* words;
  bool exact;  // selects or flips a sign, so that the interpreter's value is due to the bit
};
constexpr std::array kOps{Op{"bias", false},
                          Op{"add", false},
                          Op{"scale", false},
                          Op{"relu", true},
                          Op{"leaky_relu:0.5", false},
                          Op{"elu:1", false},
                          Op{"clamp:-1:1", true},
                          Op{"min:1", true},
                          Op{"max:-1", true},
                          Op{"sigmoid", false},
                          Op{"tanh", false},
                          Op{"gelu", false},
                          Op{"gelu_tanh", false},
                          Op{"silu", false},
                          Op{"hard_swish", false},
                          Op{"hard_sigmoid", false},
                          Op{"abs", true},
                          Op{"square", false}};

using Where = std::tuple<IsaLevel, AlgorithmCase>;

class SpecialNumbersTest : public ::testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    Result<Engine> engine = Engine::create({.mcpu = level().mcpu});
    if (!engine.ok()) GTEST_SKIP() << engine.status().message();
    engine_ = *engine;
  }

  const IsaLevel& level() const { return std::get<0>(GetParam()); }
  const AlgorithmCase& algorithm() const { return std::get<1>(GetParam()); }

  ir::Conv conv(const std::string& words = "") const { return conv_of(algorithm().conv + words); }
  Kernel compile(const ir::Conv& conv) const { return compile_case(*engine_, algorithm(), conv); }

  // Integers everywhere, in weights those of the kernel.
  HostTensors tensors(const Kernel& kernel) const {
    HostTensors all = random_tensors(kernel.conv(), 1, Data::kIntegers);
    if (kernel.constant_weights() != nullptr) all.weights = kernel.constant_weights()->values;
    return all;
  }

  void expect_as_interpreter(const Kernel& kernel, const HostTensors& tensors) const {
    EXPECT_TRUE(matches_interpreter(kernel.conv(), tensors, run_kernel(kernel, tensors),
                                    /*exact=*/false, kernel.summation()))
        << kernel.schedule() << " on '" << level().mcpu << "'";
  }

  std::optional<Engine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, SpecialNumbersTest,
                         ::testing::Combine(::testing::ValuesIn(kIsaLevels),
                                            ::testing::ValuesIn(kAlgorithmCases)),
                         [](const auto& test) {
                           return fmt::format("{}_{}", std::get<0>(test.param).name,
                                              std::get<1>(test.param).name);
                         });

// Every value in turn, from `first` on.
template <typename Values>
void fill_in_turn(std::vector<float>& to, const Values& values, size_t first = 0) {
  for (size_t i = 0; i < to.size(); ++i) to[i] = values[(first + i) % values.size()];
}

// The first channel of the pixel at (n, h, w).
size_t pixel_offset(const ir::Conv& conv, int64_t n, int64_t h, int64_t w) {
  const bool last = conv.src_layout == ir::ActivationLayout::kChannelsLast;
  const int64_t pixel =
      last ? (n * conv.in.h + h) * conv.in.w + w : (n * conv.ic * conv.in.h + h) * conv.in.w + w;
  return static_cast<size_t>(last ? pixel * conv.ic : pixel);
}

// All zero but for values that stand so far apart that no output sees two.
template <typename Values>
std::vector<float> scattered(const ir::Conv& conv, const Values& values) {
  std::vector<float> src(static_cast<size_t>(conv.src_elements()), 0.0f);
  size_t next = 0;
  for (int64_t n = 0; n < conv.n; ++n)
    for (int64_t h = 0; h < conv.in.h; h += conv.kernel.h)
      for (int64_t w = 0; w < conv.in.w; w += conv.kernel.w)
        src[pixel_offset(conv, n, h, w)] = values[next++ % values.size()];
  return src;
}

bool same_number(float found, double due) {
  return std::isnan(due) ? std::isnan(found) : static_cast<double>(found) == due;
}

// The sum is 0, so what the op sees is the residual, untouched: each value in each lane and tail.
TEST_P(SpecialNumbersTest, ThroughEveryPostOp) {
  for (const Op& op : kOps) {
    const ir::Conv with_op = conv(fmt::format(" post=add,{}", op.words));
    const Kernel kernel = compile(with_op);
    HostTensors all = tensors(kernel);
    std::fill(all.src.begin(), all.src.end(), 0.0f);
    fill_in_turn(all.add, kSpecials);
    fill_in_turn(all.bias, kSpecials, 5);
    fill_in_turn(all.scale, kSpecials, 3);
    expect_as_interpreter(kernel, all);
    if (!op.exact) continue;
    const std::vector<float> dst = run_kernel(kernel, all);
    const std::vector<double> due = ir::interpret(with_op, all.inputs()).y;
    for (size_t i = 0; i < dst.size(); ++i)
      ASSERT_TRUE(same_number(dst[i], due[i])) << fmt::format(
          "{} of {:a} is {:a}: {}", op.words, all.add[i], dst[i], ir::print_conv(with_op));
  }
}

// The same from the other end: a value in src, weights of 1, and what the sum becomes.
TEST_P(SpecialNumbersTest, ThroughTheSumAndEveryPostOp) {
  for (const Op& op : kOps) {
    const Kernel kernel = compile(conv(fmt::format(" post=add,{}", op.words)));
    HostTensors all = tensors(kernel);
    std::fill(all.add.begin(), all.add.end(), 0.0f);
    if (kernel.constant_weights() == nullptr)
      std::fill(all.weights.begin(), all.weights.end(), 1.0f);
    all.src = is_winograd(algorithm()) ? scattered(kernel.conv(), kTinyNumbers)
                                       : scattered(kernel.conv(), kSpecials);
    expect_as_interpreter(kernel, all);
  }
}

// Weights of 0 hide nothing, those of both signs make NaN where two Inf meet. One value an output:
// where two of the largest meet, a sum may overflow on its way.
TEST_P(SpecialNumbersTest, WeightsOfEverySign) {
  if (is_winograd(algorithm())) GTEST_SKIP() << "Inf may become NaN within a tile";
  const Kernel kernel = compile(conv());
  HostTensors all = tensors(kernel);
  if (kernel.constant_weights() == nullptr)
    for (size_t i = 0; i < all.weights.size(); i += 2) all.weights[i] = 0;
  all.src = scattered(kernel.conv(), kSpecials);
  expect_as_interpreter(kernel, all);
  all.src = tensors(kernel).src;
  for (size_t i = 0; i < all.src.size(); i += 7) all.src[i] = i % 2 == 0 ? kInf : -kInf;
  expect_as_interpreter(kernel, all);
}

// A weight that only border outputs do not use: there it is skipped, never multiplied by a zero.
TEST_P(SpecialNumbersTest, WeightsOfPaddedTapsDoNothing) {
  if (is_winograd(algorithm())) GTEST_SKIP() << "padding is transformed, not skipped";
  if (algorithm().filter[0] != '\0') GTEST_SKIP() << "Inf makes no filter";
  const ir::Conv padded = conv();
  const Kernel kernel = compile(padded);
  for (const float bad : {kInf, -kInf, kNaN}) {
    HostTensors all = tensors(kernel);
    std::fill(all.src.begin(), all.src.end(), 1.0f);
    const auto taps = static_cast<size_t>(padded.kernel.product());
    const size_t per_tap = all.weights.size() / taps;
    const bool taps_first = padded.weights_layout == ir::WeightsLayout::kSpatialIO;
    for (size_t i = 0; i < per_tap; ++i) all.weights[taps_first ? i : i * taps] = bad;
    const std::vector<float> dst = run_kernel(kernel, all);
    EXPECT_TRUE(matches_interpreter(padded, all, dst)) << kernel.schedule();
    // The first tap of the upper row and of the left column is padding.
    const auto finite =
        std::count_if(dst.begin(), dst.end(), [](float y) { return std::isfinite(y); });
    const int64_t borders = padded.out.h + padded.out.w - 1;
    EXPECT_EQ(finite, padded.n * padded.oc * borders) << kernel.schedule();
  }
}

// Sums whose terms are all subnormal: exact, so any flush shows.
TEST_P(SpecialNumbersTest, SubnormalsAreKept) {
  const Kernel kernel = compile(conv());
  HostTensors all = tensors(kernel);
  for (float& x : all.src) x *= 0x1p-140f;
  const std::vector<float> dst = run_kernel(kernel, all);
  const bool exact = !is_winograd(algorithm());
  EXPECT_TRUE(matches_interpreter(kernel.conv(), all, dst, exact, kernel.summation()))
      << kernel.schedule();
  const auto subnormal = std::count_if(dst.begin(), dst.end(),
                                       [](float y) { return std::fpclassify(y) == FP_SUBNORMAL; });
  EXPECT_GT(subnormal, kernel.conv().dst_elements() / 2) << kernel.schedule();
}

}  // namespace
}  // namespace convgen::testing
