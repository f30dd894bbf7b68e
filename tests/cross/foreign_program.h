// SPDX-License-Identifier: Apache-2.0
// A program without any libc around the C functions of one convolution, for another machine than
// this one: linked by lld, run by QEMU. Its tensors are in it, dst comes out of it.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "codegen/c_interface.h"
#include "codegen/target.h"
#include "tests/support/kernels.h"

namespace convgen::testing {

struct Machine {
  std::string name;  // in the names of tests
  std::string triple;
  std::string mcpu, mattr;
  std::vector<std::string> emulator;  // words in front of the program; "" where it is not installed
};

inline void PrintTo(const Machine& machine, std::ostream* out) { *out << machine.name; }

// Where ld.lld is; empty: not installed.
std::string linker_path();
// Empty where machine's programs can be linked and run here, else what is missing.
std::string what_is_missing(const Machine& machine);

struct ForeignRun {
  int exit = -1;  // of the program: what the C functions returned
  int signal = 0;
  std::string messages;  // where it did not get as far as dst
  std::vector<float> dst;
};

// Packs the weights and computes with `library`: an object or an archive that defines function.
ForeignRun run_foreign(const Machine& machine, const codegen::CFunction& function,
                       const codegen::KernelSizes& sizes, const std::string& library,
                       const HostTensors& tensors);

}  // namespace convgen::testing
