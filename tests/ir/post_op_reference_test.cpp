// SPDX-License-Identifier: Apache-2.0
// The post-ops by value, and their error bounds against f32 arithmetic in several honest forms:
// never exceeded (sound), and not far from what is seen (useful).
#include "ir/post_op_reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "ir/text.h"

namespace convgen::ir {
namespace {

using Kind = PostOpKind;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr PostOpOperands kOperands{.bias = 0.7f, .add = -1.3f, .scale = -2.3f};

// One of each, with constants that exercise both sides.
const std::vector<PostOp> kAllOps = {{Kind::kBias},
                                     {Kind::kAdd},
                                     {Kind::kScale},
                                     {Kind::kRelu},
                                     {Kind::kLeakyRelu, 0.3f},
                                     {Kind::kLeakyRelu, -3},
                                     {Kind::kElu, 1},
                                     {Kind::kElu, -2.5f},
                                     {Kind::kClamp, -1, 2},
                                     {Kind::kMin, 0.5f},
                                     {Kind::kMax, -0.5f},
                                     {Kind::kSigmoid},
                                     {Kind::kTanh},
                                     {Kind::kGelu},
                                     {Kind::kGeluTanh},
                                     {Kind::kSilu},
                                     {Kind::kHardSwish},
                                     {Kind::kHardSigmoid},
                                     {Kind::kAbs},
                                     {Kind::kSquare}};

double value_of(const PostOp& op, double x) { return evaluate_post_op(op, kOperands, x); }

// --- Values ---

TEST(PostOpValue, FollowsTheDefinitions) {
  EXPECT_EQ(value_of({Kind::kBias}, 1), 1 + static_cast<double>(0.7f));
  EXPECT_EQ(value_of({Kind::kAdd}, 1), 1 + static_cast<double>(-1.3f));
  EXPECT_EQ(value_of({Kind::kScale}, 2), 2 * static_cast<double>(-2.3f));
  EXPECT_EQ(value_of({Kind::kRelu}, -1), 0);
  EXPECT_EQ(value_of({Kind::kLeakyRelu, 0.25f}, -2), -0.5);
  EXPECT_EQ(value_of({Kind::kElu, 2}, -1), 2 * std::expm1(-1.0));
  EXPECT_EQ(value_of({Kind::kClamp, 0, 6}, 7), 6);
  EXPECT_EQ(value_of({Kind::kClamp, 0, 6}, -7), 0);
  EXPECT_EQ(value_of({Kind::kMin, 3}, 4), 3);
  EXPECT_EQ(value_of({Kind::kMax, 3}, 2), 3);
  EXPECT_EQ(value_of({Kind::kSigmoid}, 0), 0.5);
  EXPECT_EQ(value_of({Kind::kTanh}, 0.5), std::tanh(0.5));
  EXPECT_NEAR(value_of({Kind::kGelu}, 1), 0.841344746068543, 1e-15);  // 1 * Phi(1)
  EXPECT_NEAR(value_of({Kind::kGeluTanh}, 1), 0.841191990608276, 1e-15);
  EXPECT_NEAR(value_of({Kind::kSilu}, 1), 0.731058578630005, 1e-15);
  EXPECT_EQ(value_of({Kind::kHardSwish}, 1), 4.0 / 6);
  EXPECT_EQ(value_of({Kind::kHardSigmoid}, -4), 0);
  EXPECT_EQ(value_of({Kind::kHardSigmoid}, 4), 1);
  EXPECT_EQ(value_of({Kind::kAbs}, -2), 2);
  EXPECT_EQ(value_of({Kind::kSquare}, -3), 9);
}

TEST(PostOpValue, EveryOpLetsNaNThrough) {
  for (const PostOp& op : kAllOps) EXPECT_TRUE(std::isnan(value_of(op, kNaN))) << print_post_op(op);
}

TEST(PostOpValue, InfFollowsTheDefinitions) {
  EXPECT_EQ(value_of({Kind::kRelu}, -kInf), 0);
  EXPECT_EQ(value_of({Kind::kSigmoid}, -kInf), 0);
  EXPECT_EQ(value_of({Kind::kElu, 2}, -kInf), -2);
  EXPECT_EQ(value_of({Kind::kHardSwish}, kInf), kInf);
  for (Kind kind : {Kind::kGelu, Kind::kGeluTanh, Kind::kSilu, Kind::kHardSwish}) {
    EXPECT_TRUE(std::isnan(value_of({kind}, -kInf)));  // Inf * 0
  }
}

// --- Error bounds ---

TEST(Gamma, IsHighamsGamma) {
  EXPECT_EQ(gamma_of(0), 0);
  EXPECT_EQ(gamma_of(4), 0x1p-22 / (1 - 0x1p-22));
  EXPECT_EQ(gamma_of(int64_t{1} << 24), kInf);
  EXPECT_EQ(gamma_of(int64_t{1} << 40), kInf);
}

// An op as f32 code computes it. Form 1 is the other way one may write it: a multiplication by a
// reciprocal, a fused multiply-add, tanh or sigmoid from the other's exponential.
float f32_sigmoid(float x, int form) {
  if (form == 0) return 1 / (1 + std::exp(-x));
  const float e = std::exp(-std::fabs(x));
  return (x < 0 ? e : 1.0f) / (1 + e);
}

float f32_hard_sigmoid(float x, int form) {
  if (form == 0) return std::min(std::max(x + 3, 0.0f), 6.0f) / 6;
  return std::min(std::max(std::fma(x, 1.0f / 6, 0.5f), 0.0f), 1.0f);
}

float f32_gelu_tanh(float x, int form) {
  constexpr float kSlope = 0.7978845608f;
  const float cubic = form == 0 ? kSlope * (x + 0.044715f * x * x * x)
                                : x * std::fma(x * x, kSlope * 0.044715f, kSlope);
  return 0.5f * x * (1 + std::tanh(cubic));
}

float f32_post_op(const PostOp& op, float x, int form) {
  switch (op.kind) {
    case Kind::kBias:
      return x + kOperands.bias;
    case Kind::kAdd:
      return x + kOperands.add;
    case Kind::kScale:
      return x * kOperands.scale;
    case Kind::kRelu:
      return x < 0 ? 0 : x;
    case Kind::kLeakyRelu:
      return x < 0 ? op.a * x : x;
    case Kind::kElu:
      return x < 0 ? op.a * std::expm1(x) : x;
    case Kind::kClamp:
      return std::min(std::max(x, op.a), op.b);
    case Kind::kMin:
      return std::min(x, op.a);
    case Kind::kMax:
      return std::max(x, op.a);
    case Kind::kSigmoid:
      return f32_sigmoid(x, form);
    case Kind::kTanh:
      return std::tanh(x);
    case Kind::kGelu:
      return 0.5f * x * (1 + std::erf(x * 0.70710678f));
    case Kind::kGeluTanh:
      return f32_gelu_tanh(x, form);
    case Kind::kSilu:
      return form == 0 ? x * f32_sigmoid(x, 0) : x / (1 + std::exp(-x));
    case Kind::kHardSwish:
      return x * f32_hard_sigmoid(x, form);
    case Kind::kHardSigmoid:
      return f32_hard_sigmoid(x, form);
    case Kind::kAbs:
      return std::fabs(x);
    case Kind::kSquare:
      return x * x;
  }
  return 0;
}

class Samples {
 public:
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }
  // Any sign, magnitudes from 2^-12 to 2^high evenly in the exponent.
  double real(double high) { return std::copysign(std::exp2(uniform(-12, high)), uniform(-1, 1)); }
  size_t below(size_t count) { return engine_() % count; }
  // A float that a kernel may hold where the reference holds `exact`.
  float perturbed(const Approximation& exact) {
    const double share = below(4) == 0 ? std::copysign(1.0, uniform(-1, 1)) : uniform(-1, 1);
    const auto near = static_cast<float>(exact.value + share * exact.error);
    return std::abs(near - exact.value) <= exact.error ? near : static_cast<float>(exact.value);
  }

