// SPDX-License-Identifier: Apache-2.0
// Conv: one convolution, validated and canonical, the value every other part works from.
// Holds what the convolution is, never how it is computed. Made by make_conv (conv_spec.h).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ir/export.h"

namespace convgen::ir {

inline constexpr int kMaxSpatialRank = 3;

// One number per spatial axis, always three of them: a 2D convolution has d = 1, a 1D one
// d = h = 1. Axis 0 is depth, 1 height, 2 width.
struct Extent3 {
  int64_t d = 1;
  int64_t h = 1;
  int64_t w = 1;

  int64_t& operator[](int axis) { return axis == 0 ? d : axis == 1 ? h : w; }
  int64_t operator[](int axis) const { return axis == 0 ? d : axis == 1 ? h : w; }
  int64_t product() const { return d * h * w; }
  bool operator==(const Extent3&) const = default;
};

enum class DataType { kF32 };
enum class ActivationLayout { kChannelsLast, kChannelsFirst };  // nhwc, nchw
enum class WeightsLayout { kSpatialIO, kOISpatial };            // hwio, oihw
enum class Accuracy { kNormal, kStrict };

enum class PostOpKind {
  kBias,       // x + bias[oc]
  kAdd,        // x + add[element], the residual, dst's shape and layout
  kScale,      // x * scale[oc]
  kRelu,       // x < 0 ? 0 : x
  kLeakyRelu,  // x < 0 ? a * x : x
  kElu,        // x < 0 ? a * (exp(x) - 1) : x
  kClamp,      // max:a, then min:b
  kMin,        // x > a ? a : x
  kMax,        // x < a ? a : x
  kSigmoid,    // 1 / (1 + exp(-x))
  kTanh,
  kGelu,         // x * (1 + erf(x / sqrt 2)) / 2
  kGeluTanh,     // x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2
  kSilu,         // x * sigmoid(x)
  kHardSwish,    // x * hard_sigmoid(x)
  kHardSigmoid,  // min(max(x + 3, 0), 6) / 6
  kAbs,
  kSquare,
};

// One step of the chain that is applied to every output. `a` and `b` are the op's constants.
// All comparisons are written so that NaN stays NaN.
struct PostOp {
  PostOpKind kind = PostOpKind::kRelu;
  float a = 0;
  float b = 0;
  // Compares the constants bit by bit, so that what is equal prints equally (-0 is not 0).
  bool operator==(const PostOp& other) const;
};

// A validated convolution. Every function of convgen that takes one relies on the rules that
// make_conv checked: sizes that fit int64 in elements and bytes, strides and dilations >= 1,
// groups that divide, an output extent that is not negative.
struct CONVGEN_API Conv {
  int spatial_rank = 2;
  DataType type = DataType::kF32;
  ActivationLayout src_layout = ActivationLayout::kChannelsLast;
  ActivationLayout dst_layout = ActivationLayout::kChannelsLast;
  WeightsLayout weights_layout = WeightsLayout::kSpatialIO;

  int64_t n = 0;
  int64_t ic = 0;  // all input channels
  int64_t oc = 0;  // all output channels
  int64_t groups = 1;
  Extent3 in;
  Extent3 kernel;
  Extent3 out;  // derived: (in + pads - effective kernel) / stride + 1
  Extent3 strides;
  Extent3 dilations;  // 1 = dense
  Extent3 pads_begin{0, 0, 0};
  Extent3 pads_end{0, 0, 0};
  float pad_value = 0;

  std::vector<PostOp> post;
  Accuracy accuracy = Accuracy::kNormal;
  std::string name;  // a label for reports; no part of the signature nor of ==

  int64_t ic_per_group() const { return ic / groups; }
  int64_t oc_per_group() const { return oc / groups; }
  // Products per output: taps x input channels per group, padding taps counted.
  int64_t terms() const { return kernel.product() * ic_per_group(); }
  // Multiply-adds of the whole convolution, as a double since it may pass 2^63.
  double multiply_adds() const;

  int64_t src_elements() const { return n * ic * in.product(); }
  int64_t weights_elements() const { return terms() * oc; }
  int64_t dst_elements() const { return n * oc * out.product(); }

  // Shapes in the order of the tensor's own layout, spatial_rank + 2 numbers each.
  std::vector<int64_t> src_dims() const;
  std::vector<int64_t> weights_dims() const;
  std::vector<int64_t> dst_dims() const;

  bool uses(PostOpKind kind) const;
  bool has_padding() const;
  bool operator==(const Conv& other) const;
};

}  // namespace convgen::ir
