// SPDX-License-Identifier: Apache-2.0
// The inner loops of the generic path as a table of functions, one table per instruction set.
// Only these loops are compiled several times; everything around them exists once. Internal.
#pragma once

#include <cstdint>

#include "ir/conv.h"
#include "runtime/generic.h"

namespace convgen::generic {

// One register tile of a matrix product: out[i][j] = sum over k < depth of row(i, k) * cols[k][j].
struct TileArgs {
  const float* rows = nullptr;  // strided: row(i, k) = rows[i * row_stride + k]
  int64_t row_stride = 0;       // packed:  row(i, k) = rows[k * number of rows + i]
  const float* cols = nullptr;  // [depth][lanes or 2 * lanes], dense
  int64_t depth = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
};
using TileFunction = void (*)(const TileArgs&);

// A block of sums on its way to dst: values[row * stride + col], not yet through the post-ops.
// The channel and the place in dst of each follow from steps; one channel step is always 0.
struct OutputTile {
  float* values = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
  int64_t channel = 0;
  int64_t channel_row_step = 0;
  int64_t channel_col_step = 0;
  int64_t dst_offset = 0;
  int64_t dst_row_step = 0;
  int64_t dst_col_step = 0;
};

// A filter tap of a channels-last depthwise convolution, as distances in elements.
struct PixelTap {
  uint64_t src_offset = 0;     // from the output pixel's first input pixel, modulo 2^64
  int64_t weights_offset = 0;  // from the first tap's weights
};

// A run of output pixels of one channels-last row that use the same taps.
struct DepthwisePixels {
  const float* src = nullptr;
  // Modulo 2^64, which huge pads, strides and dilations pass; with a tap's offset they are right.
  uint64_t src_offset = 0;  // of the first output pixel's first tap; may point into the padding
  uint64_t src_step = 0;    // between output pixels
  const PixelTap* taps = nullptr;
  int64_t tap_count = 0;
  const float* weights = nullptr;
  const float* initial = nullptr;  // [channels] the sums start from, or null for 0
  int64_t pixels = 0;
  int64_t channels = 0;
  float* out = nullptr;  // [pixels][channels]
};

// A filter tap of a channels-first depthwise convolution and the output columns it reaches.
struct RowTap {
  int64_t src_offset = 0;  // of the input that column 0 would read
  int64_t begin = 0;
  int64_t end = 0;
  float weight = 0;
};

inline constexpr int kMaxTileRows = 14;

struct Kernels {
  const char* name = "";
  int lanes = 0;      // floats in a vector
  int tile_rows = 0;  // of the largest tile
  // [vectors - 1][rows - 1]; each tile is tile_rows x 2 vectors at most.
  TileFunction strided_tile[2][kMaxTileRows] = {};
  TileFunction packed_tile[2][kMaxTileRows] = {};
  void (*depthwise_pixels)(const DepthwisePixels&) = nullptr;
  // row[col] += src[src_offset + col * stride] * weight over each tap's columns.
  void (*depthwise_row)(const float* src, int64_t stride, const RowTap* taps, int64_t tap_count,
                        float* row) = nullptr;
  // Applies the post-op chain to a tile in place.
  void (*apply_post_ops)(const ir::Conv& conv, const Tensors& tensors,
                         const OutputTile& tile) = nullptr;
};

// The table of an instruction set that the host has.
const Kernels& kernels_for(Isa isa);

}  // namespace convgen::generic
