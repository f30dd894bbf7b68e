// SPDX-License-Identifier: Apache-2.0
// Tiny convolutions that sequences of calls work on, each with tensors and its known answer.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ir/conv.h"
#include "runtime/convgen.h"

namespace convgen::fuzz_inputs {

struct CApiCase {
  std::string text;  // canonical
  ir::Conv conv;
  std::vector<float> src, weights, bias, add, scale;
};

// Made once, the same in every process.
const std::vector<CApiCase>& c_api_cases();

// The case of a handle's conv, by its text.
const CApiCase& case_of(const char* text);

// The case's tensors with plain weights; those that the convolution has no use for are null.
convgen_run_args args_of(const CApiCase& now, std::vector<float>& dst);

// Every output keeps the interpreter's bound. winograd_tile: of the kernel's info.
void expect_answer(const CApiCase& now, const std::vector<float>& dst, int winograd_tile,
                   const std::string& schedule);

}  // namespace convgen::fuzz_inputs