 private:
  std::mt19937_64 engine_{20240607};
};

// Runs f32 forms of `op` over samples whose error is `relative` of their value, fails where the
// bound is passed, and returns the worst share of the bound that was seen.
double worst_share(const PostOp& op, double largest_exponent, double relative) {
  Samples samples;
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const double x = static_cast<float>(samples.real(largest_exponent));
    const Approximation in{x, std::abs(x) * relative};
    const Approximation out = propagate_post_op(op, kOperands, in);
    const float got = f32_post_op(op, samples.perturbed(in), i % 2);
    const double error = std::abs(got - out.value);
    EXPECT_LE(error, out.error) << print_post_op(op) << " at " << x;
    if (!(error <= out.error)) break;
    if (out.error > 0) worst = std::max(worst, error / out.error);
  }
  return worst;
}

TEST(PostOpError, HoldsForEveryOpOnItsOwn) {
  for (const PostOp& op : kAllOps) {
    const double rounding = worst_share(op, 3, 0);
    const bool exact = propagate_post_op(op, kOperands, {-1.5, 0}).error == 0;
    EXPECT_EQ(rounding > 0, !exact) << print_post_op(op);
    EXPECT_GT(rounding, exact ? -1 : 0.05) << print_post_op(op);
  }
}

TEST(PostOpError, HoldsForUncertainInputs) {
  for (const PostOp& op : kAllOps) {
    for (double relative : {0x1p-22, 0x1p-14, 0x1p-4}) {
      EXPECT_GT(worst_share(op, 3, relative), 0.2) << print_post_op(op);
    }
  }
}

