// SPDX-License-Identifier: Apache-2.0
// The functions of post-ops on vectors of f32, as straight-line IR without calls. NaN goes through
// all of them. Errors are stated in ulps of the result (u = 2^-24 relative) unless said otherwise
// and are measured over all floats by tests/codegen/vector_math_test.cpp.
#pragma once

#include <span>

#include "codegen/ir_builder.h"

namespace convgen::codegen {

class VectorMath {
 public:
  explicit VectorMath(KernelBuilder& b) : b_(b) {}

  llvm::Value* min(llvm::Value* x, float limit);  // x > limit ? limit : x
  llvm::Value* max(llvm::Value* x, float limit);  // x < limit ? limit : x
  llvm::Value* abs(llvm::Value* x);
  llvm::Value* leaky_relu(llvm::Value* x, float a);
  llvm::Value* hard_sigmoid(llvm::Value* x);  // min(max(x + 3, 0), 6) / 6

  // e^x. Relative error 2u; 0 below 2^-126 and inf beyond the largest float.
  llvm::Value* exp(llvm::Value* x);
  // x < 0 ? a * (e^x - 1) : x. Relative error 4u.
  llvm::Value* elu(llvm::Value* x, float a);
  // 1 / (1 + e^-x). Relative error 4u.
  llvm::Value* sigmoid(llvm::Value* x);
  // Relative error 4u.
  llvm::Value* tanh(llvm::Value* x);
  // Absolute error 2u.
  llvm::Value* erf(llvm::Value* x);
  // x * (1 + erf(x / sqrt 2)) / 2. Absolute error 4u |x|.
  llvm::Value* gelu(llvm::Value* x);
  // x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2. Absolute error 6u |x|.
  llvm::Value* gelu_tanh(llvm::Value* x);

 private:
  // c[0] + c[1] x + ..., by Horner's rule.
  llvm::Value* polynomial(llvm::Value* x, std::span<const float> coefficients);
  llvm::Value* add(llvm::Value* x, float c) { return b_.CreateFAdd(x, b_.splat(c)); }
  llvm::Value* mul(llvm::Value* x, float c) { return b_.CreateFMul(x, b_.splat(c)); }
  llvm::Value* less(llvm::Value* x, float c) { return b_.CreateFCmpOLT(x, b_.splat(c)); }
  llvm::Value* power_of_two(llvm::Value* n);

  KernelBuilder& b_;
};

}  // namespace convgen::codegen
