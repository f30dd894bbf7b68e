// SPDX-License-Identifier: Apache-2.0
// Pictures as float tensors: PNG in, PNG out. Knows nothing of convolutions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/status.h"

namespace convgen::examples {

// [h, w, c] with c fastest: 3 channels (red, green, blue) or 1 (grey). Values 0 to 255.
struct Image {
  int64_t h = 0;
  int64_t w = 0;
  int64_t c = 0;
  std::vector<float> pixels;
};

// Reads a PNG of any kind as 8-bit RGB or grey; transparency is put on white. Errors: io_error with
// the file and what libpng says of it; resource_exhausted beyond 2^28 pixels.
Result<Image> load_png(const std::string& path);

// Writes 8-bit RGB or grey: values are rounded, and limited to 0 to 255 (NaN becomes 0).
// Errors: invalid_argument where c is not 1 or 3 or sizes do not fit; io_error.
Status save_png(const std::string& path, const Image& image);

}  // namespace convgen::examples
