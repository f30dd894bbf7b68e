// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files, f32 and f64. Trusts no header: every size is compared with what the file
// really holds before memory is taken, and object arrays (pickles) are refused unread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/status.h"

namespace convgen::tool {

// An array in C order: the last dimension is contiguous.
struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<float> data;
};

// Reads a file, pipe or "-". Accepts versions 1.0, 2.0 and 3.0, <f4 >f4 <f8 >f8, C and Fortran
// order. f64 is rounded to the nearest f32; what is beyond f32's range becomes Inf, as in NumPy.
// Errors: io_error from the system; invalid_argument "FILE: byte N: ..." for a bad file.
Result<NpyArray> read_npy(const std::string& path);

// Writes <f4 in C order to a file (which appears whole or not at all) or "-".
Status write_npy(const std::string& path, const NpyArray& array);

}  // namespace convgen::tool
