// SPDX-License-Identifier: Apache-2.0
// Internal to the interpreter: the post-op chain in f64, and with each value the largest error an
// f32 kernel may carry at that point. docs/numerics.md derives every term.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/conv.h"

namespace convgen::ir {

inline constexpr double kUnitRoundoff = 0x1p-24;  // u of f32, round to nearest

// Higham's gamma(k) = k*u / (1 - k*u), the relative error of k roundings; infinite once k*u >= 1.
double gamma_of(int64_t roundings);

// A value of the reference, and how far from it an f32 kernel's value may be.
struct Approximation {
  double value = 0;
  double error = 0;
};

// What the chain reads for one output besides the value it works on.
struct PostOpOperands {
  float bias = 0;
  float add = 0;
  float scale = 1;
};

// The op's definition in f64.
double evaluate_post_op(const PostOp& op, const PostOpOperands& operands, double x);

// The op on a value known to within an error, its own rounding in f32 included.
Approximation propagate_post_op(const PostOp& op, const PostOpOperands& operands,
                                const Approximation& in);

// The whole chain. A bias and an add that come first cost nothing here: accumulator.error is
// gamma(n + 2) * S, whose "+ 2" is their two roundings.
Approximation propagate_post_ops(const std::vector<PostOp>& ops, const PostOpOperands& operands,
                                 const Approximation& accumulator);

}  // namespace convgen::ir
