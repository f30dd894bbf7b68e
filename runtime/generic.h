// SPDX-License-Identifier: Apache-2.0
// The generic path: any convolution as ordinary C++ with run-time parameters, what an application
// would have without convgen. Baseline of every benchmark, fallback where JIT memory is refused.
// Cache-blocked im2col and a register-tiled GEMM, multiversioned for the host's vectors; plain
// channel loops for depthwise. Independent of codegen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ir/conv.h"

namespace convgen::generic {

enum class Isa { kBaseline, kAvx2, kAvx512 };  // in rising order

// What this machine can run, best last; never empty.
std::vector<Isa> host_isas();

struct Tensors {
  const float* src = nullptr;
  const float* weights = nullptr;  // packed, see pack_weights
  const float* bias = nullptr;
  const float* add = nullptr;
  const float* scale = nullptr;
  float* dst = nullptr;
};

// Everything that follows from the Conv, computed once. Immutable, thread-safe.
class Plan {
 public:
  // For the host's best instruction set.
  explicit Plan(const ir::Conv& conv);
  // For another one that host_isas() lists (tests, comparisons).
  Plan(const ir::Conv& conv, Isa isa);
  ~Plan();
  Plan(Plan&&) noexcept;

  const ir::Conv& conv() const;
  // Independent pieces of work: blocks of output pixels and channels of one image and group. The
  // bits of the result do not depend on how tasks are spread over calls and threads.
  int64_t tasks() const;
  // Names the packed order; equal for convolutions that may share packed weights.
  std::string packed_tag() const;
  size_t packed_elements() const;
  // weights in the Conv's layout -> packed (packed_elements() floats; 64-byte aligned is fastest).
  void pack_weights(const float* weights, float* packed) const;
  // Bytes of work space one thread needs while it runs tasks.
  size_t scratch_bytes_per_thread() const;
  // Computes tasks [begin, end). scratch: scratch_bytes_per_thread(), 64-byte aligned, not shared
  // with another thread at the same time. add may be dst; nothing else may overlap dst.
  void run(const Tensors& tensors, void* scratch, int64_t begin, int64_t end) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "avx512f", "avx2+fma", "sse2" (or "baseline" where the host is no x86-64).
std::string isa_name(Isa isa);
// The name of the host's best.
std::string isa_name();

}  // namespace convgen::generic
