// SPDX-License-Identifier: Apache-2.0
#include "ir/winograd_reference.h"

#include <cmath>
#include <vector>

namespace convgen::ir {
namespace {

using Matrix = std::vector<std::vector<double>>;

// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1 for
// F(2, 3) and section 4.3 for F(4, 3).
struct Matrices {
  Matrix bt, g, at;
};

const Matrices kF2 = {
    {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
    {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
    {{1, 1, 1, 0}, {0, 1, -1, -1}},
};

const Matrices kF4 = {
    {{4, 0, -5, 0, 1, 0},
     {0, -4, -4, 1, 1, 0},
     {0, 4, -4, -1, 1, 0},
     {0, -2, -1, 2, 1, 0},
     {0, 2, -1, -2, 1, 0},
     {0, 4, 0, -5, 0, 1}},
    {{1.0 / 4, 0, 0},
     {-1.0 / 6, -1.0 / 6, -1.0 / 6},
     {-1.0 / 6, 1.0 / 6, -1.0 / 6},
     {1.0 / 24, 1.0 / 12, 1.0 / 6},
     {1.0 / 24, -1.0 / 12, 1.0 / 6},
     {0, 0, 1}},
    {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}},
};

// |left| |x| |left^T|, x of n x n by rows.
Matrix transform_magnitudes(const Matrix& left, const Matrix& x) {
  const size_t n = x.size();
  Matrix rows(left.size(), std::vector<double>(n, 0));
  for (size_t i = 0; i < left.size(); ++i)
    for (size_t j = 0; j < n; ++j)
      for (size_t k = 0; k < n; ++k) rows[i][j] += std::abs(left[i][k]) * std::abs(x[k][j]);
  Matrix both(left.size(), std::vector<double>(left.size(), 0));
  for (size_t i = 0; i < left.size(); ++i)
    for (size_t j = 0; j < left.size(); ++j)
      for (size_t k = 0; k < n; ++k) both[i][j] += rows[i][k] * std::abs(left[j][k]);
  return both;
}

double source_at(const Conv& conv, const float* src, const OutputIndex& at, int64_t ic, int64_t ih,
                 int64_t iw) {
  if (ih < 0 || ih >= conv.in.h || iw < 0 || iw >= conv.in.w) return conv.pad_value;
  const bool last = conv.src_layout == ActivationLayout::kChannelsLast;
  const int64_t pixel = ih * conv.in.w + iw;
  const int64_t image = at.n * conv.ic * conv.in.h * conv.in.w;
  return src[image + (last ? pixel * conv.ic + ic : ic * conv.in.h * conv.in.w + pixel)];
}

double weight_at(const Conv& conv, const float* weights, int64_t oc, int64_t ic, int64_t tap) {
  const bool spatial_first = conv.weights_layout == WeightsLayout::kSpatialIO;
  return weights[spatial_first ? (tap * conv.ic + ic) * conv.oc + oc
                               : (oc * conv.ic + ic) * 9 + tap];
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
                                     const OutputIndex& at, int m) {
  const Matrices& f = m == 2 ? kF2 : kF4;
  const size_t alpha = f.bt.size();
  const Place row = place_of(at.oh, conv.dilations.h, conv.pads_begin.h, m);
  const Place column = place_of(at.ow, conv.dilations.w, conv.pads_begin.w, m);
  WinogradMagnitude result;
  Matrix d(alpha, std::vector<double>(alpha, 0));
  Matrix g(3, std::vector<double>(3, 0));
  for (int64_t ic = 0; ic < conv.ic; ++ic) {
    for (size_t i = 0; i < alpha; ++i)
      for (size_t j = 0; j < alpha; ++j)
        d[i][j] = source_at(conv, inputs.src, at, ic,
                            row.first + static_cast<int64_t>(i) * conv.dilations.h,
                            column.first + static_cast<int64_t>(j) * conv.dilations.w);
    for (size_t k = 0; k < 9; ++k)
      g[k / 3][k % 3] = weight_at(conv, inputs.weights, at.oc, ic, static_cast<int64_t>(k));
    const Matrix v = transform_magnitudes(f.bt, d);
    const Matrix u = transform_magnitudes(f.g, g);
    for (size_t i = 0; i < alpha; ++i)
      for (size_t j = 0; j < alpha; ++j) {
        const double a = std::abs(f.at[static_cast<size_t>(row.in_tile)][i] *
                                  f.at[static_cast<size_t>(column.in_tile)][j]);
        result.products += a * u[i][j] * v[i][j];
        result.underflow += a * (u[i][j] + v[i][j] + 1);
      }
  }
  return result;
}

}  // namespace convgen::ir
