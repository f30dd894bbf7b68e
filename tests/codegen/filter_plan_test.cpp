// SPDX-License-Identifier: Apache-2.0
// Plans of image filters: which convolutions are one, that their taps add up to the convolution,
// which filters split into a column and a row, and that tiles and scratch hold all they must.
#include "codegen/filter_plan.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "ir/interpreter.h"
#include "tests/codegen/codegen_test_support.h"
#include "tests/support/filters.h"
#include "tests/support/random.h"

namespace convgen::codegen {
namespace {

using convgen::testing::box_filter;
using convgen::testing::edge_filter;
using convgen::testing::gauss_filter;
using convgen::testing::make_weights;
using convgen::testing::mix;
using convgen::testing::on_each_channel;
using convgen::testing::Random;
using convgen::testing::random_integers;
using convgen::testing::sharpen_filter;
using convgen::testing::sobel_filter;
using testing::conv_of;

FilterPlan plan_of(const ir::Conv& conv, const ConstantWeights& constants) {
  std::optional<FilterPlan> plan = plan_filter(conv, constants);
  if (!plan) throw std::runtime_error("no filter: " + ir::print_conv(conv));
  return *std::move(plan);
}

// --- Which convolutions ---

TEST(FilterGeometry, ImagesOfFewChannelsHaveOne) {
  struct Case {
    const char* conv;
    int64_t period, outputs, passes, planes;
  };
  for (const Case& c : std::vector<Case>{
           {"conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x3x3", 3, 1, 1, 1},
           {"conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x1x3 groups=3", 3, 1, 1, 1},
           {"conv2d src=f32:nhwc:1x9x9x4 weights=f32:hwio:3x3x1x8 groups=4", 4, 2, 1, 1},
           {"conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x1x8 groups=8", 8, 1, 1, 1},
           {"conv2d src=f32:nhwc:1x9x9x6 weights=f32:hwio:3x3x3x6 groups=2", 6, 1, 1, 1},
           {"conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1", 1, 1, 1, 1},
           {"conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x4", 1, 4, 1, 1},
           {"conv2d src=f32:nchw:1x3x9x9 weights=f32:oihw:2x3x3x3", 1, 1, 2, 3},
           {"conv2d src=f32:nchw:1x16x9x9 weights=f32:oihw:16x1x3x3 groups=16", 1, 1, 16, 16},
           {"conv2d src=f32:nhwc:1x9x9x1 weights=f32:oihw:5x1x3x3 dst=f32:nchw", 1, 1, 5, 1},
           {"conv2d src=f32:nchw:1x1x9x9 weights=f32:oihw:3x1x3x3 dst=f32:nhwc", 1, 3, 1, 1},
           {"conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x3x3 strides=2x1", 3, 1, 1, 1},
           {"conv1d src=f32:nwc:1x99x2 weights=f32:wio:5x2x2 dilations=3", 2, 1, 1, 1}}) {
    const auto g = filter_geometry(conv_of(c.conv));
    ASSERT_TRUE(g.has_value()) << c.conv;
    EXPECT_EQ(g->period, c.period) << c.conv;
    EXPECT_EQ(g->outputs, c.outputs) << c.conv;
    EXPECT_EQ(g->passes, c.passes) << c.conv;
    EXPECT_EQ(g->planes, c.planes) << c.conv;
  }
}

TEST(FilterGeometry, OthersHaveNone) {
  for (const char* text : {"conv2d src=f32:nhwc:1x9x9x64 weights=f32:hwio:3x3x64x64",
                           "conv2d src=f32:nhwc:1x9x9x9 weights=f32:hwio:3x3x1x9 groups=9",
                           "conv2d src=f32:nhwc:1x9x9x2 weights=f32:hwio:3x3x1x10 groups=2",
                           "conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x3x4",
                           "conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x3x1",
                           "conv2d src=f32:nchw:1x17x9x9 weights=f32:oihw:17x1x3x3 groups=17",
                           "conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x3x3 strides=1x2",
                           "conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x3x3 dst=f32:nchw",
                           "conv2d src=f32:nchw:1x3x9x9 weights=f32:oihw:3x3x3x3 dst=f32:nhwc",
                           "conv3d src=f32:ndhwc:1x4x9x9x3 weights=f32:dhwio:1x3x3x3x3",
                           "conv3d src=f32:ndhwc:1x1x9x9x3 weights=f32:dhwio:3x3x3x3x3 pads=1x1x1",
                           "conv2d src=f32:nhwc:0x9x9x3 weights=f32:hwio:3x3x3x3",
                           "conv2d src=f32:nhwc:1x9x0x3 weights=f32:hwio:3x3x3x3 pads=1x2",
                           "conv2d src=f32:nhwc:1x4x4x8 weights=f32:hwio:3x3x1x8 groups=8 "
                           "pads=1x1000000000000000000 dilations=1x1000000000000000000"})
    EXPECT_FALSE(filter_geometry(conv_of(text)).has_value()) << text;
}

TEST(FilterPlan, OnlyFiniteWeightsAndFewTaps) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1");
  for (const float bad :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    ConstantWeights weights = edge_filter(conv);
    EXPECT_TRUE(plan_filter(conv, weights).has_value());
    weights.values[7] = bad;
    EXPECT_FALSE(plan_filter(conv, weights).has_value()) << bad;
  }
  for (const auto& [size, fits] : {std::pair(16, true), std::pair(17, false)}) {
    const ir::Conv large = conv_of(
        fmt::format("conv2d src=f32:nhwc:1x40x40x1 weights=f32:hwio:{}x{}x1x1", size, size));
    EXPECT_EQ(plan_filter(large, box_filter(large)).has_value(), fits) << size;
  }
}

// --- Taps ---

// Output [n, oc, oh, ow] as the plan has it.
double sum_by_plan(const ir::Conv& conv, const FilterPlan& plan, const std::vector<float>& src,
                   const ir::OutputIndex& at, bool zeros_too) {
  const FilterGeometry& g = plan.geometry;
  const bool planes = g.passes > 1;
  const FilterPass& pass = plan.passes[planes ? static_cast<size_t>(at.oc) : 0];
  const int64_t in_pass = at.oc - pass.first_channel;
  const int64_t phase = in_pass / pass.outputs;
  double sum = 0;
  for (const FilterTap& tap : zeros_too ? pass.all_taps : pass.taps) {
    if (tap.output != in_pass % pass.outputs) continue;
    if (!tap.inside.empty() && !tap.inside[static_cast<size_t>(phase)]) continue;
    const int64_t ih = at.oh * conv.strides.h - conv.pads_begin.h + tap.row;
    const int64_t x = at.ow * g.period + phase + tap.shift;
    EXPECT_GE(tap.shift, g.first_shift);
    EXPECT_LE(tap.shift, g.last_shift);
    const bool in_image = ih >= 0 && ih < conv.in.h && x >= 0 && x < g.in_floats;
    const int64_t from = at.n * g.src_image + tap.plane * g.src_plane + ih * g.in_floats + x;
    const double value = in_image ? src[static_cast<size_t>(from)] : conv.pad_value;
    sum += value * tap.weight(phase);
  }
  return sum;
}

void expect_taps_add_up(const std::string& text, const ConstantWeights& constants) {
  const ir::Conv conv = conv_of(text);
  const FilterPlan plan = plan_of(conv, constants);
  Random random(3);
  std::vector<float> src(static_cast<size_t>(conv.src_elements()));
  for (float& x : src) x = random.nonzero_integer(9);
  const ir::TensorInputs inputs{src.data(), constants.values.data()};
  for (int64_t n = 0; n < conv.n; ++n)
    for (int64_t oc = 0; oc < conv.oc; ++oc)
      for (int64_t oh = 0; oh < conv.out.h; ++oh)
        for (int64_t ow = 0; ow < conv.out.w; ++ow) {
          const ir::OutputIndex at{n, oc, 0, oh, ow};
          const double expected = ir::interpret_output(conv, inputs, at).y;
          for (const bool zeros_too : {false, true})
            ASSERT_EQ(sum_by_plan(conv, plan, src, at, zeros_too), expected)
                << text << ": oc=" << oc << " oh=" << oh << " ow=" << ow;
        }
}

TEST(FilterPlan, TapsAddUpToTheConvolution) {
  for (const char* text :
       {"conv2d src=f32:nhwc:2x5x7x1 weights=f32:hwio:3x3x1x1 pads=1x1",
        "conv2d src=f32:nhwc:1x5x7x1 weights=f32:hwio:3x3x1x4 pads=1x1",
        "conv2d src=f32:nhwc:2x5x7x3 weights=f32:hwio:3x3x3x3 pads=1x1",
        "conv2d src=f32:nhwc:1x5x7x3 weights=f32:oihw:6x3x3x3 pads=0:2x2:0",
        "conv2d src=f32:nhwc:1x5x7x4 weights=f32:hwio:3x3x1x12 groups=4 pads=1x1",
        "conv2d src=f32:nhwc:1x5x7x4 weights=f32:oihw:8x2x3x3 groups=2 pads=1x1 pad_value=2",
        "conv2d src=f32:nhwc:1x5x7x6 weights=f32:hwio:3x2x3x6 groups=2 pads=2x3",
        "conv2d src=f32:nhwc:1x9x9x2 weights=f32:hwio:3x3x2x2 strides=2x1 dilations=2x3 pads=3x4",
        "conv2d src=f32:nchw:2x3x5x7 weights=f32:oihw:4x3x3x3 pads=1x1 pad_value=-1",
        "conv2d src=f32:nchw:1x4x5x7 weights=f32:hwio:3x3x2x6 groups=2 pads=1x1",
        "conv2d src=f32:nhwc:1x5x7x1 weights=f32:oihw:3x1x3x3 dst=f32:nchw pads=1x1",
        "conv1d src=f32:nwc:2x11x5 weights=f32:wio:4x5x5 pads=2:1",
        "conv1d src=f32:ncw:2x5x11 weights=f32:oiw:5x1x3 groups=5 dilations=2"}) {
    expect_taps_add_up(text, random_integers(conv_of(text), 11));
    expect_taps_add_up(text, box_filter(conv_of(text)));
  }
}

// A diagonal filter is one on a single channel, whichever way it is written.
TEST(FilterPlan, ZerosBetweenChannelsAreNoTaps) {
  for (const char* text : {"conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x3x3 pads=1x1",
                           "conv2d src=f32:nhwc:1x9x9x3 weights=f32:oihw:3x3x3x3 pads=1x1",
                           "conv2d src=f32:nhwc:1x9x9x3 weights=f32:hwio:3x3x1x3 groups=3 pads=1x1",
                           "conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1 pads=1x1"}) {
    const ir::Conv conv = conv_of(text);
    const FilterPlan edge = plan_of(conv, edge_filter(conv));
    const FilterPlan sharpen = plan_of(conv, sharpen_filter(conv));
    ASSERT_EQ(edge.passes.size(), 1u);
    EXPECT_EQ(edge.passes[0].taps.size(), 9u) << text;
    EXPECT_EQ(sharpen.passes[0].taps.size(), 5u) << text;
    EXPECT_EQ(edge.passes[0].has_zeros(), conv.ic_per_group() > 1) << text;
    EXPECT_TRUE(sharpen.passes[0].has_zeros()) << text;
    // Five distances between channels, each at nine places.
    EXPECT_EQ(edge.passes[0].all_taps.size(), conv.ic_per_group() > 1 ? 45u : 9u) << text;
    for (const FilterTap& tap : sharpen.passes[0].taps) {
      EXPECT_EQ(tap.weights.size(), 1u) << "all channels have the same";
      EXPECT_TRUE(tap.inside.empty());
    }
  }
}

TEST(FilterPlan, PlanesWithNoWeightsHaveNoTaps) {
  const ir::Conv conv = conv_of("conv2d src=f32:nchw:1x3x9x9 weights=f32:oihw:3x3x3x3 pads=1x1");
  const FilterPlan plan = plan_of(conv, edge_filter(conv));
  ASSERT_EQ(plan.passes.size(), 3u);
  for (size_t oc = 0; oc < 3; ++oc) {
    EXPECT_EQ(plan.passes[oc].taps.size(), 9u);
    EXPECT_EQ(plan.passes[oc].all_taps.size(), 27u);
    for (const FilterTap& tap : plan.passes[oc].taps)
      EXPECT_EQ(tap.plane, static_cast<int64_t>(oc));
  }
}

TEST(FilterPlan, NegativeZeroIsZero) {
  const ir::Conv conv = conv_of("conv1d src=f32:nwc:1x9x1 weights=f32:wio:3x1x1");
  EXPECT_EQ(plan_of(conv, {{1, -0.0f, 2}, false}).passes[0].taps.size(), 2u);
  EXPECT_TRUE(plan_of(conv, {{0, 0, -0.0f}, false}).passes[0].taps.empty());
}

// --- Two passes ---

constexpr const char* k3x3 = "conv2d src=f32:nhwc:1x19x19x1 weights=f32:hwio:3x3x1x1 pads=1x1";
constexpr const char* k5x5 = "conv2d src=f32:nhwc:1x19x19x1 weights=f32:hwio:5x5x1x1 pads=2x2";

std::optional<FilterFactors> factors_of(const ir::Conv& conv, const ConstantWeights& constants) {
  return plan_of(conv, constants).factors;
}

// The weights that the factors stand for, and how often one is rounded on its way.
std::vector<double> products_of(const ir::Conv& conv, const FilterFactors& factors) {
  const int64_t period = filter_geometry(conv)->period;
  std::vector<double> w(static_cast<size_t>(conv.kernel.product()), 0);
  for (const FilterTap& column : factors.column)
    for (const FilterTap& row : factors.row) {
      const int64_t kh = column.row / conv.dilations.h;
      const int64_t kw = (row.shift / period + conv.pads_begin.w) / conv.dilations.w;
      w[static_cast<size_t>(kh * conv.kernel.w + kw)] =
          double{column.weights[0]} * double{row.weights[0]};
    }
  return w;
}

void expect_exact(const std::string& text, const std::function<float(int64_t, int64_t)>& filter,
                  size_t column, size_t row) {
  const ir::Conv conv = conv_of(text);
  const auto factors = factors_of(conv, on_each_channel(conv, filter));
  ASSERT_TRUE(factors.has_value()) << text;
  EXPECT_EQ(factors->column.size(), column) << text;
  EXPECT_EQ(factors->row.size(), row) << text;
  const std::vector<double> products = products_of(conv, *factors);
  for (int64_t kh = 0; kh < conv.kernel.h; ++kh)
    for (int64_t kw = 0; kw < conv.kernel.w; ++kw)
      EXPECT_EQ(products[static_cast<size_t>(kh * conv.kernel.w + kw)], filter(kh, kw))
          << text << ": " << kh << ", " << kw;
}

float binomial(int64_t kh, int64_t kw) {
  constexpr float kRow[] = {1, 4, 6, 4, 1};
  return kRow[kh] * kRow[kw];
}
float slope(int64_t kh, int64_t kw) {
  constexpr float kSmooth[] = {1, 2, 1};
  return kSmooth[kh] * static_cast<float>(kw - 1);
}

// Shifts of each tap, and how many are added to it.
std::vector<std::string> merged(const std::string& more, const std::vector<float>& values) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1 pads=1x1" + more);
  const FilterPlan plan = plan_of(conv, {values});
  std::vector<std::string> texts;
  for (const FilterTap& tap : merge_twins(conv, plan.passes[0].taps))
    texts.push_back(fmt::format("{}*[{}]{}", tap.weights[0], tap.row, tap.shift) +
                    (tap.twins.empty() ? "" : fmt::format("+{}", fmt::join(tap.twins, "+"))));
  return texts;
}

