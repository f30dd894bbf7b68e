// SPDX-License-Identifier: Apache-2.0
// Winograd's minimal filtering with stride 1: the geometry of tiles, and where a task keeps what it
// transforms. After Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016,
// sections 4.1 to 4.3: Y = A^T [(G g G^T) .* (B^T d B)] A. The axes are independent of each other:
// a 1x3 filter is transformed along the width alone.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "codegen/schedule.h"
#include "ir/conv.h"

namespace convgen::codegen {

// F(m, taps) along one axis: m outputs from alpha = m + taps - 1 inputs by alpha products, on the
// points infinity, 0, 1, -1 (whole tiles of alpha 4) and 2, -2 (alpha 6). A tile with fewer outputs
// is computed on the first of a whole one's points, so that both share the transformed weights.
// Outputs whose positions differ by less than the dilation see different inputs, so a dilated
// convolution is one of each phase.
struct WinogradAxis {
  int64_t taps = 1;  // 1, 3 or 5; of 1, everything else is 1 too: nothing is transformed
  int64_t m = 1;
  int64_t alpha = 1;
  int64_t whole_alpha = 1;  // of a whole tile
  int64_t phases = 1;
  int64_t tiles = 0;  // of one phase
  int64_t first = 0;  // number of the first of them
  int64_t whole_m() const { return whole_alpha - taps + 1; }
};

// Tiles of the same outputs and points: whole ones or, with edges=nested, those at the bottom or
// right border, or both, that have fewer.
struct WinogradTiles {
  WinogradAxis h, w;
  int64_t all = 0;       // of all images and phases
  int64_t per_task = 0;  // the last task may have fewer
  int64_t place = 0;     // of the first of them among a task's
};

// Points that the same tiles have: products run over `tiles` places from `place` on, tile_pixels at
// a time.
struct WinogradPoints {
  int64_t first = 0;  // in its row
  int64_t count = 0;
  int64_t place = 0;
  int64_t tiles = 0;
  int tile_pixels = 1;
};

// Rows of points that are alike. All points are one row where all tiles have all of them.
struct WinogradPointRows {
  int64_t rows = 0;
  int64_t length = 0;  // from a row to the next
  std::vector<WinogradPoints> runs;
};

struct WinogradShape {
  WinogradAxis h, w;           // of whole tiles, cut short at the border or not
  int64_t points = 0;          // products of a whole tile, each a matrix product over channels
  int64_t images = 0;          // n, and every depth of it
  int64_t tiles = 0;           // of all images and phases
  int64_t tiles_per_task = 0;  // a multiple of the register tile's; nested: whole images and phases
  int64_t tile_tasks = 0;      // runs of so many tiles
  int64_t blocks = 0;          // of output channels
  int64_t blocks_per_task = 0;
  int64_t block_tasks = 0;  // runs of so many blocks, each of which transforms its sources itself
  int64_t tasks() const { return block_tasks * tile_tasks; }

  // In the order of their places, those of any point behind each other.
  std::vector<WinogradTiles> kinds;
  std::vector<WinogradPointRows> point_rows;  // in the order of the packed weights

  // Scratch, in floats: lanes of pad_value, a tile at the border, transformed sources
  // [point][place][channels], products [point][place][outputs].
  // Of a vector of sources: no more than there are channels, since a vector of 3 pixels' channels
  // crosses lines of the cache for nothing.
  int source_lanes = 0;
  int64_t places = 0;        // of a task's tiles, and behind them what fills the last register tile
  int64_t channels = 0;      // from a tile to the next: input channels, whole vectors of these
  int64_t outputs = 0;       // the same of output channels kept at once
  int64_t source_point = 0;  // from a point to the next
  int64_t output_point = 0;
  int64_t patch_offset = 0;
  int64_t sources_offset = 0;
  int64_t products_offset = 0;
  double scratch_floats = 0;  // infinite where counts above pass int64; they are cut off then
};

// True for filters of 1, 3 or 5 taps along height and width with stride 1, one group, channels last
// in src, free order of summation.
bool can_run_winograd(const ir::Conv& conv);

WinogradShape winograd_shape(const ir::Conv& conv, const Schedule& schedule);

// The axis of `taps` for a wanted number of outputs, phases and tiles left out. Five taps have two
// outputs, however many are wanted: no tile has more than six points.
WinogradAxis winograd_axis(int64_t taps, int64_t output_tile);

// Rows of B^T and A^T of an axis, for weights transformed for whole tiles.
class WinogradMatrices {
 public:
  explicit WinogradMatrices(const WinogradAxis& axis) : axis_(axis) {}
  double input(int64_t point, int64_t source) const;
  double output(int64_t output, int64_t point) const;

 private:
  WinogradAxis axis_;
};

// g[h.taps x w.taps] with distances between rows and columns -> G g G^T, h.alpha x w.alpha, by
// rows. Computed in f64, rounded once.
class WeightsTransform {
 public:
  using Matrix = std::array<std::array<double, 5>, 6>;  // alpha x taps
  WeightsTransform(const WinogradAxis& h, const WinogradAxis& w);
  void operator()(const float* g, int64_t row, int64_t column, float* u) const;

  const Matrix& along_h() const { return gh_; }
  const Matrix& along_w() const { return gw_; }

 private:
  WinogradAxis h_, w_;
  Matrix gh_, gw_;
};

}  // namespace convgen::codegen
