// SPDX-License-Identifier: Apache-2.0
// Numbers of the conv text: reading them, independent of any locale, and arithmetic on sizes that
// cannot overflow unseen. Internal to ir.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include "ir/status.h"

namespace convgen::ir {

// Wide enough for the sum of two products of any two int64.
using Wide = __int128;

constexpr bool fits_int64(Wide value) {
  return value >= std::numeric_limits<int64_t>::min() &&
         value <= std::numeric_limits<int64_t>::max();
}

// The extent of a filter whose taps stand `dilation` apart.
constexpr Wide effective_kernel(int64_t kernel, int64_t dilation) {
  return (Wide{kernel} - 1) * dilation + 1;
}

// The product of sizes, or nothing where it passes int64. A size of 0 counts as 1: the partial
// products that index arithmetic forms must fit as well.
std::optional<int64_t> checked_product(std::span<const int64_t> sizes);

// Reads the whole of `text`, plain decimal. Errors name `field`, the word it stands in.
Result<int64_t> parse_int64(std::string_view field, std::string_view text);

// Reads the whole of `text`. `inf` and `-inf` are numbers, NaN is none, and a finite text beyond
// f32 is an error.
Result<float> parse_f32(std::string_view field, std::string_view text);

}  // namespace convgen::ir
