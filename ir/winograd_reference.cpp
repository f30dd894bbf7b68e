// SPDX-License-Identifier: Apache-2.0
#include "ir/winograd_reference.h"

#include <algorithm>
#include <cmath>

namespace convgen::ir {
namespace {

struct Matrix {
  int rows = 0;
  int columns = 0;
  double at[6][6] = {};
};

// F(m, taps) of one axis: the outputs are A^T [(G g) .* (B^T d)].
struct Matrices {
  Matrix bt, g, at;
};

// Nothing to transform.
constexpr Matrix kOne = {1, 1, {{1}}};
constexpr Matrices kIdentity = {kOne, kOne, kOne};

// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1 for
// F(2, 3) and section 4.3 for F(4, 3). F(2, 5) is on the points of F(4, 3).
constexpr Matrices kF23 = {
    {4, 4, {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}},
    {4, 3, {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}}},
    {2, 4, {{1, 1, 1, 0}, {0, 1, -1, -1}}},
};

constexpr Matrix kSixPoints = {6,
                               6,
                               {{4, 0, -5, 0, 1, 0},
                                {0, -4, -4, 1, 1, 0},
                                {0, 4, -4, -1, 1, 0},
                                {0, -2, -1, 2, 1, 0},
                                {0, 2, -1, -2, 1, 0},
                                {0, 4, 0, -5, 0, 1}}};

constexpr Matrices kF43 = {
    kSixPoints,
    {6,
     3,
     {{1.0 / 4, 0, 0},
      {-1.0 / 6, -1.0 / 6, -1.0 / 6},
      {-1.0 / 6, 1.0 / 6, -1.0 / 6},
      {1.0 / 24, 1.0 / 12, 1.0 / 6},
      {1.0 / 24, -1.0 / 12, 1.0 / 6},
      {0, 0, 1}}},
    {4, 6, {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}},
};

constexpr Matrices kF25 = {
    kSixPoints,
    {6,
     5,
     {{1.0 / 4, 0, 0, 0, 0},
      {-1.0 / 6, -1.0 / 6, -1.0 / 6, -1.0 / 6, -1.0 / 6},
      {-1.0 / 6, 1.0 / 6, -1.0 / 6, 1.0 / 6, -1.0 / 6},
      {1.0 / 24, 1.0 / 12, 1.0 / 6, 1.0 / 3, 2.0 / 3},
      {1.0 / 24, -1.0 / 12, 1.0 / 6, -1.0 / 3, 2.0 / 3},
      {0, 0, 0, 0, 1}}},
    {2, 6, {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 1}}},
};

// Of tiles at the border with fewer outputs, on the first of those points and infinity: F(3, 3) and
// F(1, 5), F(2, 3), F(1, 3). Weights are those of whole tiles, so A^T makes up for the distances to
// points that are left out.
constexpr Matrix kFivePoints = {
    5,
    5,
    {{2, -1, -2, 1, 0}, {0, -2, -1, 1, 0}, {0, 2, -3, 1, 0}, {0, -1, 0, 1, 0}, {0, 2, -1, -2, 1}}};
constexpr Matrix kFourPoints = {4, 4, {{-1, 0, 1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}}};
constexpr Matrix kThreePoints = {3, 3, {{-1, 1, 0}, {0, 1, 0}, {0, -1, 1}}};

// The rows of g of so many points.
constexpr Matrix first_and_last(const Matrix& g, int points) {
  Matrix some = {points, g.columns, {}};
  for (int i = 0; i < points; ++i)
    for (int k = 0; k < g.columns; ++k) some.at[i][k] = g.at[i + 1 < points ? i : g.rows - 1][k];
  return some;
}

constexpr Matrices kF33Of43 = {
    kFivePoints,
    first_and_last(kF43.g, 5),
    {3, 5, {{2, 3, 1, 4, 0}, {0, 3, -1, 8, 0}, {0, 3, 1, 16, 1}}},
};
constexpr Matrices kF23Of43 = {
    kFourPoints,
    first_and_last(kF43.g, 4),
    {2, 4, {{-4, -3, -3, 0}, {0, -3, 3, 1}}},
};
constexpr Matrices kF13Of43 = {kThreePoints, first_and_last(kF43.g, 3), {1, 3, {{-4, -6, 1}}}};
constexpr Matrices kF13Of23 = {kThreePoints, first_and_last(kF23.g, 3), {1, 3, {{-1, 2, 1}}}};
constexpr Matrices kF15Of25 = {kFivePoints, first_and_last(kF25.g, 5), {1, 5, {{2, 3, 1, 4, 1}}}};

const Matrices& matrices_of(int64_t taps, int tile) {
  if (taps == 1) return kIdentity;
  if (taps == 5) return kF25;
  return tile == 2 ? kF23 : kF43;
}

// Of `outputs`, fewer than a whole tile has.
const Matrices& nested_matrices_of(int64_t taps, int tile, int64_t outputs) {
  if (taps == 5) return kF15Of25;
  if (tile == 2) return kF13Of23;
  return outputs == 3 ? kF33Of43 : outputs == 2 ? kF23Of43 : kF13Of43;
}

