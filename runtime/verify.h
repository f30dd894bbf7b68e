// SPDX-License-Identifier: Apache-2.0
// Checks a kernel against the interpreter on random tensors, between guard pages: reads or writes
// outside a tensor fault, outputs left unwritten show as NaN, and the numeric bound of the
// docs/numerics.md decides.
#pragma once

#include <cstdint>
#include <string>

#include "ir/export.h"
#include "ir/interpreter.h"
#include "ir/status.h"
#include "runtime/kernel.h"

namespace convgen {

enum class VerifyData {
  kAuto,      // integers for even seeds, reals for odd ones
  kIntegers,  // small integers, every sum exact: bit equality is demanded where post-ops are exact
              // on integers up to 4 at least
  kReals,     // uniform in [-1, 1): the bound of the kernel's summation is demanded
};

struct VerifyOptions {
  uint64_t seed = 1;
  VerifyData data = VerifyData::kAuto;
  // Outputs are all checked while outputs * terms stays below this; beyond it, a sample of that
  // size: the borders of every axis first, then random ones. The bound of Winograd counts as some
  // 60 sums.
  double max_multiply_adds = 3e8;
  const ParallelFor* parallel_for = nullptr;
};

struct VerifyReport {
  bool pass = false;
  double max_error = 0;  // of the output whose error is largest relative to its bound
  double bound = 0;      // of that same output
  double worst_ratio = 0;
  int64_t checked_outputs = 0;
  double nonzero_share = 0;  // of the checked sums before post-ops
  bool bit_exact = false;    // bit equality was demanded
  std::string failure;       // where and what, empty on pass
};

// Runs kernel twice, tensors flush against an unreadable page at their end and then at their
// start, src and weights read-only, dst filled with NaN, and checks every output (see
// max_multiply_adds). Draws other tensors, up to eight times, where most sums are 0 by chance. A
// fault inside the kernel is not caught: it ends the process. Errors: resource_exhausted where the
// tensors cannot be allocated, or what run() says.
CONVGEN_API Result<VerifyReport> verify_kernel(const Kernel& kernel,
                                               const VerifyOptions& options = {});

}  // namespace convgen
