// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_grouped.h"

#include <map>
#include <utility>
#include <vector>

#include "codegen/loop_nest.h"

namespace convgen::codegen {

GroupedTapEmitter::TapRun GroupedTapEmitter::run_at(const TileSite& site, llvm::Value* kw,
                                                    int64_t taps) {
  const int64_t src_step = wrapping_offset(shape_.dilations.w, shape_.src.w);
  const int64_t weights_step = shape_.ic * site.vectors * schedule_.lanes;
  return {b_.at(site.src_row, b_.scale_index(kw, src_step)),
          b_.at(site.weights_row, b_.scale_index(kw, weights_step)), taps};
}

Values GroupedTapEmitter::emit_taps(const TileSite& site, const TapRow& row, Values acc) {
  const auto begin = constant_index(row.begin);
  const auto end = constant_index(row.end);
  if (begin && end && schedule_.unroll >= Unroll::kRow)
    return emit_run(site, row, run_at(site, row.begin, *end - *begin), acc);
  return emit_for(b_, {row.begin, row.end}, "kw", acc, [&](llvm::Value* kw, Values at_kw) {
    return emit_run(site, row, run_at(site, kw, 1), at_kw);
  });
}

Values GroupedTapEmitter::emit_run(const TileSite& site, const TapRow& row, const TapRun& run,
                                   Values acc) {
  // Column of src -> the (pixel, tap) pairs that meet there, counted from the run's first tap.
  std::map<int64_t, std::vector<std::pair<int, int64_t>>> columns;
  for (int p = 0; p < site.pixels; ++p)
    for (int64_t kw = 0; kw < run.taps; ++kw)
      columns[p * shape_.strides.w + kw * shape_.dilations.w].emplace_back(p, kw);

  for (int v = 0; v < site.vectors; ++v) {
    const auto weights = [&](int64_t kw, int64_t ic) {
      return b_.load_packed(
          b_.at(run.weights, ((kw * shape_.ic + ic) * site.vectors + v) * schedule_.lanes));
    };
    for (const auto& [column, meetings] : columns) {
      // Whether a column lies inside the image is the same for all that meet there.
      const int first = meetings.front().first;
      const bool inside = first >= row.first_pixel && first < row.last_pixel;
      if (!inside && shape_.pad_value == 0) continue;
      llvm::Value* groups = inside ? load_groups(site, run, column, v) : nullptr;
      for (int64_t ic = 0; ic < shape_.ic; ++ic) {
        llvm::Value* x = inside ? spread(groups, ic) : b_.splat(shape_.pad_value);
        for (const auto& [p, kw] : meetings) {
          llvm::Value*& sum = acc[p * site.vectors + v];
          sum = b_.fma(x, weights(kw, ic), sum);
        }
      }
    }
  }
  return acc;
}

// The sources of the groups of vector v, and no channel beyond the last real group.
llvm::Value* GroupedTapEmitter::load_groups(const TileSite& site, const TapRun& run, int64_t column,
                                            int v) {
  const int64_t lanes = v + 1 == site.vectors ? site.last_lanes : schedule_.lanes;
  const int64_t vector_channels = schedule_.lanes / shape_.oc_per_group * shape_.ic;
  const int64_t real_channels = lanes / shape_.oc_per_group * shape_.ic;
  llvm::Value* address = b_.at(run.src, wrapping_offset(column, shape_.src.w, v * vector_channels));
  return b_.load_lanes(address, static_cast<int>(real_channels), "x" + llvm::Twine(column));
}

llvm::Value* GroupedTapEmitter::spread(llvm::Value* groups, int64_t ic) {
  if (shape_.oc_per_group == 1) return groups;
  llvm::SmallVector<int, 16> channel_of_lane;
  for (int64_t lane = 0; lane < schedule_.lanes; ++lane)
    channel_of_lane.push_back(static_cast<int>(lane / shape_.oc_per_group * shape_.ic + ic));
  return b_.CreateShuffleVector(groups, channel_of_lane);
}

}  // namespace convgen::codegen
