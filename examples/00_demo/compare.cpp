// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "examples/00_demo/demo.h"
#include "tools/npy.h"

namespace convgen::examples {
namespace {

bool same_float(float a, float b) {
  // The sign of a zero is not specified.
  return a == b || std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

}  // namespace

Result<bool> compare_arrays(const std::string& a_path, const std::string& b_path) {
  const auto a = tool::read_npy(a_path);
  if (!a.ok()) return a.status();
  const auto b = tool::read_npy(b_path);
  if (!b.ok()) return b.status();
  if (a->shape != b->shape) {
    fmt::print("FAIL shape {} is not {}\n", fmt::join(a->shape, "x"), fmt::join(b->shape, "x"));
    return false;
  }
  const auto [x, y] =
      std::mismatch(a->data.begin(), a->data.end(), b->data.begin(), b->data.end(), same_float);
  if (x != a->data.end()) {
    fmt::print("FAIL element {}: {} is not {}\n", x - a->data.begin(), *x, *y);
    return false;
  }
  fmt::print("PASS {} floats equal, shape {}\n", a->data.size(), fmt::join(a->shape, "x"));
  return true;
}

}  // namespace convgen::examples
