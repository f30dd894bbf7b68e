// SPDX-License-Identifier: Apache-2.0
#include "codegen/nest_shape.h"

#include <algorithm>

#include "codegen/row_plan.h"

namespace convgen::codegen {

using ir::ActivationLayout;

ActivationStrides dense_strides(ActivationLayout layout, int64_t channels,
                                const ir::Extent3& size) {
  ActivationStrides s;
  s.n = channels * size.product();
  if (layout == ActivationLayout::kChannelsLast) {
    s.c = 1;
    s.w = channels;
  } else {
    s.c = size.product();
    s.w = 1;
  }
  s.h = s.w * size.w;
  s.d = s.h * size.h;
  return s;
}

namespace {

// Of a >= 0, however large a + b is.
int64_t ceil_div(int64_t a, int64_t b) { return a == 0 ? 0 : (a - 1) / b + 1; }

// An axis with one output has no stride, one with one tap no dilation: whatever they say, they are
// never multiplied with anything but 0, and must not overflow on the way.
void drop_unused_steps(NestShape& shape) {
  for (int axis = 0; axis < ir::kMaxSpatialRank; ++axis) {
    if (shape.out[axis] <= 1) shape.strides[axis] = 1;
    if (shape.kernel[axis] == 1) shape.dilations[axis] = 1;
  }
}

// Rows of an image follow each other without a gap in either layout, and so do images where the
// channels come last in both tensors.
void merge_rows(const ir::Conv& conv, NestShape& shape) {
  const bool merge_images = conv.src_layout == ActivationLayout::kChannelsLast &&
                            conv.dst_layout == ActivationLayout::kChannelsLast;
  const int64_t pixels = conv.out.product() * (merge_images ? conv.n : 1);
  if (merge_images) shape.n = 1;
  shape.in = shape.out = {1, 1, pixels};
}

}  // namespace

bool can_merge_rows(const ir::Conv& conv) {
  const ir::Extent3 ones{1, 1, 1};
  return conv.kernel == ones && conv.strides == ones && !conv.has_padding();
}

int64_t prefetch_floats_per_tap(const Schedule& schedule, const NestShape& shape) {
  return shape.ic / schedule.ic_unroll * schedule.prefetch * kLineFloats;
}

bool can_run_depthwise(const ir::Conv& conv) {
  return conv.groups > 1 && conv.groups == conv.ic && conv.groups == conv.oc &&
         conv.src_layout == ActivationLayout::kChannelsLast;
}

bool can_run_grouped(const ir::Conv& conv, int lanes) {
  const int64_t oc = conv.oc_per_group();
  return conv.groups > 1 && oc > 0 && lanes % oc == 0 && conv.ic_per_group() <= oc &&
         conv.src_layout == ActivationLayout::kChannelsLast;
}

bool can_run_rotated(const ir::Conv& conv, int lanes) {
  return conv.accuracy == ir::Accuracy::kNormal && can_run_grouped(conv, lanes) &&
         conv.ic_per_group() == conv.oc_per_group();
}

bool can_run_planar(const ir::Conv& conv) {
  const bool planes = conv.src_layout == ActivationLayout::kChannelsFirst || conv.ic == 1;
  return planes && (conv.strides.w == 1 || conv.out.w <= 1);
}

// Neighbouring pixels of one channel are taken apart by shuffles, whose number grows with the
// stride; blocks of channels by transposing, at any stride.
bool can_run_staged(const ir::Conv& conv) {
  const bool blocks = conv.src_layout == ActivationLayout::kChannelsLast && conv.ic > 1;
  return blocks || conv.strides.w <= kMaxInterleave;
}

bool interleaves_dst(const ir::Conv& conv) {
  return conv.dst_layout == ActivationLayout::kChannelsLast && conv.oc > 1;
}

namespace {

// A plane is whole vectors long, and not a round number of them: rows a power of two apart would
// share the sets of a cache.
StageShape stage_shape(const NestShape& shape, const Schedule& schedule) {
  constexpr int64_t kRoundFloats = 256;
  StageShape stage;
  stage.phases = shape.strides.w;
  const int64_t rows = std::min(schedule.rows_per_task, shape.out.h);
  stage.rows = (rows - 1) * shape.strides.h + (shape.kernel.h - 1) * shape.dilations.h + 1;
  stage.plane = ceil_div(ceil_div(shape.in.w, stage.phases), schedule.lanes) * schedule.lanes;
  if (stage.plane % kRoundFloats == 0) stage.plane += schedule.lanes;
  return stage;
}

ActivationStrides strides_of(const StageShape& stage, int64_t ic) {
  ActivationStrides s;
  s.w = 1;
  s.c = stage.phases * stage.plane;
  s.h = ic * s.c;
  s.d = stage.rows * s.h;
  return s;
}

}  // namespace

namespace {

// All but the stage.
NestShape shape_without_stage(const ir::Conv& conv, const Schedule& schedule) {
  NestShape shape;
  const bool spans = lanes_span_groups(schedule.algorithm);
  shape.n = conv.n;
  shape.groups = spans ? 1 : conv.groups;
  shape.ic = conv.ic_per_group();
  shape.oc = spans ? conv.oc : conv.oc_per_group();
  shape.oc_per_group = conv.oc_per_group();
  if (schedule.algorithm == Algorithm::kRotated) shape.rotations = shape.ic;
  shape.in = conv.in;
  shape.out = conv.out;
  shape.kernel = conv.kernel;
  shape.strides = conv.strides;
  shape.dilations = conv.dilations;
  shape.pads_begin = conv.pads_begin;
  shape.pad_value = conv.pad_value;
  shape.tensor = dense_strides(conv.src_layout, conv.ic, conv.in);
  shape.dst = dense_strides(conv.dst_layout, conv.oc, conv.out);
  drop_unused_steps(shape);
  if (schedule.merge_rows) merge_rows(conv, shape);
  shape.src = shape.tensor;

  shape.oc_blocks = ceil_div(shape.oc, schedule.oc_block());
  shape.oc_in_task = schedule.order == LoopOrder::kOcOuter;
  shape.row_tiles = count_row_tiles(shape, schedule);
  const int64_t rows = std::max<int64_t>(1, schedule.rows_per_task);
  shape.oh_blocks = ceil_div(shape.out.h, rows);
  shape.tile_blocks =
      schedule.tiles_per_task == 0 ? 1 : ceil_div(shape.row_tiles, schedule.tiles_per_task);
  return shape;
}

}  // namespace

double stage_floats(const ir::Conv& conv, const Schedule& schedule) {
  if (schedule.algorithm != Algorithm::kStaged) return 0;
  const NestShape shape = shape_without_stage(conv, schedule);
  const StageShape stage = stage_shape(shape, schedule);
  return static_cast<double>(shape.kernel.d) * static_cast<double>(stage.rows) *
         static_cast<double>(shape.ic) * static_cast<double>(stage.phases) *
         static_cast<double>(stage.plane);
}

NestShape nest_shape(const ir::Conv& conv, const Schedule& schedule) {
  NestShape shape = shape_without_stage(conv, schedule);
  if (schedule.algorithm == Algorithm::kStaged) {
    shape.stage = stage_shape(shape, schedule);
    shape.src = strides_of(*shape.stage, shape.ic);
  }
  return shape;
}

}  // namespace convgen::codegen
