// SPDX-License-Identifier: Apache-2.0
// FilterPlan: an image filter, that is a convolution of few channels whose weights are known, as
// rows of floats and the products that each float of dst is the sum of.
//
// Where channels come last, a row of pixels with C channels is a row of C x width floats, and one
// column is C floats away from the next: a filter that keeps channels apart is one on a single
// channel. One that mixes them has taps between channels of a pixel besides, left out for those
// floats of the row whose pixel has no such channel. What differs from channel to channel repeats
// along the row with the period C.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "codegen/schedule.h"
#include "ir/constant_weights.h"
#include "ir/conv.h"

namespace convgen::codegen {

// One product in the sum of every output of a row.
struct FilterTap {
  int output = 0;              // of the outputs that lie side by side in dst
  int64_t plane = 0;           // of src
  int64_t row = 0;             // kh x dilation
  int64_t shift = 0;           // from the output's float to the source's, in floats of the row
  std::vector<float> weights;  // one, or one for each phase of the period
  std::vector<bool> inside;    // phases that have this tap; empty: all
  std::vector<int64_t> twins;  // shifts of more sources, added to this one before the product

  float weight(int64_t phase) const {
    return weights[weights.size() == 1 ? 0 : static_cast<size_t>(phase)];
  }
};

// Outputs computed together: `outputs` channels of each float's pixel, side by side in dst; or a
// plane of dst.
struct FilterPass {
  int64_t first_channel = 0;
  int outputs = 1;
  int64_t dst_plane = 0;            // where the plane begins in an image of dst
  std::vector<FilterTap> taps;      // in the order kh, kw, ic
  std::vector<FilterTap> all_taps;  // zero weights among them
  bool has_zeros() const { return taps.size() != all_taps.size(); }
};

// What follows from the shape alone.
struct FilterGeometry {
  int64_t period = 1;   // channels of src in a row of floats
  int64_t outputs = 1;  // of a pass
  int64_t passes = 1;
  int64_t planes = 1;      // of src
  int64_t in_floats = 0;   // of a row of src
  int64_t out_floats = 0;  // of a row of dst, for each output of a pass
  int64_t src_plane = 0, src_image = 0, dst_image = 0;
  int64_t first_shift = 0;  // how far left of its own float an output looks, as a negative number
  int64_t last_shift = 0;   // and how far right
};

// Nothing where the shape is none that the filter emitter handles: 1D or 2D, stride 1 along the
// width, few channels, all in the same layout.
std::optional<FilterGeometry> filter_geometry(const ir::Conv& conv);

// A filter of one plane and output as a column of weights times a row of weights: sums along the
// column first, then of those along the row. Nothing where it is none, or where rounding the
// factors and their sums would pass the bound of direct summation.
struct FilterFactors {
  std::vector<FilterTap> column;
  std::vector<FilterTap> row;
  // Finite sources may make a sum along the column Inf where the output is a number.
  bool sums_may_overflow = false;
};

struct FilterPlan {
  FilterGeometry geometry;
  std::vector<FilterPass> passes;
  std::optional<FilterFactors> factors;
};

// Nothing where there is no geometry, where weights are not finite, or taps too many to unroll.
std::optional<FilterPlan> plan_filter(const ir::Conv& conv, const ConstantWeights& constants);

// Taps of a row with the same weight as one, where adding their sources first cannot overflow
// unless the sum of products may: weights of magnitude 1 and more. Those of 1 and -1 are no
// products anyway. Not under accuracy=strict, which has its own order of summation.
std::vector<FilterTap> merge_twins(const ir::Conv& conv, const std::vector<FilterTap>& taps);

// Where a task keeps rows: a row of pad_value, the sources of a tile at the border with what lies
// outside, and, of two passes, the sums of the first. In floats from the start of scratch.
struct FilterScratch {
  int64_t pad_row = 0;
  int64_t border = 0;
  int64_t border_pitch = 0;  // from a source row of a tile to the next
  int64_t sums = 0;          // column 0 of the first row of sums
  int64_t sums_pitch = 0;
  int64_t sums_margin = 0;  // floats of zero left of column 0
  double floats = 0;
};
// Tiles of a row, of tile_pixels floats of each output: those at its two ends read what lies
// outside the row, or are the last.
struct FilterTiles {
  int64_t count = 0;
  int64_t first_inner = 0;
  int64_t last_inner = 0;  // behind the last
};
FilterTiles filter_tiles(const FilterGeometry& geometry, const Schedule& schedule);

FilterScratch filter_scratch(const ir::Conv& conv, const FilterGeometry& geometry,
                             const Schedule& schedule);

}  // namespace convgen::codegen
