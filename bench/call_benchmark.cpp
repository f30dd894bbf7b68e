// SPDX-License-Identifier: Apache-2.0
// call_benchmark: nanoseconds of one run by the C++ and by the C interface, weights packed, on one
// thread; the least of many short rounds, by turns.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "runtime/bench_tensors.h"
#include "runtime/convgen.h"
#include "runtime/engine.h"

namespace {

using convgen::Status;

// One multiplication, where all else is the call; and the smallest of tests/data/layers.conv.
constexpr const char* kConvs[] = {"conv1d src=f32:nwc:1x1x1 weights=f32:wio:1x1x1",
                                  "conv2d src=f32:nhwc:1x6x2x3 weights=f32:hwio:3x3x3x3 pads=1x1"};

constexpr int kRounds = 3000, kCalls = 1000;

// Of one call, in a round; below 0 where a call failed.
template <typename Call>
double round_ns(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i)
    if (!call()) return -1;
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / kCalls;
}

// A kernel by the C interface, and what it needs for a run.
class CKernel {
 public:
  CKernel(const char* conv, const convgen::BenchTensors& tensors, void* scratch) {
    ok_ = convgen_engine_create(CONVGEN_ABI_VERSION, nullptr, &engine_) == CONVGEN_OK &&
          convgen_engine_compile_text(engine_, conv, nullptr, &kernel_) == CONVGEN_OK &&
          convgen_kernel_pack(kernel_, tensors.weights.data(), &packed_) == CONVGEN_OK;
    args_.src = tensors.src.data(), args_.packed = packed_, args_.scratch = scratch;
  }
  ~CKernel() {
    convgen_packed_weights_free(packed_);
    convgen_kernel_free(kernel_);
    convgen_engine_free(engine_);
  }
  CKernel(const CKernel&) = delete;
  CKernel& operator=(const CKernel&) = delete;

  bool run(float* dst) {
    args_.dst = dst;
    return ok_ && convgen_kernel_run(kernel_, &args_) == CONVGEN_OK;
  }

 private:
  convgen_engine* engine_ = nullptr;
  convgen_kernel* kernel_ = nullptr;
  convgen_packed_weights* packed_ = nullptr;
  convgen_run_args args_ = CONVGEN_RUN_ARGS_INIT;
  bool ok_ = false;
};

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
  CKernel c_kernel(conv, tensors, scratch.data());
  double cpp_ns = 1e9, c_ns = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    cpp_ns = std::min(cpp_ns, round_ns([&] { return kernel->run(args).ok(); }));
    c_ns = std::min(c_ns, round_ns([&] { return c_kernel.run(tensors.dst.data()); }));
  }
  if (cpp_ns < 0) return kernel->run(args);
  if (c_ns < 0) return convgen::internal_error(convgen_last_error());
  std::printf("c++ %6.1f ns, c %6.1f ns  %s\n", cpp_ns, c_ns, kernel->signature().c_str());
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
