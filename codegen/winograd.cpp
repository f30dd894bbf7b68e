// SPDX-License-Identifier: Apache-2.0
#include "codegen/winograd.h"

#include <algorithm>
#include <array>
#include <limits>

namespace convgen::codegen {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

bool has_taps(int64_t taps) { return taps == 1 || taps == 3 || taps == 5; }

// A row of G: the filter, as a polynomial, at a point, over the product of that point's distances
// to the others (whose sign A^T takes up for alpha 4). The last point is infinity: the coefficient
// of the highest power.
struct Point {
  double at;
  double divisor;
};
constexpr std::array<Point, 3> kPoints4 = {{{0, 1}, {1, 2}, {-1, 2}}};
constexpr std::array<Point, 5> kPoints6 = {{{0, 4}, {1, -6}, {-1, -6}, {2, 24}, {-2, 24}}};

// Floats from a row to the next. Rows a multiple of 512 bytes apart share a few sets of L1, and
// push each other out when they are read side by side (3x3, 256 channels at 14x14, F(4x4,3x3), 16
// tiles: 484 us against 417).
int64_t spread(int64_t floats) { return floats % 128 == 0 ? floats + 16 : floats; }

// The fewest that hold all channels, at least a vector of SSE.
int lanes_for(int64_t channels, int most) {
  int lanes = 4;
  while (lanes < most && lanes < channels) lanes *= 2;
  return lanes;
}

// Counts of the largest convolutions pass int64 when they are multiplied; those beyond this one are
// it, and scratch_floats says so.
constexpr int64_t kTooMany = int64_t{1} << 60;

int64_t product(int64_t a, int64_t b) {
  const double exact = static_cast<double>(a) * static_cast<double>(b);
  return exact < static_cast<double>(kTooMany) ? a * b : kTooMany;
}

void cut(WinogradAxis& axis, int64_t dilation, int64_t out) {
  axis.phases = std::min(dilation, std::max<int64_t>(1, out));
  axis.tiles = ceil_div(ceil_div(out, axis.phases), axis.m);
}

}  // namespace

bool can_run_winograd(const ir::Conv& conv) {
  const ir::Extent3 ones{1, 1, 1};
  const bool flat = conv.kernel.d == 1 && conv.in.d == conv.out.d && conv.pads_begin.d == 0;
  const bool dst_last = conv.dst_layout == ir::ActivationLayout::kChannelsLast;
  return flat && has_taps(conv.kernel.h) && has_taps(conv.kernel.w) && conv.kernel.product() > 1 &&
         conv.strides == ones && conv.groups == 1 &&
         conv.src_layout == ir::ActivationLayout::kChannelsLast &&
         (dst_last || (conv.dilations == ones && conv.in.d == 1)) &&
         conv.accuracy == ir::Accuracy::kNormal;
}

WinogradAxis winograd_axis(int64_t taps, int64_t output_tile) {
  WinogradAxis axis;
  axis.taps = taps;
  axis.m = taps == 1 ? 1 : taps == 5 ? 2 : output_tile;
  axis.alpha = axis.m + taps - 1;
  return axis;
}

WinogradShape winograd_shape(const ir::Conv& conv, const Schedule& schedule) {
  WinogradShape shape;
  shape.h = winograd_axis(conv.kernel.h, schedule.output_tile);
  shape.w = winograd_axis(conv.kernel.w, schedule.output_tile);
  cut(shape.h, conv.dilations.h, conv.out.h);
  cut(shape.w, conv.dilations.w, conv.out.w);
  shape.points = shape.h.alpha * shape.w.alpha;
  shape.images = conv.n * conv.out.d;
  shape.tiles = shape.images;
  for (const int64_t count : {shape.h.phases, shape.w.phases, shape.h.tiles, shape.w.tiles})
    shape.tiles = product(shape.tiles, count);
  const int64_t wanted =
      schedule.tiles_per_task == 0 ? shape.tiles : std::min(schedule.tiles_per_task, shape.tiles);
  shape.tiles_per_task = round_up(std::max<int64_t>(1, wanted), schedule.tile_pixels);
  shape.tile_tasks = ceil_div(shape.tiles, shape.tiles_per_task);
  shape.blocks = ceil_div(conv.oc, schedule.oc_block());
  shape.blocks_per_task = std::max<int64_t>(
      1, schedule.blocks_per_task == 0 ? shape.blocks
                                       : std::min(schedule.blocks_per_task, shape.blocks));
  shape.block_tasks = ceil_div(shape.blocks, shape.blocks_per_task);
  shape.source_lanes = lanes_for(conv.ic, schedule.lanes);
  shape.channels = spread(round_up(conv.ic, shape.source_lanes));
  const int64_t blocks_kept = schedule.order == LoopOrder::kOcOuter ? 1 : shape.blocks_per_task;
  shape.outputs = spread(
      std::min(product(blocks_kept, schedule.oc_block()), round_up(conv.oc, schedule.lanes)));
  shape.patch_offset = schedule.lanes;
  shape.sources_offset = shape.patch_offset + shape.points * schedule.lanes;
  // The points of a tile are written and read side by side: an odd number of lines apart.
  shape.source_point = product(shape.tiles_per_task, shape.channels) | 16;
  shape.output_point = product(shape.tiles_per_task, shape.outputs) | 16;
  shape.products_offset =
      shape.sources_offset + round_up(product(shape.points, shape.source_point), schedule.lanes);
  shape.scratch_floats =
      static_cast<double>(shape.products_offset) +
      static_cast<double>(shape.points) * static_cast<double>(shape.output_point);
  if (shape.tiles >= kTooMany) shape.scratch_floats = std::numeric_limits<double>::infinity();
  return shape;
}

WeightsTransform::WeightsTransform(const WinogradAxis& h, const WinogradAxis& w)
    : h_(h), w_(w), gh_(matrix_of(h)), gw_(matrix_of(w)) {}

WeightsTransform::Matrix WeightsTransform::matrix_of(const WinogradAxis& axis) {
  Matrix g{};
  const auto last = static_cast<size_t>(axis.alpha - 1);
  g[last][static_cast<size_t>(axis.taps - 1)] = 1;
  for (size_t i = 0; i < last; ++i) {
    const Point point = axis.alpha == 4 ? kPoints4[i] : kPoints6[i];
    double power = 1 / point.divisor;
    for (size_t k = 0; k < static_cast<size_t>(axis.taps); ++k, power *= point.at) g[i][k] = power;
  }
  return g;
}

void WeightsTransform::operator()(const float* g, int64_t row, int64_t column, float* u) const {
  for (int64_t i = 0; i < h_.alpha; ++i) {
    std::array<double, 5> line{};  // row i of G g
    for (int64_t kw = 0; kw < w_.taps; ++kw)
      for (int64_t kh = 0; kh < h_.taps; ++kh)
        line[static_cast<size_t>(kw)] += gh_[static_cast<size_t>(i)][static_cast<size_t>(kh)] *
                                         static_cast<double>(g[kh * row + kw * column]);
    for (int64_t j = 0; j < w_.alpha; ++j) {
      double sum = 0;
      for (size_t kw = 0; kw < static_cast<size_t>(w_.taps); ++kw)
        sum += gw_[static_cast<size_t>(j)][kw] * line[kw];
      u[i * w_.alpha + j] = static_cast<float>(sum);
    }
  }
}

}  // namespace convgen::codegen
