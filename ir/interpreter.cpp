// SPDX-License-Identifier: Apache-2.0
// The convolution by its definition: plain loops, one output at a time, sums in f64. Decides what
// is right, so it stays free of cleverness and of every helper the code generator uses.
#include "ir/interpreter.h"

#include <cfloat>
#include <cmath>
#include <limits>

#include "ir/post_op_reference.h"
#include "ir/winograd_reference.h"

namespace convgen::ir {
namespace {

// Elements from one n, channel, depth, row or column to the next.
struct ActivationStrides {
  int64_t n, c, d, h, w;
};

ActivationStrides activation_strides(ActivationLayout layout, int64_t channels,
                                     const Extent3& extent) {
  const int64_t image = channels * extent.product();
  if (layout == ActivationLayout::kChannelsFirst) {
    return {image, extent.product(), extent.h * extent.w, extent.w, 1};
  }
  return {image, 1, extent.h * extent.w * channels, extent.w * channels, channels};
}

// Elements from one output channel, input channel or kernel position to the next.
struct WeightsStrides {
  int64_t oc, ic, kd, kh, kw;
};

WeightsStrides weights_strides(const Conv& conv) {
  const Extent3& k = conv.kernel;
  const int64_t ic = conv.ic_per_group();
  if (conv.weights_layout == WeightsLayout::kOISpatial) {
    return {ic * k.product(), k.product(), k.h * k.w, k.w, 1};
  }
  const int64_t tap = ic * conv.oc;
  return {1, conv.oc, k.h * k.w * tap, k.w * tap, tap};
}

// A sum of products, and the sum of their magnitudes.
struct Sums {
  double value = 0;
  double magnitude = 0;
};

// Adds x * w over the channels of one tap. A product of two f32 is exact in f64.
void add_tap(const float* x, int64_t x_stride, const float* w, int64_t w_stride, int64_t channels,
             Sums& sums) {
  double value = sums.value;
  double magnitude = sums.magnitude;
  for (int64_t i = 0; i < channels; ++i) {
    const double product = static_cast<double>(x[i * x_stride]) * w[i * w_stride];
    value += product;
    magnitude += std::abs(product);
  }
  sums = {value, magnitude};
}

// One axis: where output position `out` reads through kernel position `k`, perhaps outside.
int64_t input_position(const Conv& conv, int axis, int64_t out, int64_t k) {
  return out * conv.strides[axis] + k * conv.dilations[axis] - conv.pads_begin[axis];
}

bool inside(int64_t position, int64_t extent) { return 0 <= position && position < extent; }

// The convolution itself. A tap outside the image is skipped, never multiplied by zero: an Inf
// weight there must not make a NaN. Only another pad value makes it a term like any other.
Sums sum_products(const Conv& conv, const TensorInputs& inputs, const OutputIndex& at) {
  const ActivationStrides xs = activation_strides(conv.src_layout, conv.ic, conv.in);
  const WeightsStrides ws = weights_strides(conv);
  const int64_t channels = conv.ic_per_group();
  const int64_t first_ic = at.oc / conv.oc_per_group() * channels;
  const float* x = inputs.src + at.n * xs.n + first_ic * xs.c;
  const float* w = inputs.weights + at.oc * ws.oc;

  Sums sums;
  for (int64_t kd = 0; kd < conv.kernel.d; ++kd) {
    const int64_t id = input_position(conv, 0, at.od, kd);
    for (int64_t kh = 0; kh < conv.kernel.h; ++kh) {
      const int64_t ih = input_position(conv, 1, at.oh, kh);
      for (int64_t kw = 0; kw < conv.kernel.w; ++kw) {
        const int64_t iw = input_position(conv, 2, at.ow, kw);
        const float* tap = w + kd * ws.kd + kh * ws.kh + kw * ws.kw;
        if (inside(id, conv.in.d) && inside(ih, conv.in.h) && inside(iw, conv.in.w)) {
          add_tap(x + id * xs.d + ih * xs.h + iw * xs.w, xs.c, tap, ws.ic, channels, sums);
        } else if (conv.pad_value != 0) {
          add_tap(&conv.pad_value, 0, tap, ws.ic, channels, sums);
        }
      }
    }
  }
  return sums;
}

PostOpOperands read_operands(const Conv& conv, const TensorInputs& inputs, const OutputIndex& at) {
  PostOpOperands operands;
  if (conv.uses(PostOpKind::kBias)) operands.bias = inputs.bias[at.oc];
  if (conv.uses(PostOpKind::kAdd)) operands.add = inputs.add[dst_offset(conv, at)];
  if (conv.uses(PostOpKind::kScale)) operands.scale = inputs.scale[at.oc];
  return operands;
}

// The bound of direct summation in f32, in any order: gamma(n + 2) * S, and half a subnormal for
// each product that underflows. It holds only while no partial sum can leave f32's range.
double summation_error(const Conv& conv, double s) {
  const int64_t terms = conv.terms();
  const double error = gamma_of(terms + 2) * s + static_cast<double>(terms + 1) * 0x1p-149;
  return s + error <= FLT_MAX ? error : std::numeric_limits<double>::infinity();
}

// The bound of Winograd: its own magnitude in place of S, the roundings of a term over channels and
// through the transforms, and half a subnormal for each transformed weight and each product. None
// holds where a transform may leave f32's range.
double winograd_error(const Conv& conv, const TensorInputs& inputs, const OutputIndex& index, int m,
                      double addends) {
  const WinogradMagnitude magnitude = winograd_magnitude(conv, inputs, index, m);
  const double s = magnitude.products + addends;
  const double error =
      gamma_of(conv.ic + kWinogradRoundings + 2) * s + (magnitude.underflow + 1) * 0x1p-149;
  const bool in_range = s + error <= FLT_MAX && magnitude.largest <= 0.999 * FLT_MAX;
  return in_range ? error : std::numeric_limits<double>::infinity();
}

}  // namespace

ReferenceOutput interpret_output(const Conv& conv, const TensorInputs& inputs,
                                 const OutputIndex& index, const Summation& summation) {
  const Sums sums = sum_products(conv, inputs, index);
  const PostOpOperands operands = read_operands(conv, inputs, index);
  ReferenceOutput output;
  output.accumulator = sums.value;
  const double addends =
      std::abs(static_cast<double>(operands.bias)) + std::abs(static_cast<double>(operands.add));
  output.s = sums.magnitude + addends;
  const double error = summation.winograd_tile == 0
                           ? summation_error(conv, output.s)
                           : winograd_error(conv, inputs, index, summation.winograd_tile, addends);
  const Approximation result = propagate_post_ops(conv.post, operands, {sums.value, error});
  output.y = result.value;
  output.tolerance = result.error;
  return output;
}

int64_t dst_offset(const Conv& conv, const OutputIndex& index) {
  const ActivationStrides ys = activation_strides(conv.dst_layout, conv.oc, conv.out);
  return index.n * ys.n + index.oc * ys.c + index.od * ys.d + index.oh * ys.h + index.ow * ys.w;
}

Reference interpret(const Conv& conv, const TensorInputs& inputs, const Summation& summation) {
  const auto size = static_cast<size_t>(conv.dst_elements());
  Reference reference{std::vector<double>(size), std::vector<double>(size),
                      std::vector<double>(size)};
  const auto store = [&](const OutputIndex& at) {
    const ReferenceOutput output = interpret_output(conv, inputs, at, summation);
    const auto offset = static_cast<size_t>(dst_offset(conv, at));
    reference.y[offset] = output.y;
    reference.s[offset] = output.s;
    reference.tolerance[offset] = output.tolerance;
  };
  OutputIndex at;
  for (at.n = 0; at.n < conv.n; ++at.n) {
    for (at.oc = 0; at.oc < conv.oc; ++at.oc) {
      for (at.od = 0; at.od < conv.out.d; ++at.od) {
        for (at.oh = 0; at.oh < conv.out.h; ++at.oh) {
          for (at.ow = 0; at.ow < conv.out.w; ++at.ow) store(at);
        }
      }
    }
  }
  return reference;
}

bool within_tolerance(float value, const ReferenceOutput& reference) {
  const double y = reference.y;
  if (std::isnan(y)) return std::isnan(value);
  if (std::isinf(y)) return value == y;
  // An Inf passes where the bound lets the right answer leave f32's range on that side.
  if (std::isinf(value)) return std::copysign(1.0, value) * y + reference.tolerance > FLT_MAX;
  return std::abs(value - y) <= reference.tolerance;
}

}  // namespace convgen::ir
