// SPDX-License-Identifier: Apache-2.0
// Post-ops in f64, written from their definitions in ir/conv.h, and the error model of their f32
// counterparts. The constants here are promises that every kernel keeps: docs/numerics.md.
#include "ir/post_op_reference.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <numbers>

namespace convgen::ir {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Half the smallest subnormal: the absolute error of a product that underflows gradually.
constexpr double kUnderflow = 0x1p-150;
// Twice the smallest normal: what the tail of an exponential may lose by clamping or flushing.
constexpr double kTail = 0x1p-125;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double gelu(double x) { return x * (1 + std::erf(x / std::numbers::sqrt2)) / 2; }

double gelu_tanh(double x) {
  const double sqrt_2_over_pi = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  return x * (1 + std::tanh(sqrt_2_over_pi * (x + 0.044715 * x * x * x))) / 2;
}

// The comparisons let a NaN x through, which std::min and std::max do only by argument order.
double at_most(double x, double limit) { return x > limit ? limit : x; }
double at_least(double x, double limit) { return x < limit ? limit : x; }

double hard_sigmoid(double x) { return at_most(at_least(x + 3, 0), 6) / 6; }

// Ops that only choose among numbers f32 already holds: no rounding, and never further apart than
// their inputs were.
bool is_exact(PostOpKind kind) {
  switch (kind) {
    case PostOpKind::kRelu:
    case PostOpKind::kClamp:
    case PostOpKind::kMin:
    case PostOpKind::kMax:
    case PostOpKind::kAbs:
      return true;
    default:
      return false;
  }
}

bool is_addition(PostOpKind kind) { return kind == PostOpKind::kBias || kind == PostOpKind::kAdd; }

// How many ops at the head of the chain are paid for by gamma(n + 2): a bias, an add, or both.
size_t prepaid_additions(const std::vector<PostOp>& ops) {
  if (ops.empty() || !is_addition(ops[0].kind)) return 0;
  const bool both = ops.size() > 1 && is_addition(ops[1].kind) && ops[1].kind != ops[0].kind;
  return both ? 2 : 1;
}

// How an op treats errors: |f(v') - f(v)| <= lipschitz * |v' - v|, and the f32 op is within
// `units * u * |f(v')| + absolute` of f(v').
struct ErrorModel {
  double lipschitz = 1;
  double units = 0;
  double absolute = 0;
};

// The ramp x * (1/6) + 1/2 cancels near x = -3 and so may lose u besides its relative error; beyond
// the ramp (|x| > 3, with a margin) nothing is lost.
double hard_sigmoid_ramp_error(const Approximation& in) {
  return std::abs(in.value) - in.error < 4 ? kUnitRoundoff : 0;
}

// The model of an inexact op. `largest` bounds |v'|, the value that the kernel holds.
ErrorModel error_model(const PostOp& op, const PostOpOperands& operands, const Approximation& in) {
  const double largest = std::abs(in.value) + in.error;
  const double slope = std::abs(static_cast<double>(op.a));
  const bool may_be_negative = in.value - in.error < 0;
  switch (op.kind) {
    case PostOpKind::kBias:
    case PostOpKind::kAdd:
      return {.lipschitz = 1, .units = 1};
    case PostOpKind::kScale:
      return {.lipschitz = std::abs(static_cast<double>(operands.scale)),
              .units = 1,
              .absolute = kUnderflow};
    case PostOpKind::kSquare:
      return {.lipschitz = largest + std::abs(in.value), .units = 1, .absolute = kUnderflow};
    case PostOpKind::kLeakyRelu:
      if (!may_be_negative) return {};
      return {.lipschitz = std::max(1.0, slope), .units = 1, .absolute = kUnderflow};
    case PostOpKind::kElu:
      if (!may_be_negative) return {};
      return {.lipschitz = std::max(1.0, slope), .units = 4, .absolute = kTail * (1 + slope)};
    case PostOpKind::kSigmoid:
      return {.lipschitz = 0.25, .units = 4, .absolute = kTail};
    case PostOpKind::kTanh:
      return {.lipschitz = 1, .units = 4, .absolute = kTail};
    case PostOpKind::kSilu:
      return {.lipschitz = 1.1, .units = 6, .absolute = kTail * (1 + largest)};
    case PostOpKind::kGelu:
    case PostOpKind::kGeluTanh:
      return {.lipschitz = 1.13, .absolute = 6 * kUnitRoundoff * largest + kTail};
    case PostOpKind::kHardSigmoid:
      return {.lipschitz = 1.0 / 6, .units = 4, .absolute = hard_sigmoid_ramp_error(in)};
    case PostOpKind::kHardSwish:
      return {.lipschitz = 1.5,
              .units = 5,
              .absolute = largest * hard_sigmoid_ramp_error(in) + kUnderflow};
    default:
      return {};
  }
}

}  // namespace

