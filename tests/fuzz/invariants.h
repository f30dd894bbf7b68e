// SPDX-License-Identifier: Apache-2.0
// What a right kernel keeps, whatever the right answer is: each takes a kernel and what it
// computed, changes one thing, and says what must follow, to the bit. No interpreter, but for
// special values.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "tests/fuzz/configuration.h"

namespace convgen::testing {

// One kernel under test, and what it made of its tensors.
struct Subject {
  const Configuration& configuration;
  const ir::Conv& conv;
  const Engine& engine;     // without a store
  const Engine& stored;     // for the same instruction set, with a store that all share
  const Engine& neighbour;  // for another one, with that store
  CompileOptions options;
  const ConstantWeights* constants;
  const Kernel& kernel;
  const HostTensors& tensors;
  const std::vector<float>& dst;
  bool exact;  // every sum is, whatever its order

  Result<Kernel> compile(const Engine& from, const ir::Conv& other,
                         const CompileOptions& how) const;
};

// Empty: it holds. Nothing: it says nothing about this kernel.
using Verdict = std::optional<std::string>;

struct Invariant {
  const char* name;
  Verdict (*check)(const Subject& subject, Random& random);
};

std::span<const Invariant> invariants_of_one_kernel();
// These compile others to compare with, which takes most of the time.
std::span<const Invariant> invariants_of_several_kernels();

}  // namespace convgen::testing