// |left| |x| |right^T|.
Matrix transform_magnitudes(const Matrix& left, const Matrix& x, const Matrix& right) {
  Matrix rows{left.rows, right.columns, {}};
  for (int i = 0; i < left.rows; ++i)
    for (int k = 0; k < left.columns; ++k)
      for (int j = 0; j < right.columns; ++j) rows.at[i][j] += std::abs(left.at[i][k] * x.at[k][j]);
  Matrix both{left.rows, right.rows, {}};
  for (int i = 0; i < left.rows; ++i)
    for (int j = 0; j < right.rows; ++j)
      for (int k = 0; k < right.columns; ++k)
        both.at[i][j] += rows.at[i][k] * std::abs(right.at[j][k]);
  return both;
}

double source_at(const Conv& conv, const float* src, const OutputIndex& at, int64_t ic, int64_t ih,
                 int64_t iw) {
  if (ih < 0 || ih >= conv.in.h || iw < 0 || iw >= conv.in.w) return conv.pad_value;
  const bool last = conv.src_layout == ActivationLayout::kChannelsLast;
  const int64_t pixel = (at.od * conv.in.h + ih) * conv.in.w + iw;
  const int64_t image = at.n * conv.ic * conv.in.product();
  return src[image + (last ? pixel * conv.ic + ic : ic * conv.in.product() + pixel)];
}

double weight_at(const Conv& conv, const float* weights, int64_t oc, int64_t ic, int64_t kh,
                 int64_t kw) {
  const int64_t tap = kh * conv.kernel.w + kw;
  const bool spatial_first = conv.weights_layout == WeightsLayout::kSpatialIO;
  return weights[spatial_first ? (tap * conv.ic + ic) * conv.oc + oc
                               : (oc * conv.ic + ic) * conv.kernel.product() + tap];
}

// An output's place along one axis: where its tile's inputs begin, and which output of it it is;
// how many the tile has.
struct Place {
  int64_t first;
  int64_t in_tile;
  int64_t outputs;
};

Place place_of(int64_t out, int64_t extent, int64_t dilation, int64_t pad, int64_t m) {
  const int64_t phase = out % dilation;
  const int64_t in_phase = out / dilation;
  const int64_t first = in_phase / m * m;
  const int64_t longest = (extent + dilation - 1) / dilation;  // of all phases
  return {first * dilation + phase - pad, in_phase % m, std::min(m, longest - first)};
}

}  // namespace

namespace {

WinogradMagnitude magnitude_on(const Conv& conv, const TensorInputs& inputs, const OutputIndex& at,
                               const Matrices& h, const Matrices& w, const Place& row,
                               const Place& column) {
  WinogradMagnitude result;
  Matrix d{h.bt.rows, w.bt.rows, {}};
  Matrix g{h.g.columns, w.g.columns, {}};
  for (int64_t ic = 0; ic < conv.ic; ++ic) {
    for (int i = 0; i < d.rows; ++i)
      for (int j = 0; j < d.columns; ++j)
        d.at[i][j] = source_at(conv, inputs.src, at, ic, row.first + i * conv.dilations.h,
                               column.first + j * conv.dilations.w);
    for (int i = 0; i < g.rows; ++i)
      for (int j = 0; j < g.columns; ++j)
        g.at[i][j] = weight_at(conv, inputs.weights, at.oc, ic, i, j);
    const Matrix v = transform_magnitudes(h.bt, d, w.bt);
    const Matrix u = transform_magnitudes(h.g, g, w.g);
    for (int i = 0; i < v.rows; ++i)
      for (int j = 0; j < v.columns; ++j) {
        const double a = std::abs(h.at.at[row.in_tile][i] * w.at.at[column.in_tile][j]);
        if (a == 0) continue;
        result.products += a * u.at[i][j] * v.at[i][j];
        result.underflow += a * (v.at[i][j] + 1);
        result.largest = std::max({result.largest, u.at[i][j], v.at[i][j]});
      }
  }
  return result;
}

}  // namespace

WinogradMagnitude winograd_magnitude(const Conv& conv, const TensorInputs& inputs,
                                     const OutputIndex& at, int tile) {
  const Matrices& h = matrices_of(conv.kernel.h, tile);
  const Matrices& w = matrices_of(conv.kernel.w, tile);
  const Place row = place_of(at.oh, conv.out.h, conv.dilations.h, conv.pads_begin.h, h.at.rows);
  const Place column = place_of(at.ow, conv.out.w, conv.dilations.w, conv.pads_begin.w, w.at.rows);
  WinogradMagnitude result = magnitude_on(conv, inputs, at, h, w, row, column);
  const auto nested = [&](const Matrices& whole, int64_t taps, const Place& place) {
    return place.outputs == whole.at.rows ? whole : nested_matrices_of(taps, tile, place.outputs);
  };
  if (row.outputs == h.at.rows && column.outputs == w.at.rows) return result;
  const WinogradMagnitude other = magnitude_on(conv, inputs, at, nested(h, conv.kernel.h, row),
                                               nested(w, conv.kernel.w, column), row, column);
  result.products = std::max(result.products, other.products);
  result.underflow = std::max(result.underflow, other.underflow);
  result.largest = std::max(result.largest, other.largest);
  return result;
}

double winograd_magnitude_multiply_adds(const Conv& conv, int tile) {
  const auto of = [](const Matrix& left, const Matrix& right) {
    return left.rows * right.columns * left.columns + left.rows * right.rows * right.columns;
  };
  const Matrices& h = matrices_of(conv.kernel.h, tile);
  const Matrices& w = matrices_of(conv.kernel.w, tile);
  return static_cast<double>(conv.ic) * (of(h.bt, w.bt) + of(h.g, w.g) + h.bt.rows * w.bt.rows);
}

}  // namespace convgen::ir