double gamma_of(int64_t roundings) {
  const double ku = static_cast<double>(roundings) * kUnitRoundoff;
  return ku < 1 ? ku / (1 - ku) : kInfinity;
}

double evaluate_post_op(const PostOp& op, const PostOpOperands& operands, double x) {
  const double a = op.a;
  const double b = op.b;
  switch (op.kind) {
    case PostOpKind::kBias:
      return x + operands.bias;
    case PostOpKind::kAdd:
      return x + operands.add;
    case PostOpKind::kScale:
      return x * operands.scale;
    case PostOpKind::kRelu:
      return x < 0 ? 0 : x;
    case PostOpKind::kLeakyRelu:
      return x < 0 ? a * x : x;
    case PostOpKind::kElu:
      return x < 0 ? a * std::expm1(x) : x;
    case PostOpKind::kClamp:
      return at_most(at_least(x, a), b);
    case PostOpKind::kMin:
      return at_most(x, a);
    case PostOpKind::kMax:
      return at_least(x, a);
    case PostOpKind::kSigmoid:
      return sigmoid(x);
    case PostOpKind::kTanh:
      return std::tanh(x);
    case PostOpKind::kGelu:
      return gelu(x);
    case PostOpKind::kGeluTanh:
      return gelu_tanh(x);
    case PostOpKind::kSilu:
      return x * sigmoid(x);
    case PostOpKind::kHardSwish:
      return x * hard_sigmoid(x);
    case PostOpKind::kHardSigmoid:
      return hard_sigmoid(x);
    case PostOpKind::kAbs:
      return std::abs(x);
    case PostOpKind::kSquare:
      return x * x;
  }
  return std::numeric_limits<double>::quiet_NaN();  // not reached: the switch is complete
}

Approximation propagate_post_op(const PostOp& op, const PostOpOperands& operands,
                                const Approximation& in) {
  const double value = evaluate_post_op(op, operands, in.value);
  // An Inf or NaN of the reference is the kernel's as well: nothing is uncertain about it.
  if (!std::isfinite(value)) return {value, 0};
  const Approximation from{in.value, std::isfinite(in.value) ? in.error : 0};
  if (is_exact(op.kind)) return {value, from.error};
  // A number that f32 may not reach can be an Inf in the kernel: no slope bounds what follows.
  if (std::isfinite(from.value) && std::abs(from.value) + from.error > FLT_MAX) {
    return {value, kInfinity};
  }
  const ErrorModel model = error_model(op, operands, from);
  const double carried = model.lipschitz * from.error;
  const double rounded = model.units * kUnitRoundoff * (std::abs(value) + carried);
  return {value, carried + rounded + model.absolute};
}

Approximation propagate_post_ops(const std::vector<PostOp>& ops, const PostOpOperands& operands,
                                 const Approximation& accumulator) {
  Approximation result = accumulator;
  const size_t prepaid = prepaid_additions(ops);
  for (size_t i = 0; i < ops.size(); ++i) {
    if (i < prepaid) {
      result.value = evaluate_post_op(ops[i], operands, result.value);
    } else {
      result = propagate_post_op(ops[i], operands, result);
    }
  }
  return result;
}

}  // namespace convgen::ir
