// SPDX-License-Identifier: Apache-2.0
// What tests of kernels share: random tensors, a run between guard pages, and the two verdicts, by
// the interpreter and by bits. Whatever cannot fail in a sound checkout throws.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ir/conv.h"
#include "ir/interpreter.h"
#include "runtime/engine.h"
#include "runtime/guarded_buffer.h"
#include "runtime/kernel.h"
#include "tests/support/random.h"

namespace convgen::testing {

inline constexpr uint32_t kUnwritten = 0x7fc0dead;  // a NaN no kernel computes

// The convolution of a text that is valid.
ir::Conv conv_of(const std::string& text);

// The kernel of a convolution that must compile.
Kernel compile_kernel(const Engine& engine, const ir::Conv& conv,
                      const CompileOptions& options = {});

// Options that differ from the default in one thing.
inline CompileOptions generic_engine() { return {EngineKind::kGeneric, "", 1}; }
inline CompileOptions with_schedule(const std::string& words) {
  return {EngineKind::kJit, words, 1};
}
inline CompileOptions for_threads(int threads) { return {EngineKind::kJit, "", threads}; }

// An engine that must start; an empty mcpu is the host.
Engine make_engine(const std::string& mcpu = "");

// An engine for each instruction set of isa_levels.h that the host has, with its mcpu.
std::vector<std::pair<std::string, Engine>> make_engines();

enum class Data {
  kIntegers,  // -4 ... 4 without 0: sums of up to 2^20 terms are exact
  kReals,     // uniform in [-1, 1)
};

// The inputs of one convolution; bias, add and scale are empty where the chain uses none.
struct HostTensors {
  std::vector<float> src, weights, bias, add, scale;
  ir::TensorInputs inputs() const;
};
HostTensors random_tensors(const ir::Conv& conv, uint64_t seed, Data data);

struct RunSetup {
  Flush flush = Flush::kEnd;
  const ParallelFor* parallel_for = nullptr;
  bool plain_weights = false;  // run() packs, instead of pack() before
  bool add_is_dst = false;     // the residual lies in dst
  size_t dst_behind = 0;       // floats; with kBegin, from an address aligned to every vector
};

// dst of one run: all tensors between guard pages, the inputs read-only, dst filled with
// kUnwritten before.
std::vector<float> run_kernel(const Kernel& kernel, const HostTensors& tensors,
                              const RunSetup& setup = {});

// Every element of dst keeps the interpreter's bound; with `exact` it equals the interpreter's
// value. Tells the first output that does not, and how many. summation: the kernel's, whose bound
// it has to keep.
::testing::AssertionResult matches_interpreter(const ir::Conv& conv, const HostTensors& tensors,
                                               const std::vector<float>& dst, bool exact = false,
                                               const ir::Summation& summation = {});

// The same length and the same bits, the sign of zeros and the payload of NaNs among them.
::testing::AssertionResult same_bits(const std::vector<float>& expected,
                                     const std::vector<float>& found);

// "CONVGEN_MCPU=... convgen verify ...", the command that shows a failing check again.
struct Reproducer {
  std::string mcpu{};
  uint64_t seed = 1;
  std::string data = "auto";
  std::string engine{};
  std::string schedule{};
  int threads = 1;
  std::string text(const ir::Conv& conv) const;
};

// Says `command` on stderr should this process fault from here on: code that strays off a guard
// page leaves no other word.
void announce_in_case_of_fault(const std::string& command);

}  // namespace convgen::testing