TEST(MergeTwins, EqualWeightsOfARowAreOneProduct) {
  using ::testing::ElementsAre;
  EXPECT_THAT(merged("", {2, 4, 2, 3, 3, 3, 2, 0, 0}),
              ElementsAre("2*[0]-1+1", "4*[0]0", "3*[1]-1+0+1", "2*[2]-1"))
      << "rows stay apart";
  EXPECT_THAT(merged("", {-5, 5, -5, 0, 0, 0, 0, 0, 0}), ElementsAre("-5*[0]-1+1", "5*[0]0"));
  EXPECT_THAT(merged("", {1, -1, 1, 0.5, 0.5, 0.5, -1, -1, -1}).size(), 9u)
      << "no product, or a sum that may overflow where no product does";
  EXPECT_THAT(merged(" accuracy=strict", {2, 4, 2, 0, 0, 0, 0, 0, 0}).size(), 3u);
}

TEST(FactorFilter, GaussBoxAndSobelAreExact) {
  expect_exact(
      k5x5, [](int64_t h, int64_t w) { return binomial(h, w) / 256; }, 5, 5);
  expect_exact(k5x5, binomial, 5, 5);
  expect_exact(
      k5x5, [](int64_t, int64_t) { return 1.0f; }, 5, 5);
  expect_exact(
      k3x3, [](int64_t, int64_t) { return 1.0f; }, 3, 3);
  expect_exact(
      k3x3, [](int64_t, int64_t) { return 1.0f / 9; }, 3, 3);
  expect_exact(k3x3, slope, 3, 2);
  expect_exact(
      k3x3, [](int64_t h, int64_t w) { return slope(w, h); }, 2, 3);
  // Channels apart, groups, one group with zeros between channels, dilations and strides.
  for (const char* text :
       {"conv2d src=f32:nhwc:1x19x19x3 weights=f32:hwio:3x3x1x3 groups=3 dilations=2x3 pads=1x2",
        "conv2d src=f32:nhwc:1x19x19x3 weights=f32:oihw:3x3x3x3 strides=2x1 pads=1x1",
        "conv2d src=f32:nchw:1x1x19x19 weights=f32:oihw:1x1x3x3"})
    expect_exact(text, slope, 3, 2);
}

