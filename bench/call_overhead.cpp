// SPDX-License-Identifier: Apache-2.0
// call_overhead [CONV]: nanoseconds of one call by the C++ and by the C interface, of a convolution
// so small that the call counts. By turns, least of many short samples.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/bench_tensors.h"
#include "runtime/convgen.h"
#include "runtime/engine.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 5000;
constexpr int kCalls = 200;  // some 10 us: few of 5000 meet an interrupt
const char* const kSmall =
    "conv2d src=f32:nhwc:1x6x2x3 weights=f32:hwio:3x3x3x3 pads=1x1";  // seed.ex3 of layers.conv

template <typename Call>
double sample_ns(const Call& call) {
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < kCalls; ++i) call();
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kCalls;
}

int fail(const std::string& message) {
  fmt::print(stderr, "call_overhead: error: {}\n", message);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string text = argc > 1 ? argv[1] : kSmall;
  const auto conv = convgen::ir::parse_conv(text);
  if (!conv.ok()) return fail(conv.status().message());
  const auto engine = convgen::Engine::create();
  if (!engine.ok()) return fail(engine.status().message());
  const auto kernel = engine->compile(*conv);
  if (!kernel.ok()) return fail(kernel.status().message());
  const convgen::BenchTensors tensors(*conv, 1);
  const auto packed = kernel->pack(tensors.weights.data());
  if (!packed.ok()) return fail(packed.status().message());
  const convgen::RunArgs args{.src = tensors.src.data(),
                              .packed = &*packed,
                              .bias = tensors.bias.data(),
                              .add = tensors.add.data(),
                              .scale = tensors.scale.data(),
                              .dst = tensors.dst.data()};

  convgen_engine* c_engine = nullptr;
  convgen_kernel* c_kernel = nullptr;
  convgen_packed_weights* c_packed = nullptr;
  if (convgen_engine_create(CONVGEN_ABI_VERSION, nullptr, &c_engine) != CONVGEN_OK ||
      convgen_engine_compile_text(c_engine, text.c_str(), nullptr, &c_kernel) != CONVGEN_OK ||
      convgen_kernel_pack(c_kernel, tensors.weights.data(), &c_packed) != CONVGEN_OK)
    return fail(convgen_last_error());
  convgen_run_args c_args = CONVGEN_RUN_ARGS_INIT;
  c_args.src = args.src, c_args.packed = c_packed, c_args.bias = args.bias;
  c_args.add = args.add, c_args.scale = args.scale, c_args.dst = args.dst;

  bool ok = true;
  double cpp_ns = std::numeric_limits<double>::max(), c_ns = cpp_ns;
  for (int round = 0; round < kRounds; ++round) {
    cpp_ns = std::min(cpp_ns, sample_ns([&] { ok &= kernel->run(args).ok(); }));
    c_ns = std::min(c_ns,
                    sample_ns([&] { ok &= convgen_kernel_run(c_kernel, &c_args) == CONVGEN_OK; }));
  }
  convgen_packed_weights_free(c_packed);
  convgen_kernel_free(c_kernel);
  convgen_engine_free(c_engine);
  if (!ok) return fail("a run failed");
  fmt::print("{}\nKernel::run {:.1f} ns, convgen_kernel_run {:.1f} ns: {:+.1f} ns\n", text, cpp_ns,
             c_ns, c_ns - cpp_ns);
  return 0;
}
