// SPDX-License-Identifier: Apache-2.0
// Times several engines on one convolution, side by side: rounds of A B A B ..., so that a change
// of the machine's clock or load meets all of them alike. Prints nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ir/conv.h"
#include "ir/status.h"
#include "runtime/bench_tensors.h"
#include "runtime/engine.h"
#include "runtime/thread_pool.h"

namespace convgen::tool {

using convgen::AlignedFloats;
using convgen::BenchTensors;

// Per call, over samples of at least about 100 us each.
struct Timing {
  double min_us = 0;
  double median_us = 0;
};

using TimedCall = std::function<Status()>;

// Calls every one once to warm up, then in interleaved rounds for about `seconds` in all, at least
// three rounds. Errors: the first one that a call returns.
Result<std::vector<Timing>> time_interleaved(const std::vector<TimedCall>& calls, double seconds);

struct BenchOptions {
  std::vector<std::string> engines = {"jit", "generic"};  // or "interpreter",
                                                          // "variable": jit without constants
  double seconds = 1;                                     // per convolution
  std::string schedule;                                   // words for the jit engine
  const ConstantWeights* constants = nullptr;             // what the jit engine makes kernels for
};

struct BenchResult {
  std::string engine;     // what computed: "generic" also where the jit had to fall back to it
  std::string schedule;   // empty but for the jit engine
  double compile_ms = 0;  // from the Conv to the Kernel, nothing cached
  Timing timing;
};

// Runs conv on every engine that options name, on the pool's threads, weights packed and scratch
// allocated outside the timer. Clears the engine's cache. Results in the order of options.engines.
Result<std::vector<BenchResult>> bench_conv(const Engine& engine, const ir::Conv& conv,
                                            const BenchOptions& options, ThreadPool& pool);

// 1e-3 * flops / us; 0 where nothing was computed.
double gflops(const ir::Conv& conv, double us);

}  // namespace convgen::tool
