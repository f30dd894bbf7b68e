// SPDX-License-Identifier: Apache-2.0
// What the emitted function is called with. The generic path is called the same way, so the
// runtime has one way to run a kernel.
#pragma once

#include <cstdint>

namespace convgen::codegen {

// Fields in this order, all pointers: emitted code addresses them by index.
struct KernelArgs {
  const float* src;
  const float* weights;  // packed
  const float* bias;
  const float* add;
  const float* scale;
  float* dst;
  void* scratch;        // codegen::scratch_bytes(), 64-byte aligned, of this call alone
  const void* context;  // the generic path's plan; emitted code does not read it
};

// Computes tasks [begin, end) of the kernel's task range.
using KernelFunction = void (*)(const KernelArgs* args, int64_t begin, int64_t end);

}  // namespace convgen::codegen
