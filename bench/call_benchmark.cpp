// SPDX-License-Identifier: Apache-2.0
// call_benchmark: nanoseconds of one Kernel::run, weights packed, on one thread; the least of many
// short rounds. Public headers only, so that it measures an installed package too.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "runtime/bench_tensors.h"
#include "runtime/engine.h"

namespace {

using convgen::Status;

// One multiplication, where all else is the call; and the smallest of tests/data/layers.conv.
constexpr const char* kConvs[] = {"conv1d src=f32:nwc:1x1x1 weights=f32:wio:1x1x1",
                                  "conv2d src=f32:nhwc:1x6x2x3 weights=f32:hwio:3x3x3x3 pads=1x1"};

Status measure(const convgen::Engine& engine, const char* conv) {
  const auto kernel = engine.compile(conv);
  if (!kernel.ok()) return kernel.status();
  convgen::BenchTensors tensors(kernel->conv(), 1);
  const auto packed = kernel->pack(tensors.weights.data());
  if (!packed.ok()) return packed.status();
  convgen::AlignedFloats scratch(kernel->scratch_bytes() / sizeof(float) + 1);
  const convgen::RunArgs args{.src = tensors.src.data(),
                              .packed = &*packed,
                              .dst = tensors.dst.data(),
                              .scratch = scratch.data()};
  constexpr int kRounds = 3000, kCalls = 1000;
  double best_ns = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int call = 0; call < kCalls; ++call)
      if (Status status = kernel->run(args); !status.ok()) return status;
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best_ns = std::min(best_ns, took.count() / kCalls);
  }
  std::printf("%6.1f ns  %s\n", best_ns, kernel->signature().c_str());
  return Status();
}

}  // namespace

int main() {
  const auto engine = convgen::Engine::create();
  Status status = engine.ok() ? Status() : engine.status();
  for (const char* conv : kConvs)
    if (status.ok()) status = measure(*engine, conv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "call_benchmark: error: %s\n", status.message().c_str());
  return 2;
}
