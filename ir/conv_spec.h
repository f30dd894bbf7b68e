// SPDX-License-Identifier: Apache-2.0
// ConvSpec: a convolution as a user says it, in words and lists of any length, unchecked; and
// make_conv, the one place where rules are checked and SAME becomes numbers.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ir/conv.h"
#include "ir/export.h"
#include "ir/status.h"

namespace convgen::ir {

// A tensor as `TYPE:LAYOUT:DIMS` says it; empty parts are not said.
struct TensorSpec {
  std::string type;
  std::string layout;
  std::vector<int64_t> dims;
};

struct PadsSpec {
  enum class Kind { kValid, kSame, kSameLower, kExplicit };
  Kind kind = Kind::kValid;
  std::vector<std::pair<int64_t, int64_t>> explicit_pads;  // (begin, end) per spatial dimension
};

// What `conv2d src=... weights=... ...` says, word by word. Empty lists and strings mean the
// default of the conv text (docs/conv-ir.md). Also the C++ way to describe a convolution:
//   ConvSpec{.op = "conv2d", .src = {"f32", "nhwc", {1, 56, 56, 64}}, .weights = ..., ...}
struct ConvSpec {
  std::string op = "conv2d";
  TensorSpec src;
  TensorSpec weights;
  TensorSpec dst;                // dims must be empty: they follow from the rest
  std::vector<int64_t> strides;  // spatial, or spatial_rank + 2 numbers in the order of src
  PadsSpec pads;
  float pad_value = 0;
  std::vector<int64_t> dilations;
  int64_t groups = 1;
  std::vector<PostOp> post;
  Accuracy accuracy = Accuracy::kNormal;
  std::string name;
};

// Checks every rule of docs/conv-ir.md, one named check each, and returns the canonical Conv.
// Errors: invalid_argument (a rule is broken) or unsupported (a reserved word), with a message
// that names field, value and rule. Pure; thread-safe.
CONVGEN_API Result<Conv> make_conv(const ConvSpec& spec);

}  // namespace convgen::ir
