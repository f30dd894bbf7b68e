// SPDX-License-Identifier: Apache-2.0
// Winograd's minimal filtering for 3x3 filters with stride 1: the geometry of tiles, and where a
// task keeps what it transforms. After Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", CVPR 2016, sections 4.1 to 4.3: Y = A^T [(G g G^T) .* (B^T d B)] A.
#pragma once

#include <cstdint>

#include "codegen/schedule.h"
#include "ir/conv.h"

namespace convgen::codegen {

inline constexpr int kWinogradTaps = 3;  // along each axis

// F(m x m, 3 x 3): a tile of m x m outputs from (m + 2) x (m + 2) inputs. Outputs whose positions
// differ by the dilation see the same inputs, so a dilated convolution is one of each phase.
struct WinogradShape {
  int64_t m = 4;
  int64_t alpha = 6;    // m + 2
  int64_t points = 36;  // alpha x alpha products a tile, each a matrix product over channels
  int64_t phases_h = 1, phases_w = 1;
  int64_t tiles_h = 0, tiles_w = 0;  // of one phase of one image
  int64_t tiles = 0;                 // of all
  int64_t tiles_per_task = 0;        // a multiple of the register tile's
  int64_t tasks = 0;

  // Scratch, in floats: lanes of pad_value, transformed sources [point][tile][channels],
  // products [point][tile][outputs].
  int64_t channels = 0;  // input channels, whole vectors
  int64_t outputs = 0;   // output channels kept at once, whole vectors
  int64_t sources_offset = 0;
  int64_t products_offset = 0;
  double scratch_floats = 0;
};

// True for 3x3 filters with stride 1, one group, channels last in src, free order of summation.
bool can_run_winograd(const ir::Conv& conv);

WinogradShape winograd_shape(const ir::Conv& conv, const Schedule& schedule);

// g[3 x 3] with distances between rows and columns -> G g G^T, alpha x alpha, by rows. Computed in
// f64, rounded once.
void transform_weights(int64_t m, const float* g, int64_t row, int64_t column, float* u);

}  // namespace convgen::codegen
