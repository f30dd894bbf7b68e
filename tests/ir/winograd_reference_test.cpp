// SPDX-License-Identifier: Apache-2.0
// The magnitude that bounds Winograd's error, against a computation by hand from matrices written
// down a second time, and against the plain S, below which it never lies.
#include "ir/winograd_reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ir/text.h"
#include "tests/support/random.h"

namespace convgen::ir {
namespace {

using testing::Random;

// Exact: numerators over a common denominator.
struct Rational {
  std::vector<std::vector<int>> rows;
  int denominator = 1;
  double at(size_t i, size_t j) const { return rows[i][j] / static_cast<double>(denominator); }
};

struct Axis {
  Rational bt, g, at;
  size_t alpha() const { return bt.rows.size(); }
  size_t taps() const { return g.rows[0].size(); }
  size_t m() const { return at.rows.size(); }
};

const Axis kNone = {{{{1}}}, {{{1}}}, {{{1}}}};

// Lavin and Gray 2016, equations of sections 4.1 and 4.3.
const Axis kF23 = {{{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}},
                   {{{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}}, 2},
                   {{{1, 1, 1, 0}, {0, 1, -1, -1}}}};
const Rational kB6 = {{{4, 0, -5, 0, 1, 0},
                       {0, -4, -4, 1, 1, 0},
                       {0, 4, -4, -1, 1, 0},
                       {0, -2, -1, 2, 1, 0},
                       {0, 2, -1, -2, 1, 0},
                       {0, 4, 0, -5, 0, 1}}};
const Axis kF43 = {
    kB6,
    {{{6, 0, 0}, {-4, -4, -4}, {-4, 4, -4}, {1, 2, 4}, {1, -2, 4}, {0, 0, 24}}, 24},
    {{{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}}};
const Axis kF25 = {kB6,
                   {{{6, 0, 0, 0, 0},
                     {-4, -4, -4, -4, -4},
                     {-4, 4, -4, 4, -4},
                     {1, 2, 4, 8, 16},
                     {1, -2, 4, -8, 16},
                     {0, 0, 0, 0, 24}},
                    24},
                   {{{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 1}}}};

// Of fewer outputs, with rows of the same G: Lagrange's polynomials through fewer points.
const Rational kB5 = {
    {{2, -1, -2, 1, 0}, {0, -2, -1, 1, 0}, {0, 2, -3, 1, 0}, {0, -1, 0, 1, 0}, {0, 2, -1, -2, 1}}};
const Rational kB3 = {{{-1, 1, 0}, {0, 1, 0}, {0, -1, 1}}};
const Axis kF33Of43 = {kB5,
                       {{{6, 0, 0}, {-4, -4, -4}, {-4, 4, -4}, {1, 2, 4}, {0, 0, 24}}, 24},
                       {{{2, 3, 1, 4, 0}, {0, 3, -1, 8, 0}, {0, 3, 1, 16, 1}}}};
const Axis kF23Of43 = {{{{-1, 0, 1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}}},
                       {{{6, 0, 0}, {-4, -4, -4}, {-4, 4, -4}, {0, 0, 24}}, 24},
                       {{{-4, -3, -3, 0}, {0, -3, 3, 1}}}};
const Axis kF13Of43 = {kB3, {{{6, 0, 0}, {-4, -4, -4}, {0, 0, 24}}, 24}, {{{-4, -6, 1}}}};
const Axis kF13Of23 = {kB3, {{{2, 0, 0}, {1, 1, 1}, {0, 0, 2}}, 2}, {{{-1, 2, 1}}}};
const Axis kF15Of25 = {kB5,
                       {{{6, 0, 0, 0, 0},
                         {-4, -4, -4, -4, -4},
                         {-4, 4, -4, 4, -4},
                         {1, 2, 4, 8, 16},
                         {0, 0, 0, 0, 24}},
                        24},
                       {{{2, 3, 1, 4, 1}}}};

const Axis& axis_of(int64_t taps, int tile) {
  return taps == 1 ? kNone : taps == 5 ? kF25 : tile == 2 ? kF23 : kF43;
}

// Of a tile with so many outputs.
const Axis& axis_of(int64_t taps, int tile, size_t outputs) {
  const Axis& whole = axis_of(taps, tile);
  if (outputs == whole.m()) return whole;
  if (taps == 5) return kF15Of25;
  if (tile == 2) return kF13Of23;
  return outputs == 3 ? kF33Of43 : outputs == 2 ? kF23Of43 : kF13Of43;
}

// A^T [(G g) .* (B^T d)] is the correlation, in integers: all denominators taken out.
TEST(WinogradMatrices, SatisfyTheIdentity) {
  for (const Axis* axis :
       {&kNone, &kF23, &kF43, &kF25, &kF33Of43, &kF23Of43, &kF13Of43, &kF13Of23, &kF15Of25})
    for (size_t out = 0; out < axis->m(); ++out)
      for (size_t tap = 0; tap < axis->taps(); ++tap)
        for (size_t in = 0; in < axis->alpha(); ++in) {
          int sum = 0;
          for (size_t i = 0; i < axis->alpha(); ++i)
            sum += axis->at.rows[out][i] * axis->g.rows[i][tap] * axis->bt.rows[i][in];
          EXPECT_EQ(sum, in == out + tap ? axis->g.denominator : 0);
        }
}

struct Case {
  const char* text;
  int64_t kh, kw;
};

const Case kCases[] = {
    {"conv2d src=f32:nhwc:2x9x10x3 weights=f32:hwio:3x3x3x4 pads=1x1", 3, 3},
    {"conv2d src=f32:nhwc:1x9x10x3 weights=f32:oihw:4x3x3x3 pads=2:0x0:3 pad_value=1.5", 3, 3},
    {"conv2d src=f32:nhwc:1x9x10x3 weights=f32:hwio:5x5x3x2 pads=2x2", 5, 5},
    {"conv2d src=f32:nhwc:1x9x10x3 weights=f32:hwio:1x3x3x2", 1, 3},
    {"conv2d src=f32:nhwc:1x9x10x3 weights=f32:hwio:5x1x3x2 pads=1x0", 5, 1},
    {"conv2d src=f32:nhwc:1x9x10x3 weights=f32:oihw:2x3x3x5 dst=f32:nchw", 3, 5},
    {"conv2d src=f32:nhwc:1x11x10x2 weights=f32:hwio:3x3x2x2 dilations=2x3 pads=2x3", 3, 3},
    {"conv2d src=f32:nhwc:1x4x3x2 weights=f32:hwio:3x3x2x2 dilations=20x30 pads=20x30", 3, 3},
    {"conv3d src=f32:ndhwc:2x2x7x6x2 weights=f32:dhwio:1x3x3x2x2 pads=0x1x1", 3, 3},
    {"conv1d src=f32:nwc:2x17x3 weights=f32:wio:3x3x2 pads=1:1", 1, 3}};

struct Tensors {
  std::vector<float> src, weights;
  TensorInputs inputs() const { return {.src = src.data(), .weights = weights.data()}; }
};

Tensors draw(const Conv& conv, uint64_t seed) {
  Random random(seed);
  Tensors tensors;
  for (int64_t i = 0; i < conv.src_elements(); ++i) tensors.src.push_back(random.real());
  for (int64_t i = 0; i < conv.weights_elements(); ++i) tensors.weights.push_back(random.real());
  return tensors;
}

template <typename Body>
void for_each_output(const Conv& conv, Body body) {
  OutputIndex at;
  for (at.n = 0; at.n < conv.n; ++at.n)
    for (at.oc = 0; at.oc < conv.oc; ++at.oc)
      for (at.od = 0; at.od < conv.out.d; ++at.od)
        for (at.oh = 0; at.oh < conv.out.h; ++at.oh)
          for (at.ow = 0; at.ow < conv.out.w; ++at.ow) body(at);
}

// The tile of an output, found by walking tiles in order instead of by division.
struct Tile {
  int64_t first;  // output
  size_t place;
  size_t outputs;  // in the longest phase, the first one
};

Tile tile_of(int64_t out, int64_t extent, int64_t dilation, size_t m) {
  Tile tile{out, 0, 0};
  int64_t in_phase = 0;
  for (int64_t at = out; at - dilation >= 0; at -= dilation) ++in_phase;
  tile.place = static_cast<size_t>(in_phase) % m;
  tile.first = out - static_cast<int64_t>(tile.place) * dilation;
  for (int64_t at = tile.first - tile.first % dilation; at < extent; at += dilation)
    if (tile.outputs < m) ++tile.outputs;
  return tile;
}

WinogradMagnitude by_hand(const Conv& conv, const Tensors& tensors, const OutputIndex& at,
                          const Axis& h, const Axis& w, const Tile& row, const Tile& column) {
  const auto source = [&](int64_t ic, size_t i, size_t j) -> double {
    const int64_t ih = row.first - conv.pads_begin.h + static_cast<int64_t>(i) * conv.dilations.h;
    const int64_t iw =
        column.first - conv.pads_begin.w + static_cast<int64_t>(j) * conv.dilations.w;
    if (ih < 0 || iw < 0 || ih >= conv.in.h || iw >= conv.in.w) return conv.pad_value;
    const int64_t image = at.n * conv.in.d + at.od;
    return tensors
        .src[static_cast<size_t>(((image * conv.in.h + ih) * conv.in.w + iw) * conv.ic + ic)];
  };
  const auto weight = [&](int64_t ic, size_t kh, size_t kw) -> double {
    const auto tap = static_cast<int64_t>(kh * w.taps() + kw);
    const bool io = conv.weights_layout == WeightsLayout::kSpatialIO;
    return tensors
        .weights[static_cast<size_t>(io ? (tap * conv.ic + ic) * conv.oc + at.oc
                                        : (at.oc * conv.ic + ic) * conv.kernel.product() + tap)];
  };
  WinogradMagnitude result;
  for (int64_t ic = 0; ic < conv.ic; ++ic)
    for (size_t i = 0; i < h.alpha(); ++i)
      for (size_t j = 0; j < w.alpha(); ++j) {
        double u = 0, v = 0;
        for (size_t kh = 0; kh < h.taps(); ++kh)
          for (size_t kw = 0; kw < w.taps(); ++kw)
            u += std::abs(h.g.at(i, kh) * w.g.at(j, kw) * weight(ic, kh, kw));
        for (size_t k = 0; k < h.alpha(); ++k)
          for (size_t l = 0; l < w.alpha(); ++l)
            v += std::abs(h.bt.at(i, k) * w.bt.at(j, l) * source(ic, k, l));
        const double a = std::abs(h.at.at(row.place, i) * w.at.at(column.place, j));
        result.products += a * u * v;
        result.underflow += a * (v + 1);
        if (a != 0) result.largest = std::max({result.largest, u, v});
      }
  return result;
}

// The larger of whole tiles' and of those that end with the image.
WinogradMagnitude by_hand(const Conv& conv, const Case& c, const Tensors& tensors,
                          const OutputIndex& at, int tile) {
  const Axis& h = axis_of(c.kh, tile);
  const Axis& w = axis_of(c.kw, tile);
  const Tile row = tile_of(at.oh, conv.out.h, conv.dilations.h, h.m());
  const Tile column = tile_of(at.ow, conv.out.w, conv.dilations.w, w.m());
  const WinogradMagnitude whole = by_hand(conv, tensors, at, h, w, row, column);
  const WinogradMagnitude nested = by_hand(conv, tensors, at, axis_of(c.kh, tile, row.outputs),
                                           axis_of(c.kw, tile, column.outputs), row, column);
  return {std::max(whole.products, nested.products), std::max(whole.underflow, nested.underflow),
          std::max(whole.largest, nested.largest)};
}

TEST(WinogradMagnitude, IsWhatItsDefinitionSays) {
  for (const Case& c : kCases) {
    const Conv conv = *parse_conv(c.text);
    const Tensors tensors = draw(conv, 3);
    for (const int tile : {2, 4})
      for_each_output(conv, [&](const OutputIndex& at) {
        const WinogradMagnitude found = winograd_magnitude(conv, tensors.inputs(), at, tile);
        const WinogradMagnitude expected = by_hand(conv, c, tensors, at, tile);
        ASSERT_NEAR(found.products, expected.products, 1e-12 * expected.products) << c.text;
        ASSERT_NEAR(found.underflow, expected.underflow, 1e-12 * expected.underflow) << c.text;
        ASSERT_NEAR(found.largest, expected.largest, 1e-12 * expected.largest) << c.text;
      });
  }
}

TEST(WinogradMagnitude, IsNeverBelowTheSumOfProducts) {
  for (const Case& c : kCases) {
    const Conv conv = *parse_conv(c.text);
    const Tensors tensors = draw(conv, 4);
    for_each_output(conv, [&](const OutputIndex& at) {
      const double s = interpret_output(conv, tensors.inputs(), at).s;
      for (const int tile : {2, 4}) {
        const double magnitude = winograd_magnitude(conv, tensors.inputs(), at, tile).products;
        ASSERT_GE(magnitude, s * (1 - 1e-12)) << c.text;
        ASSERT_LE(magnitude, 1e5 * (s + 1)) << c.text;
      }
    });
  }
}

TEST(WinogradBound, IsLargerThanTheDirectOneAndOfTheSameValue) {
  const Conv conv = *parse_conv(std::string(kCases[0].text) + " post=bias");
  const Tensors tensors = draw(conv, 5);
  const std::vector<float> bias(4, 0.25f);
  TensorInputs inputs = tensors.inputs();
  inputs.bias = bias.data();
  for_each_output(conv, [&](const OutputIndex& at) {
    const ReferenceOutput direct = interpret_output(conv, inputs, at);
    for (const int tile : {2, 4}) {
      const ReferenceOutput winograd = interpret_output(conv, inputs, at, {.winograd_tile = tile});
      EXPECT_EQ(winograd.y, direct.y);
      EXPECT_EQ(winograd.s, direct.s);
      EXPECT_LT(direct.tolerance, winograd.tolerance);
      const double magnitude =
          winograd_magnitude(conv, inputs, at, tile).products + std::abs(bias[0]);
      const double k = static_cast<double>(conv.ic) + kWinogradRoundings + 2;
      EXPECT_NEAR(winograd.tolerance, k * 0x1p-24 / (1 - k * 0x1p-24) * magnitude,
                  1e-9 * winograd.tolerance);
    }
  });
}

// Sources whose transform leaves f32, though their products do not.
TEST(WinogradBound, NoneHoldsWhereATransformMayOverflow) {
  const Conv conv = *parse_conv("conv2d src=f32:nhwc:1x6x6x1 weights=f32:hwio:3x3x1x1");
  const std::vector<float> src(36, 1e37f), weights(9, 1e-30f);
  const TensorInputs inputs{.src = src.data(), .weights = weights.data()};
  EXPECT_TRUE(std::isfinite(interpret_output(conv, inputs, {}).tolerance));
  EXPECT_TRUE(std::isfinite(interpret_output(conv, inputs, {}, {.winograd_tile = 2}).tolerance));
  EXPECT_TRUE(std::isinf(interpret_output(conv, inputs, {}, {.winograd_tile = 4}).tolerance));
  const std::vector<float> small(36, 1e-30f), large(9, 3e38f);
  const TensorInputs heavy{.src = small.data(), .weights = large.data()};
  EXPECT_TRUE(std::isfinite(interpret_output(conv, heavy, {}).tolerance));
  EXPECT_TRUE(std::isinf(interpret_output(conv, heavy, {}, {.winograd_tile = 2}).tolerance));
}

TEST(WinogradMagnitude, CostsMoreThanTheSum) {
  const Conv conv = *parse_conv(kCases[0].text);
  const auto terms = static_cast<double>(conv.terms());
  EXPECT_GT(winograd_magnitude_multiply_adds(conv, 2), 10 * terms);
  EXPECT_GT(winograd_magnitude_multiply_adds(conv, 4),
            2 * winograd_magnitude_multiply_adds(conv, 2));
}

}  // namespace
}  // namespace convgen::ir
