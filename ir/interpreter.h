// SPDX-License-Identifier: Apache-2.0
// The oracle: a convolution by plain loops in f64, with the error bound a right answer must keep.
// Shares ir::Conv with the code generator and nothing else, no index or padding helper: a shared
// helper would hide a shared bug.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/conv.h"
#include "ir/export.h"

namespace convgen::ir {

// The inputs of a convolution, dense, in the layouts the Conv names. bias [oc], scale [oc] and
// add (dst's shape and layout) are read only where the post-op chain uses them, else may be null.
struct TensorInputs {
  const float* src = nullptr;
  const float* weights = nullptr;
  const float* bias = nullptr;
  const float* add = nullptr;
  const float* scale = nullptr;
};

struct OutputIndex {
  int64_t n = 0, oc = 0, od = 0, oh = 0, ow = 0;
};

// One output: its exact value, S = sum |x*w| + |bias| + |add|, and the largest error a correct
// f32 kernel may have (the bound of its summation carried through the post-op chain).
struct ReferenceOutput {
  double y = 0;
  double s = 0;
  double tolerance = 0;
  double accumulator = 0;  // the sum before the post-ops
};

// How an engine sums, which decides what its rounding may cost. The value is the same.
struct Summation {
  int winograd_tile = 0;  // 0: the products themselves, in any order; 2 or 4: F(m x m, 3 x 3), or
                          // its like for other filters (winograd_reference.h)
};

// Computes one output. Pure; thread-safe.
CONVGEN_API ReferenceOutput interpret_output(const Conv& conv, const TensorInputs& inputs,
                                             const OutputIndex& index,
                                             const Summation& summation = {});

// Where an output lies in dst, in elements.
CONVGEN_API int64_t dst_offset(const Conv& conv, const OutputIndex& index);

// All outputs, in dst's layout: y as f32-rounded-from-f64 is not done here, callers compare in f64.
struct Reference {
  std::vector<double> y;
  std::vector<double> s;
  std::vector<double> tolerance;
};
CONVGEN_API Reference interpret(const Conv& conv, const TensorInputs& inputs,
                                const Summation& summation = {});

// The test every engine's answer must pass, written as "pass only if <=": NaN against a number
// fails. A NaN or Inf reference demands the same NaN or Inf.
CONVGEN_API bool within_tolerance(float value, const ReferenceOutput& reference);

}  // namespace convgen::ir