TEST(PostOpError, HoldsInTheTails) {
  for (const PostOp& op : kAllOps) {
    worst_share(op, 11, 0);
    worst_share(op, 11, 0x1p-20);
  }
}

// A vector exponential stops at -87.33654, where e^x leaves the normal numbers.
TEST(PostOpError, AllowsAClampedExponential) {
  for (double x : {-87.4, -88.8, -104.0, -1000.0}) {
    const double floor = std::exp(-87.33654);
    const Approximation sigmoid = propagate_post_op({Kind::kSigmoid}, kOperands, {x, 0});
    EXPECT_LE(std::abs(floor - sigmoid.value), sigmoid.error);
    const Approximation silu = propagate_post_op({Kind::kSilu}, kOperands, {x, 0});
    EXPECT_LE(std::abs(x * floor - silu.value), silu.error);
  }
}

TEST(PostOpError, ReluOfACertainValueStaysCertain) {
  EXPECT_EQ(propagate_post_op({Kind::kRelu}, kOperands, {5, 0}).error, 0);
  EXPECT_EQ(propagate_post_op({Kind::kClamp, 0, 6}, kOperands, {5, 0.5}).error, 0.5);
}

TEST(PostOpError, AnInfIsCertainAndAnOverflowIsNot) {
  EXPECT_LT(propagate_post_op({Kind::kSigmoid}, kOperands, {kInf, kInf}).error, 1e-6);
  EXPECT_EQ(propagate_post_op({Kind::kClamp, 0, 6}, kOperands, {kInf, kInf}).error, 0);
  EXPECT_EQ(propagate_post_op({Kind::kScale}, kOperands, {2.0 * FLT_MAX, 1}).error, kInf);
  const PostOpOperands zero{.scale = 0};
  EXPECT_EQ(propagate_post_op({Kind::kScale}, zero, {1, kInf}).error, kInf);  // not 0 * Inf
}

TEST(PostOpChain, FirstBiasAndAddArePrepaid) {
  const Approximation sum{1, 1e-6};
  const auto error_of = [&](const std::vector<PostOp>& ops) {
    return propagate_post_ops(ops, kOperands, sum).error;
  };
  const PostOp bias{Kind::kBias}, add{Kind::kAdd}, relu{Kind::kRelu};
  EXPECT_EQ(error_of({}), sum.error);
  EXPECT_EQ(error_of({bias}), sum.error);
  EXPECT_EQ(error_of({add, bias}), sum.error);
  EXPECT_EQ(error_of({bias, add, relu}), sum.error);
  EXPECT_GT(error_of({bias, bias}), sum.error);
  EXPECT_GT(error_of({bias, relu, add}), sum.error);
}

// A whole f32 chain on a rounded sum keeps the whole bound.
TEST(PostOpChain, BoundHoldsForRandomChains) {
  Samples samples;
  double worst = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::vector<PostOp> ops(1 + samples.below(5));
    for (PostOp& op : ops) op = kAllOps[samples.below(kAllOps.size())];
    const double exact = samples.real(3);
    // gamma(n + 2) * S with n = 1 and S as small as it can be.
    const double s = std::abs(exact) + kOperands.bias - kOperands.add;
    const Approximation sum{exact, gamma_of(3) * s};
    const Approximation out = propagate_post_ops(ops, kOperands, sum);
    float got = static_cast<float>(exact);
    for (const PostOp& op : ops) got = f32_post_op(op, got, i % 2);
    if (std::isinf(got) || out.error == kInf) continue;
    const double error = std::abs(got - out.value);
    ASSERT_LE(error, out.error) << "chain " << i << " on " << exact;
    if (out.error > 0) worst = std::max(worst, error / out.error);
  }
  EXPECT_GT(worst, 0.05);
}

}  // namespace
}  // namespace convgen::ir
