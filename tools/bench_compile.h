// SPDX-License-Identifier: Apache-2.0
// convgen bench --compile: what compiling each convolution takes, phase by phase, and how many a
// second several threads compile.
#pragma once

#include <vector>

#include "ir/conv.h"
#include "tools/command.h"

namespace convgen::tool {

struct CompileBenchOptions {
  double seconds = 1;  // for the repeats of a convolution
  int threads = 1;     // that compile at a time, besides one
  bool json = false;
};

// Prints as it goes: a line a convolution, then a summary. kCheckFailed where one is refused.
Outcome bench_compile(const std::vector<ir::Conv>& convs, const CompileBenchOptions& options);

}  // namespace convgen::tool