TEST(FactorFilter, OthersAreRefused) {
  const auto refused = [](const std::string& text,
                          const std::function<float(int64_t, int64_t)>& filter) {
    const ir::Conv conv = conv_of(text);
    EXPECT_FALSE(factors_of(conv, on_each_channel(conv, filter)).has_value()) << text;
  };
  const auto edge = [](int64_t h, int64_t w) { return h == 1 && w == 1 ? 8.0f : -1.0f; };
  refused(k3x3, edge);
  refused(k3x3, [](int64_t h, int64_t w) { return h == 1 || w == 1 ? 1.0f : 0.0f; });
  refused(k3x3, [](int64_t, int64_t) { return 0.0f; });
  // One weight off: rank 2.
  refused(k5x5, [](int64_t h, int64_t w) { return binomial(h, w) + (h == 4 && w == 3 ? 1 : 0); });
  // A single row or column gains nothing.
  refused("conv1d src=f32:nwc:1x19x1 weights=f32:wio:5x1x1", [](int64_t, int64_t) { return 1.0f; });
  refused(std::string(k3x3) + " accuracy=strict", slope);
  refused(std::string(k3x3) + " pad_value=1", slope);
  // Several outputs, several planes.
  const char* const several[] = {
      "conv2d src=f32:nhwc:1x19x19x1 weights=f32:hwio:3x3x1x2 pads=1x1",
      "conv2d src=f32:nchw:1x2x19x19 weights=f32:oihw:2x1x3x3 groups=2 pads=1x1"};
  for (const char* text : several) refused(text, slope);
  // Channels whose filters differ.
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x19x19x2 weights=f32:hwio:3x3x1x2 groups=2 pads=1x1");
  EXPECT_FALSE(factors_of(conv, sobel_filter(conv)).has_value());
}

