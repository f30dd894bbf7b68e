// SPDX-License-Identifier: Apache-2.0
#include "runtime/peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "codegen/compile.h"
#include "runtime/jit_kernel_maker.h"

namespace convgen {

Result<PeakRate> measure_peak(const Engine& engine) {
  const JitKernelMaker* jit = JitKernelMaker::of(engine);
  if (jit == nullptr) return unsupported("peak: this engine has no compiler");
  int64_t flops = 0;
  auto object = codegen::compile_peak_loop(jit->target, &flops);
  if (!object) return object.status();
  auto code = jit->session->link(*object, codegen::kDefaultFunctionName, "convgen_peak_loop");
  if (!code) return code.status();

  const float src[2] = {0.999f, 0.001f};
  std::vector<float> dst(32 * 16);
  codegen::KernelArgs args{};
  args.src = src;
  args.dst = dst.data();
  constexpr int64_t kIterations = 20000;  // about 80 us a run
  constexpr int kRuns = 200;
  double best_seconds = 1e30;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    (*code)->function()(&args, 0, kIterations);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best_seconds = std::min(best_seconds, elapsed.count());
  }
  PeakRate rate;
  rate.gflops = static_cast<double>(flops * kIterations) / best_seconds * 1e-9;
  rate.vector_bits = jit->target.max_lanes * 32;
  return rate;
}

}  // namespace convgen
