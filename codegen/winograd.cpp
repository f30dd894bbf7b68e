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

// Of the points behind infinity, which is the first.
constexpr std::array<double, 5> kFinitePoints = {0, 1, -1, 2, -2};

// The product of a point's distances to the others of the first `count`, infinity among them.
double distances(int64_t point, int64_t count) {
  const double at = kFinitePoints[static_cast<size_t>(point - 1)];
  double product = 1;
  for (int64_t other = 1; other < count; ++other)
    if (other != point) product *= at - kFinitePoints[static_cast<size_t>(other - 1)];
  return product;
}

// The filter, as a polynomial, at each point, over the product of that point's distances to the
// others; at infinity its coefficient of the highest power.
WeightsTransform::Matrix weights_matrix(const WinogradAxis& axis) {
  WeightsTransform::Matrix g{};
  g[0][static_cast<size_t>(axis.taps - 1)] = 1;
  for (int64_t i = 1; i < axis.whole_alpha; ++i) {
    double power = 1 / distances(i, axis.whole_alpha);
    for (size_t k = 0; k < static_cast<size_t>(axis.taps); ++k) {
      g[static_cast<size_t>(i)][k] = power;
      power *= kFinitePoints[static_cast<size_t>(i - 1)];
    }
  }
  return g;
}

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

// Whole tiles, and the last one where it has fewer outputs in every phase.
std::vector<WinogradAxis> parts_of(const WinogradAxis& axis, int64_t out) {
  const int64_t rest = ceil_div(out, axis.phases) - (axis.tiles - 1) * axis.m;
  if (axis.tiles == 0 || rest == axis.m) return {axis};
  WinogradAxis whole = axis, last = axis;
  whole.tiles = axis.tiles - 1;
  last.m = rest;
  last.alpha = rest + axis.taps - 1;
  last.tiles = 1;
  last.first = whole.tiles;
  if (whole.tiles == 0) return {last};
  return {whole, last};
}

// Right border, inside, bottom, corner: the tiles that have a point lie behind each other.
std::vector<WinogradTiles> nested_kinds(const ir::Conv& conv, const WinogradShape& shape) {
  std::vector<WinogradTiles> kinds;
  for (const WinogradAxis& h : parts_of(shape.h, conv.out.h)) {
    std::vector<WinogradAxis> columns = parts_of(shape.w, conv.out.w);
    if (h.m == shape.h.m) std::ranges::reverse(columns);
    for (const WinogradAxis& w : columns) kinds.push_back({h, w});
  }
  return kinds;
}

// `count` points of a row from `column` on, and the tiles that have them.
WinogradPoints points_of(const WinogradShape& shape, int tile_pixels, int64_t row, int64_t column,
                         int64_t count) {
  WinogradPoints points{.first = column, .count = count};
  for (const WinogradTiles& kind : shape.kinds) {
    if (kind.h.alpha <= row || kind.w.alpha <= column) continue;
    if (points.tiles == 0) points.place = kind.place;
    points.tiles += kind.per_task;
  }
  // Register tiles of equal height, since a task's tiles seldom fill the highest.
  const int64_t groups = std::max<int64_t>(1, ceil_div(points.tiles, tile_pixels));
  points.tile_pixels = static_cast<int>(ceil_div(std::max<int64_t>(1, points.tiles), groups));
  return points;
}

// Where an axis' points go over to those that tiles at the border do not have.
std::vector<int64_t> steps_of(const WinogradAxis& axis, int64_t out) {
  const int64_t last = parts_of(axis, out).back().alpha;
  if (last == axis.alpha) return {0, axis.alpha};
  return {0, last, axis.alpha};
}

std::vector<WinogradPointRows> nested_point_rows(const ir::Conv& conv, const Schedule& schedule,
                                                 const WinogradShape& shape) {
  const std::vector<int64_t> rows = steps_of(shape.h, conv.out.h);
  const std::vector<int64_t> columns = steps_of(shape.w, conv.out.w);
  std::vector<WinogradPointRows> all;
  for (size_t i = 0; i + 1 < rows.size(); ++i) {
    WinogradPointRows group{rows[i + 1] - rows[i], shape.w.alpha, {}};
    for (size_t j = 0; j + 1 < columns.size(); ++j) {
      const WinogradPoints points =
          points_of(shape, schedule.tile_pixels, rows[i], columns[j], columns[j + 1] - columns[j]);
      if (points.tiles > 0) group.runs.push_back(points);
    }
    all.push_back(group);
  }
  return all;
}

