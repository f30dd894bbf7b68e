// SPDX-License-Identifier: Apache-2.0
// The text inside an .npy file's header, a Python dict literal, read by a parser that knows just
// that dict. Opens no file and allocates nothing the text does not hold.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/status.h"

namespace convgen::tool {

inline constexpr size_t kMaxNpyRank = 32;

struct NpyHeader {
  std::endian byte_order = std::endian::little;
  int item_bytes = 4;  // 4: f32, 8: f64
  bool fortran_order = false;
  std::vector<int64_t> shape;
  int64_t elements = 1;  // of the whole array; times item_bytes fits int64
};

// Reads "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n": the three keys once each
// in any order. Errors: invalid_argument "NAME: byte N: ...", where text begins at byte `offset`
// of the file.
Result<NpyHeader> parse_npy_header(std::string_view text, const std::string& name, size_t offset);

// The bytes before the data of a little-endian f32 array in C order: magic, version 1.0, dict.
std::string print_npy_header(const std::vector<int64_t>& shape);

}  // namespace convgen::tool
