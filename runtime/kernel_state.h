// SPDX-License-Identifier: Apache-2.0
// KernelState: what a Kernel handle shares. One shape for machine code and for the generic path:
// a function of KernelArgs over a range of tasks, and a way to pack weights.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "codegen/kernel_abi.h"
#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "ir/export.h"
#include "runtime/generic.h"
#include "runtime/kernel.h"
#include "runtime/promotion.h"

namespace convgen {

// Weights that a kernel was made for; null: none, they come with each call.
using SharedConstants = std::shared_ptr<const ConstantWeights>;

class CONVGEN_SHARED KernelState {
 public:
  KernelState();
  ~KernelState();

  ir::Conv conv;
  std::string engine_name;
  std::string schedule;
  CompileStats stats;
  bool verbose = false;

  codegen::KernelFunction function = nullptr;
  int64_t tasks = 0;
  size_t scratch_bytes = 0;  // of one thread

  ir::Summation summation;
  SharedConstants constants;
  PackedWeights packed_constants;  // of the generic path; machine code holds its own

  std::string packed_tag;
  size_t packed_elements = 0;
  std::function<void(const float* weights, float* packed)> pack;

  Status compile_status;  // why this is the generic path, where machine code was asked for
  std::unique_ptr<Promotion> promotion;  // of a kernel whose machine code may come; else null

  // Whichever of the two `function` needs alive.
  std::shared_ptr<const void> code;
  std::unique_ptr<generic::Plan> plan;
};

// The state of a kernel that holds its weights: there is nothing to pack.
CONVGEN_SHARED void hold_constants(KernelState& state, const SharedConstants& constants);

}  // namespace convgen
