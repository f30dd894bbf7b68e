// SPDX-License-Identifier: Apache-2.0
// Convolutions in fields, as the bytes of an input say them, and what their handles must tell.
#pragma once

#include <string>

#include "runtime/convgen.h"
#include "tests/fuzz/inputs/expect.h"

namespace convgen::fuzz_inputs {

// A sound convolution with changes, most of which break a rule.
struct CConvFields {
  explicit CConvFields(Bytes& bytes);
  CConvFields(const CConvFields&) = delete;
  CConvFields& operator=(const CConvFields&) = delete;

  std::string post, name;  // spec points to them
  convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
};

// The text that a handle tells is read as the same convolution. conv may be null.
void expect_told_truly(const convgen_conv* conv);

}  // namespace convgen::fuzz_inputs