// Whole numbers whose factors are none: 3 x (1, 1/3) is 3 and, nearly, 1.
TEST(FactorFilter, WholeNumbersMustFactorExactly) {
  const ir::Conv conv = conv_of(k5x5);
  const auto filter = [](int64_t kh, int64_t kw) {
    constexpr float kColumn[] = {3, 7, 11, 13, 17}, kRow[] = {5, 19, 23, 29, 31};
    return kColumn[kh] * kRow[kw];
  };
  const auto exact = factors_of(conv, on_each_channel(conv, filter));
  const std::vector<double> w = [&] {
    std::vector<double> values;
    for (int64_t i = 0; i < 25; ++i) values.push_back(filter(i / 5, i % 5));
    return values;
  }();
  // Primes: no column is a whole multiple of another, so u is a fraction at every pivot.
  if (exact) {
    EXPECT_EQ(products_of(conv, *exact), w);
  }
  EXPECT_FALSE(exact.has_value());
  // The same, not whole: a rounding or two do no harm.
  const auto scaled = factors_of(conv, on_each_channel(conv, [&](int64_t kh, int64_t kw) {
                                   return filter(kh, kw) * 0x1p-10f;
                                 }));
  EXPECT_TRUE(scaled.has_value());
}

// Products of reals, rounded: accepted only if what the factors are off, and the sums' own
// roundings, stay within those of direct summation.
TEST(FactorFilter, RoundedProductsStayWithinTheBound) {
  int accepted = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(mix(9, seed));
    const ir::Conv conv = conv_of(k3x3);
    std::vector<float> column(3), row(3);
    for (float& x : column) x = random.real();
    for (float& x : row) x = random.real();
    ConstantWeights weights = on_each_channel(
        conv, [&](int64_t kh, int64_t kw) { return column[size_t(kh)] * row[size_t(kw)]; });
    const auto factors = factors_of(conv, weights);
    if (factors) {
      ++accepted;
      const std::vector<double> products = products_of(conv, *factors);
      double worst = 0;
      for (size_t i = 0; i < 9; ++i)
        worst = std::max(worst, std::abs(products[i] - double{weights.values[i]}) /
                                    std::abs(double{weights.values[i]}));
      const auto sums = static_cast<double>(factors->column.size() + factors->row.size());
      EXPECT_LE(sums + worst * 0x1p24, 9) << seed;
    }
    weights.values[seed % 9] *= 1 + 16 * 0x1p-23f;
    EXPECT_FALSE(factors_of(conv, weights).has_value()) << seed << ": one weight is off by 32 u";
  }
  EXPECT_GT(accepted, 150);
}

