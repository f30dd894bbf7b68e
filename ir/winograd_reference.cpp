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

const Matrices& matrices_of(int64_t taps, int tile) {
  if (taps == 1) return kIdentity;
  if (taps == 5) return kF25;
  return tile == 2 ? kF23 : kF43;
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

// An output's place along one axis: where its tile's inputs begin, and which output of it it is.
struct Place {
  int64_t first;
  int64_t in_tile;
};

Place place_of(int64_t out, int64_t dilation, int64_t pad, int64_t m) {
  const int64_t phase = out % dilation;
  const int64_t in_phase = out / dilation;
  return {in_phase / m * m * dilation + phase - pad, in_phase % m};
}

}  // namespace

WinogradMagnitude winograd_magnitude(const Conv& conv, const TensorInputs& inputs,
                                     const OutputIndex& at, int tile) {
  const Matrices& h = matrices_of(conv.kernel.h, tile);
  const Matrices& w = matrices_of(conv.kernel.w, tile);
  const Place row = place_of(at.oh, conv.dilations.h, conv.pads_begin.h, h.at.rows);
  const Place column = place_of(at.ow, conv.dilations.w, conv.pads_begin.w, w.at.rows);
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

double winograd_magnitude_multiply_adds(const Conv& conv, int tile) {
  const auto of = [](const Matrix& left, const Matrix& right) {
    return left.rows * right.columns * left.columns + left.rows * right.rows * right.columns;
  };
  const Matrices& h = matrices_of(conv.kernel.h, tile);
  const Matrices& w = matrices_of(conv.kernel.w, tile);
  return static_cast<double>(conv.ic) * (of(h.bt, w.bt) + of(h.g, w.g) + h.bt.rows * w.bt.rows);
}

}  // namespace convgen::ir
