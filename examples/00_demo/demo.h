// SPDX-License-Identifier: Apache-2.0
// The parts of convgen_demo. They print to standard output; failures come back as Status.
#pragma once

#include <string>

#include "ir/conv.h"
#include "ir/status.h"
#include "runtime/kernel.h"

namespace convgen::examples {

struct DemoOptions {
  std::string picture;
  std::string directory = "build/demo";  // where the pictures go; made where missing
  double seconds = 1;                    // how long engines are timed
};

// The main job on a picture, from conv text to pictures written. False where a check failed.
Result<bool> run_filter_demo(const DemoOptions& options);

// Prints PASS or FAIL for two .npy files, which must have the same shape and the same floats, bit
// by bit. f64 is rounded to f32 first. False for FAIL.
Result<bool> compare_arrays(const std::string& a, const std::string& b);

// A few lines of the emitted LLVM IR of the block where the kernel spends its time: the one with
// the most multiply-adds. Errors: what codegen::compile says.
Result<std::string> excerpt_inner_loop(const Kernel& kernel);

}  // namespace convgen::examples