// Tasks are runs of images and phases, whose tiles are of up to four kinds.
void cut_nested(const ir::Conv& conv, const Schedule& schedule, int64_t wanted,
                WinogradShape& shape) {
  const int64_t tiles = std::max<int64_t>(1, shape.h.tiles * shape.w.tiles);
  const int64_t planes = shape.tiles / tiles;
  const int64_t per_task = ceil_div(std::max<int64_t>(1, wanted), tiles);
  shape.tiles_per_task = per_task * tiles;
  shape.kinds = nested_kinds(conv, shape);
  int64_t place = 0;
  for (WinogradTiles& kind : shape.kinds) {
    const int64_t each = kind.h.tiles * kind.w.tiles;
    kind.all = planes * each;
    kind.per_task = per_task * each;
    kind.place = place;
    place += kind.per_task;
  }
  shape.point_rows = nested_point_rows(conv, schedule, shape);
  for (const WinogradPointRows& rows : shape.point_rows)
    for (const WinogradPoints& run : rows.runs)
      shape.places = std::max(shape.places, run.place + round_up(run.tiles, run.tile_pixels));
}

// Tasks are runs of tiles, all of which are computed as whole ones.
void cut_whole(const Schedule& schedule, int64_t wanted, WinogradShape& shape) {
  shape.tiles_per_task = round_up(std::max<int64_t>(1, wanted), schedule.tile_pixels);
  shape.places = shape.tiles_per_task;
  shape.kinds = {{shape.h, shape.w, shape.tiles, shape.tiles_per_task, 0}};
  shape.point_rows = {{1,
                       shape.points,
                       {{.first = 0,
                         .count = shape.points,
                         .place = 0,
                         .tiles = shape.tiles_per_task,
                         .tile_pixels = schedule.tile_pixels}}}};
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
  axis.alpha = axis.whole_alpha = axis.m + taps - 1;
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
  if (schedule.edges == Edges::kNested && shape.tiles < kTooMany)
    cut_nested(conv, schedule, wanted, shape);
  else
    cut_whole(schedule, wanted, shape);
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
  shape.source_point = product(shape.places, shape.channels) | 16;
  shape.output_point = product(shape.places, shape.outputs) | 16;
  shape.products_offset =
      shape.sources_offset + round_up(product(shape.points, shape.source_point), schedule.lanes);
  shape.scratch_floats =
      static_cast<double>(shape.products_offset) +
      static_cast<double>(shape.points) * static_cast<double>(shape.output_point);
  if (shape.tiles >= kTooMany) shape.scratch_floats = std::numeric_limits<double>::infinity();
  return shape;
}

double WinogradMatrices::input(int64_t point, int64_t source) const {
  // Coefficients of the product of (x - q) over the other points q, the constant first.
  std::array<double, 7> coefficients = {1};
  for (int64_t other = 1; other < axis_.alpha; ++other) {
    if (other == point) continue;
    for (size_t k = coefficients.size() - 1; k > 0; --k)
      coefficients[k] =
          coefficients[k - 1] - kFinitePoints[static_cast<size_t>(other - 1)] * coefficients[k];
    coefficients[0] *= -kFinitePoints[static_cast<size_t>(other - 1)];
  }
  return coefficients[static_cast<size_t>(source)];
}

double WinogradMatrices::output(int64_t output, int64_t point) const {
  if (point == 0) return output == axis_.m - 1 ? 1 : 0;
  // Weights are over the distances of a whole tile's points.
  double factor = distances(point, axis_.whole_alpha) / distances(point, axis_.alpha);
  for (int64_t k = 0; k < output; ++k) factor *= kFinitePoints[static_cast<size_t>(point - 1)];
  return factor;
}

WeightsTransform::WeightsTransform(const WinogradAxis& h, const WinogradAxis& w)
    : h_(h), w_(w), gh_(weights_matrix(h)), gw_(weights_matrix(w)) {}

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
