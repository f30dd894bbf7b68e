// SPDX-License-Identifier: Apache-2.0
// A signature as the name of a function, for profilers and debuggers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace convgen {

inline constexpr size_t kMaxSymbolLength = 120;

// Letters, digits, '_' and '.', at most kMaxSymbolLength of them; what is longer is cut and ends in
// a hash of the whole. "conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=1x1
// post=bias,relu" is conv2d_nhwc_1x56x56x64_hwio_3x3x64x64_p1x1_bias_relu.
std::string print_symbol(std::string_view signature);

}  // namespace convgen
