// SPDX-License-Identifier: Apache-2.0
// Reading numbers with std::from_chars, and checked products.
#include "ir/numbers.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "ir/message.h"

namespace convgen::ir {

std::optional<int64_t> checked_product(std::span<const int64_t> sizes) {
  int64_t product = 1;
  for (int64_t size : sizes) {
    if (size != 0 && __builtin_mul_overflow(product, size, &product)) return std::nullopt;
  }
  return product;
}

Result<int64_t> parse_int64(std::string_view field, std::string_view text) {
  if (text.empty()) return broken_rule(field, "a number is missing");
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) {
    return broken_rule(field, fmt::format("\"{}\" is not a whole number", printable(text)));
  }
  if (error != std::errc()) {
    return broken_rule(field, fmt::format("{} overflows int64", printable(text)));
  }
  return value;
}

Result<float> parse_f32(std::string_view field, std::string_view text) {
  if (text.empty()) return broken_rule(field, "a number is missing");
  float value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) {
    return broken_rule(field, fmt::format("\"{}\" is not a number", printable(text)));
  }
  if (std::isnan(value)) return broken_rule(field, "NaN is not allowed");
  // Libraries differ in how they report overflow: by the error, or as an infinity made of digits.
  const bool has_digits = text.find_first_of("0123456789") != std::string_view::npos;
  if (error != std::errc() || (std::isinf(value) && has_digits)) {
    return broken_rule(field, fmt::format("{} is out of the range of f32", printable(text)));
  }
  return value;
}

}  // namespace convgen::ir