// Sums along the column must be finite where the output is, or be looked at; and they must not
// lose below the normal numbers what their weight would have kept.
TEST(FactorFilter, SumsOfTheFirstPassNeitherOverflowNorVanish) {
  const ir::Conv conv = conv_of(k5x5);
  const auto factors = [&](float scale) { return factors_of(conv, gauss_filter(conv, scale)); };
  const auto reach = [](const std::vector<FilterTap>& taps) {
    double sum = 0;
    for (const FilterTap& tap : taps) sum += std::abs(tap.weights[0]);
    return sum;
  };
  for (const float scale : {0x1p-8f, 0x1p-6f, 0x1p-100f}) {
    ASSERT_TRUE(factors(scale).has_value()) << scale;
    EXPECT_FALSE(factors(scale)->sums_may_overflow) << scale;
    EXPECT_LT(reach(factors(scale)->column), 1) << scale;
    EXPECT_LE(5 * reach(factors(scale)->row) + 5, 2 * 26) << scale;
  }
  // Whole weights of the column lose nothing, but may overflow.
  for (const float scale : {1.0f, 0x1p60f}) {
    ASSERT_TRUE(factors(scale).has_value()) << scale;
    EXPECT_TRUE(factors(scale)->sums_may_overflow) << scale;
  }
  // Fractions in the column times large weights in the row: neither.
  const auto fractions = [](float scale) {
    return [scale](int64_t kh, int64_t kw) {
      constexpr float kColumn[] = {0.3f, 0.7f, 1.1f, 0.7f, 0.3f};
      return kColumn[kh] * kColumn[kw] * scale;
    };
  };
  EXPECT_TRUE(factors_of(conv, on_each_channel(conv, fractions(0.1f))).has_value());
  EXPECT_FALSE(factors_of(conv, on_each_channel(conv, fractions(1e3f))).has_value());
  // Nothing that a float cannot hold.
  const ir::Conv small = conv_of(k3x3);
  EXPECT_FALSE(factors_of(small, on_each_channel(small,
                                                 [](int64_t kh, int64_t kw) {
                                                   return (kh == 0 ? 1e-38f : 1e38f) *
                                                          (kw == 0 ? 0.0f : 1.0f);
                                                 }))
                   .has_value());
}

