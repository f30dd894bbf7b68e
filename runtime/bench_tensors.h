// SPDX-License-Identifier: Apache-2.0
// Tensors to time kernels on: aligned, random, alive as long as what runs on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ir/conv.h"
#include "ir/export.h"
#include "ir/interpreter.h"

namespace convgen {

// 64-byte aligned floats.
class CONVGEN_API AlignedFloats {
 public:
  AlignedFloats() = default;
  // Throws std::bad_alloc.
  explicit AlignedFloats(size_t elements);
  float* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  std::unique_ptr<float[], Free> data_;
};

// The tensors of one convolution, random in [-1, 1); of bias, add and scale those it uses.
struct CONVGEN_API BenchTensors {
  BenchTensors(const ir::Conv& conv, uint64_t seed);
  ir::TensorInputs inputs() const;

  AlignedFloats src, weights, bias, add, scale, dst;
};

}  // namespace convgen
