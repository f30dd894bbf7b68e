// SPDX-License-Identifier: Apache-2.0
// Google Benchmark over the kernels: one benchmark per convolution and engine, with the rate and
// its share of the FMA rate measured just before. `kernel_benchmark CONV... [--threads=N]`, CONV as
// for the tool, and Google Benchmark's own options. Against other libraries: bench/peers.py.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/peak.h"
#include "runtime/thread_pool.h"
#include "tools/bench_runner.h"
#include "tools/conv_args.h"

namespace convgen {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kSeed = 1;
constexpr int kMaxThreads = 1024;

struct Arguments {
  std::vector<std::string> convs;
  int threads = 1;
};

// What every benchmark shares.
struct Machine {
  Engine engine;
  ThreadPool pool;
};

struct Case {
  ir::Conv conv;
  EngineKind engine;

  std::string name() const {
    const std::string label = conv.name.empty() ? ir::print_conv(conv) : conv.name;
    return label + (engine == EngineKind::kJit ? "/jit" : "/generic");
  }
};

// A kernel with all that a call needs, weights packed.
struct ReadyKernel {
  Kernel kernel;
  tool::BenchTensors tensors;
  tool::AlignedFloats scratch;
  PackedWeights packed;

  RunArgs args() const {
    return {.src = tensors.src.data(),
            .packed = &packed,
            .bias = tensors.bias.data(),
            .add = tensors.add.data(),
            .scale = tensors.scale.data(),
            .dst = tensors.dst.data(),
            .scratch = scratch.data()};
  }
};

Result<std::unique_ptr<ReadyKernel>> make_ready(const Case& c, Machine& machine) {
  Result<Kernel> kernel = machine.engine.compile(
      c.conv, {.engine = c.engine, .schedule = "", .threads = machine.pool.threads()});
  if (!kernel.ok()) return kernel.status();
  tool::BenchTensors tensors(c.conv, kSeed);
  Result<PackedWeights> packed = kernel->pack(tensors.weights.data());
  if (!packed.ok()) return packed.status();
  tool::AlignedFloats scratch(kernel->scratch_bytes() / sizeof(float) + 1);
  return std::make_unique<ReadyKernel>(
      ReadyKernel{*kernel, std::move(tensors), std::move(scratch), std::move(*packed)});
}

// "GFLOP/s" counts an FMA as two; "of_peak" is its share of "peak", which is of all threads. Google
// Benchmark's own rates would print as "GFLOP/s=200/s".
void set_counters(benchmark::State& state, const ir::Conv& conv, double seconds,
                  double peak_gflops) {
  const double gflops =
      2e-9 * conv.multiply_adds() * static_cast<double>(state.iterations()) / seconds;
  state.counters["GFLOP/s"] = gflops;
  state.counters["of_peak"] = gflops / peak_gflops;
  state.counters["peak"] = peak_gflops;
}

void run_case(benchmark::State& state, const Case& c, Machine& machine) {
  const Result<std::unique_ptr<ReadyKernel>> ready = make_ready(c, machine);
  if (!ready.ok()) return state.SkipWithError(ready.status().message().c_str());
  const Result<PeakRate> peak = measure_peak(machine.engine);
  if (!peak.ok()) return state.SkipWithError(peak.status().message().c_str());

  const Kernel& kernel = (*ready)->kernel;
  const RunArgs args = (*ready)->args();
  const ParallelFor pool = machine.pool.parallel_for();
  const ParallelFor* parallel_for = machine.pool.threads() > 1 ? &pool : nullptr;
  const Clock::time_point start = Clock::now();
  for (auto _ : state) {
    const Status status = kernel.run(args, parallel_for);
    if (!status.ok()) return state.SkipWithError(status.message().c_str());
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  state.SetLabel(kernel.engine_name());
  set_counters(state, c.conv, seconds, peak->gflops * machine.pool.threads());
}

// What Google Benchmark left of the command line.
Result<Arguments> read_arguments(int argc, char** argv) {
  constexpr std::string_view kThreads = "--threads=";
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (!word.starts_with("--")) {
      arguments.convs.emplace_back(word);
      continue;
    }
    const char* end = word.data() + word.size();
    if (!word.starts_with(kThreads) ||
        std::from_chars(word.data() + kThreads.size(), end, arguments.threads).ptr != end ||
        arguments.threads < 1 || arguments.threads > kMaxThreads) {
      return invalid_argument(fmt::format("{}: expected --threads=1 to {}", word, kMaxThreads));
    }
  }
  if (arguments.convs.empty()) return invalid_argument("expected CONV..., or @FILE");
  return arguments;
}

Status run_all(int argc, char** argv) {
  const Result<Arguments> arguments = read_arguments(argc, argv);
  if (!arguments.ok()) return arguments.status();
  Result<std::vector<ir::Conv>> convs = tool::parse_conv_args(arguments->convs);
  if (!convs.ok()) return convs.status();
  Result<Engine> engine = Engine::create({.use_tuning = false, .cache_dir = ""});
  if (!engine.ok()) return engine.status();
  Machine machine{std::move(*engine), ThreadPool(arguments->threads)};
  for (const ir::Conv& conv : *convs) {
    for (const EngineKind kind : {EngineKind::kJit, EngineKind::kGeneric}) {
      const Case c{conv, kind};
      benchmark::RegisterBenchmark(
          c.name().c_str(), [c, &machine](benchmark::State& state) { run_case(state, c, machine); })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return Status();
}

}  // namespace
}  // namespace convgen

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const convgen::Status status = convgen::run_all(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "kernel_benchmark: error: %s\n", status.message().c_str());
  return 2;
}