// --- Tiles and scratch ---

struct Layout {
  std::string conv;
  std::string schedule;
};

// Widths around whole tiles, pads that are none, one-sided and wider than the image.
std::vector<Layout> layouts() {
  std::vector<Layout> result;
  for (const char* tile :
       {"lanes=4 tile=12x1", "lanes=8 tile=24x3", "lanes=16 tile=48x2", "lanes=4 tile=48x4"})
    for (int width : {3, 4, 5, 15, 16, 17, 31, 32, 33, 64, 100})
      for (const char* pads : {"0", "1", "2:0", "0:2", "3:1", "4"})
        for (const char* shape :
             {"x1 weights=f32:hwio:3x3x1x1", "x3 weights=f32:hwio:3x3x1x3 groups=3",
              "x3 weights=f32:hwio:3x3x3x3"})
          result.push_back(
              {fmt::format("conv2d src=f32:nhwc:1x9x{}{} pads=1x{}", width, shape, pads),
               std::string("filter ") + tile});
  return result;
}

TEST(FilterTiles, OnlyInnerTilesReadTheRowItself) {
  for (const Layout& layout : layouts()) {
    const FilterGeometry g = *filter_geometry(conv_of(layout.conv));
    const Schedule schedule = testing::schedule_of(layout.schedule);
    const int64_t floats = schedule.tile_pixels;
    const FilterTiles tiles = filter_tiles(g, schedule);
    SCOPED_TRACE(layout.conv + " | " + layout.schedule);
    EXPECT_GE(tiles.count * floats, g.out_floats);
    EXPECT_LT((tiles.count - 1) * floats, g.out_floats);
    EXPECT_LE(0, tiles.first_inner);
    EXPECT_LE(tiles.first_inner, tiles.last_inner);
    EXPECT_LT(tiles.last_inner, tiles.count) << "the last may be narrower";
    const auto reads_inside = [&](int64_t tile) {
      return tile * floats + g.first_shift >= 0 &&
             (tile + 1) * floats + std::max<int64_t>(0, g.last_shift) <= g.in_floats &&
             (tile + 1) * floats <= g.out_floats;
    };
    for (int64_t tile = 0; tile + 1 < tiles.count; ++tile)
      EXPECT_EQ(tiles.first_inner <= tile && tile < tiles.last_inner, reads_inside(tile)) << tile;
  }
}

