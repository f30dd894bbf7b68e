// SPDX-License-Identifier: Apache-2.0
#include "codegen/winograd.h"

#include <algorithm>

namespace convgen::codegen {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Rows of G, for the points 0, 1, -1, infinity and 0, 1, -1, 2, -2, infinity.
constexpr double kG2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
constexpr double kG4[6][3] = {{1.0 / 4, 0, 0},
                              {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                              {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                              {1.0 / 24, 1.0 / 12, 1.0 / 6},
                              {1.0 / 24, -1.0 / 12, 1.0 / 6},
                              {0, 0, 1}};

}  // namespace

bool can_run_winograd(const ir::Conv& conv) {
  const ir::Extent3 kernel{1, kWinogradTaps, kWinogradTaps};
  const ir::Extent3 ones{1, 1, 1};
  return conv.spatial_rank == 2 && conv.kernel == kernel && conv.strides == ones &&
         conv.groups == 1 && conv.src_layout == ir::ActivationLayout::kChannelsLast &&
         (conv.dilations == ones || conv.dst_layout == ir::ActivationLayout::kChannelsLast) &&
         conv.accuracy == ir::Accuracy::kNormal;
}

WinogradShape winograd_shape(const ir::Conv& conv, const Schedule& schedule) {
  WinogradShape shape;
  shape.m = schedule.output_tile;
  shape.alpha = shape.m + kWinogradTaps - 1;
  shape.points = shape.alpha * shape.alpha;
  shape.phases_h = std::min(conv.dilations.h, std::max<int64_t>(1, conv.out.h));
  shape.phases_w = std::min(conv.dilations.w, std::max<int64_t>(1, conv.out.w));
  shape.tiles_h = ceil_div(ceil_div(conv.out.h, shape.phases_h), shape.m);
  shape.tiles_w = ceil_div(ceil_div(conv.out.w, shape.phases_w), shape.m);
  shape.tiles = conv.n * shape.phases_h * shape.phases_w * shape.tiles_h * shape.tiles_w;
  const int64_t wanted =
      schedule.tiles_per_task == 0 ? shape.tiles : std::min(schedule.tiles_per_task, shape.tiles);
  shape.tiles_per_task = round_up(std::max<int64_t>(1, wanted), schedule.tile_pixels);
  shape.tasks = ceil_div(shape.tiles, shape.tiles_per_task);
  shape.channels = round_up(conv.ic, schedule.lanes);
  shape.outputs = schedule.order == LoopOrder::kOcOuter ? schedule.oc_block()
                                                        : round_up(conv.oc, schedule.lanes);
  shape.sources_offset = schedule.lanes;
  const int64_t slab = shape.points * shape.tiles_per_task;
  shape.products_offset = shape.sources_offset + slab * shape.channels;
  shape.scratch_floats = static_cast<double>(shape.products_offset) +
                         static_cast<double>(slab) * static_cast<double>(shape.outputs);
  return shape;
}

void transform_weights(int64_t m, const float* g, int64_t row, int64_t column, float* u) {
  const int64_t alpha = m + kWinogradTaps - 1;
  const auto coefficient = [&](int64_t i, int64_t k) { return m == 2 ? kG2[i][k] : kG4[i][k]; };
  for (int64_t i = 0; i < alpha; ++i)
    for (int64_t j = 0; j < alpha; ++j) {
      double sum = 0;
      for (int64_t kh = 0; kh < kWinogradTaps; ++kh)
        for (int64_t kw = 0; kw < kWinogradTaps; ++kw)
          sum += coefficient(i, kh) * coefficient(j, kw) *
                 static_cast<double>(g[kh * row + kw * column]);
      u[i * alpha + j] = static_cast<float>(sum);
    }
}

}  // namespace convgen::codegen
