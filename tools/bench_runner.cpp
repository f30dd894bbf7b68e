// SPDX-License-Identifier: Apache-2.0
// Interleaved timing, and the set-up that must stay outside of it.
#include "tools/bench_runner.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace convgen::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kSeed = 1;
// Long against the clock's resolution (some 20 ns), short against a time slice (some ms).
constexpr double kSampleUs = 100;
constexpr int kMinRounds = 3;
constexpr int kMaxRounds = 100'000;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// One engine's call while it is being timed.
struct Contender {
  const TimedCall& call;
  int64_t batch = 1;              // calls in one sample
  std::vector<double> samples{};  // us per call

  Result<double> batch_us() const {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < batch; ++i) {
      if (Status status = call(); !status.ok()) return status;
    }
    return us_since(start);
  }

  // Warms up caches and finds the batch. The first call's time counts page faults and does not
  // decide.
  Status calibrate() {
    if (Status status = call(); !status.ok()) return status;
    for (;; batch *= 2) {
      const Result<double> us = batch_us();
      if (!us.ok()) return us.status();
      if (*us >= kSampleUs) return Status();
    }
  }

  Status sample() {
    const Result<double> us = batch_us();
    if (!us.ok()) return us.status();
    samples.push_back(*us / static_cast<double>(batch));
    return Status();
  }

  Timing timing() {
    const auto middle = samples.begin() + static_cast<ptrdiff_t>(samples.size() / 2);
    std::nth_element(samples.begin(), middle, samples.end());
    return {*std::min_element(samples.begin(), samples.end()), *middle};
  }
};

// A call, and how it came to be. What it needs lives in the call.
struct Candidate {
  BenchResult result;
  TimedCall call;
};

// constants: what the kernel is made for; null: the tensors' weights come with each call.
Result<Candidate> make_kernel_candidate(const Engine& engine, const ir::Conv& conv, EngineKind kind,
                                        const std::string& schedule,
                                        const ConstantWeights* constants,
                                        const BenchTensors& tensors, ThreadPool& pool) {
  engine.clear_cache();
  const Clock::time_point start = Clock::now();
  const CompileOptions how{.engine = kind, .schedule = schedule, .threads = pool.threads()};
  const Result<Kernel> kernel =
      constants == nullptr ? engine.compile(conv, how) : engine.compile(conv, *constants, how);
  const double compile_ms = us_since(start) * 1e-3;
  if (!kernel.ok()) return kernel.status();

  Result<PackedWeights> packed = kernel->pack(tensors.weights.data());
  if (!packed.ok()) return packed.status();
  struct Run {
    Kernel kernel;
    PackedWeights packed;
    AlignedFloats scratch;
    RunArgs args;
    ParallelFor parallel_for;
  };
  auto run = std::make_shared<Run>(Run{*kernel, std::move(*packed),
                                       AlignedFloats(kernel->scratch_bytes() / sizeof(float) + 1),
                                       RunArgs{}, pool.parallel_for()});
  run->args = RunArgs{.src = tensors.src.data(),
                      .packed = &run->packed,
                      .bias = tensors.bias.data(),
                      .add = tensors.add.data(),
                      .scale = tensors.scale.data(),
                      .dst = tensors.dst.data(),
                      .scratch = run->scratch.data()};
  const ParallelFor* parallel_for = pool.threads() > 1 ? &run->parallel_for : nullptr;
  return Candidate{{kernel->engine_name(), kernel->schedule(), compile_ms, {}},
                   [run, parallel_for] { return run->kernel.run(run->args, parallel_for); }};
}

Candidate make_interpreter_candidate(const ir::Conv& conv, const BenchTensors& tensors) {
  const ir::TensorInputs inputs = tensors.inputs();
  const auto call = [conv, inputs] {
    const ir::Reference reference = ir::interpret(conv, inputs);
    return reference.y.size() == static_cast<size_t>(conv.dst_elements())
               ? Status()
               : internal_error("the interpreter returned too few outputs");
  };
  return {{"interpreter", "", 0, {}}, call};
}

Result<Candidate> make_candidate(const std::string& name, const Engine& engine,
                                 const ir::Conv& conv, const BenchOptions& options,
                                 const BenchTensors& tensors, ThreadPool& pool) {
  if (name == "interpreter") return make_interpreter_candidate(conv, tensors);
  if (name == "generic")
    return make_kernel_candidate(engine, conv, EngineKind::kGeneric, "", nullptr, tensors, pool);
  const bool constant = name == "jit" && options.constants != nullptr;
  Result<Candidate> candidate =
      make_kernel_candidate(engine, conv, EngineKind::kJit, name == "jit" ? options.schedule : "",
                            constant ? options.constants : nullptr, tensors, pool);
  if (candidate.ok() && name == "variable") candidate->result.engine = name;
  return candidate;
}

}  // namespace

// --- Timing ---

Result<std::vector<Timing>> time_interleaved(const std::vector<TimedCall>& calls, double seconds) {
  std::vector<Contender> contenders;
  for (const TimedCall& call : calls) {
    if (Status status = contenders.emplace_back(Contender{call}).calibrate(); !status.ok()) {
      return status;
    }
  }
  const Clock::time_point start = Clock::now();
  for (int round = 0; round < kMaxRounds; ++round) {
    if (round >= kMinRounds && us_since(start) >= seconds * 1e6) break;
    for (Contender& contender : contenders) {
      if (Status status = contender.sample(); !status.ok()) return status;
    }
  }
  std::vector<Timing> timings;
  for (Contender& contender : contenders) timings.push_back(contender.timing());
  return timings;
}

Result<std::vector<BenchResult>> bench_conv(const Engine& engine, const ir::Conv& conv,
                                            const BenchOptions& options, ThreadPool& pool) {
  const BenchTensors tensors(conv, kSeed);
  std::vector<BenchResult> results;
  std::vector<TimedCall> calls;
  for (const std::string& name : options.engines) {
    Result<Candidate> candidate = make_candidate(name, engine, conv, options, tensors, pool);
    if (!candidate.ok()) return candidate.status();
    results.push_back(std::move(candidate->result));
    calls.push_back(std::move(candidate->call));
  }
  const Result<std::vector<Timing>> timings = time_interleaved(calls, options.seconds);
  if (!timings.ok()) return timings.status();
  for (size_t i = 0; i < results.size(); ++i) results[i].timing = (*timings)[i];
  return results;
}

double gflops(const ir::Conv& conv, double us) {
  return us > 0 ? 2e-3 * conv.multiply_adds() / us : 0;
}

}  // namespace convgen::tool
