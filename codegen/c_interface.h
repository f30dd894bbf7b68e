// SPDX-License-Identifier: Apache-2.0
// A convolution as C sees it: a family of functions whose names begin alike, their parameters, and
// the header that declares them. How they are compiled: ahead_of_time.h; docs/ahead_of_time.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/schedule.h"
#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "ir/status.h"

namespace convgen::codegen {

// What the functions return.
inline constexpr int kCDone = 0;
inline constexpr int kCNoLevel = 1;  // this CPU can run none of the levels

struct CFunction {
  std::string name;  // a C identifier
  ir::Conv conv;
  std::optional<ConstantWeights> constants;

  const ConstantWeights* constant_weights() const {
    return constants.has_value() ? &*constants : nullptr;
  }
};

// What a caller of one kernel has to know.
struct KernelSizes {
  int64_t tasks = 0;
  int64_t packed_elements = 0;
  int64_t scratch_bytes = 0;
};
KernelSizes kernel_sizes(const CFunction& function, const Schedule& schedule);
// The largest of each.
KernelSizes largest(std::span<const KernelSizes> sizes);

// One tensor of the call, and where KernelArgs has it.
struct CParameter {
  std::string_view name;
  std::string_view type;
  size_t offset_bytes;
};
// Those that the convolution uses, in the order of KernelArgs. scratch is always there: whether a
// schedule needs some differs between machines, prototypes do not.
std::vector<CParameter> c_parameters(const CFunction& function);

// Ok for what may name a function in C and C++. Errors: invalid_argument, beginning with `field`.
Status check_c_identifier(std::string_view field, std::string_view name);
// text with one _ for whatever runs of characters an identifier cannot hold.
std::string c_identifier_of(std::string_view text);
// The conv's name=, else its canonical text, as an identifier.
std::string c_name_of(const ir::Conv& conv);
// Ok where no two functions, nor one and the library of that name (empty for none), declare the
// same symbol or macro. Errors: invalid_argument naming both.
Status check_distinct(std::span<const CFunction> functions, std::string_view library);

struct CHeader {
  std::string name;      // of the file, without .h
  std::string library;   // of a bundle, else empty
  std::string made_for;  // "x86_64-pc-linux-gnu: x86-64-v2, x86-64-v3"
  std::span<const CFunction> functions;
  std::span<const KernelSizes> sizes;  // the largest of each function
};
// C11 and C++, with an include guard.
std::string print_c_header(const CHeader& header);

}  // namespace convgen::codegen