TEST(FilterScratch, RegionsHoldAllThatIsPutThere) {
  for (const Layout& layout : layouts())
    for (const char* passes : {" passes=1", " passes=2"}) {
      const ir::Conv conv = conv_of(layout.conv);
      const FilterGeometry g = *filter_geometry(conv);
      const Schedule s = testing::schedule_of(layout.schedule + passes);
      const FilterScratch scratch = filter_scratch(conv, g, s);
      SCOPED_TRACE(layout.conv + " | " + layout.schedule + passes);
      EXPECT_GE(scratch.border - scratch.pad_row, g.in_floats);
      EXPECT_GE(scratch.border_pitch, s.tile_pixels + g.last_shift - g.first_shift);
      const int64_t copies = int64_t{s.tile_vectors} * conv.kernel.h * g.planes;
      const int64_t border_end = scratch.border + copies * scratch.border_pitch;
      for (const int64_t at : {scratch.border, scratch.border_pitch, scratch.sums,
                               scratch.sums_pitch, scratch.sums_margin})
        EXPECT_EQ(at % s.lanes, 0) << "vectors are stored aligned";
      if (s.passes == 1) {
        EXPECT_EQ(scratch.floats, static_cast<double>(border_end));
        continue;
      }
      EXPECT_GE(scratch.sums - scratch.sums_margin, border_end);
      EXPECT_GE(scratch.sums_margin, -g.first_shift);
      // From column 0 of a row to the margin of the next: what is stored, and what tiles read.
      const int64_t room = scratch.sums_pitch - scratch.sums_margin;
      EXPECT_GE(room, (g.in_floats + s.lanes - 1) / s.lanes * s.lanes);
      EXPECT_GE(room, filter_tiles(g, s).count * s.tile_pixels + g.last_shift);
      EXPECT_GE(scratch.floats, static_cast<double>(scratch.sums - scratch.sums_margin +
                                                    s.tile_vectors * scratch.sums_pitch));
    }
}

}  // namespace
}  // namespace convgen::codegen
