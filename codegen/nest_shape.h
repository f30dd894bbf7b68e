// SPDX-License-Identifier: Apache-2.0
// NestShape: the convolution as the loop nest sees it, after rows are merged and depthwise channels
// take the place of output channels. Geometry only; every decision is already in the Schedule.
#pragma once

#include <cstdint>
#include <optional>

#include "codegen/schedule.h"
#include "ir/conv.h"

namespace convgen::codegen {

// Distances between neighbours along each axis of a dense tensor, in floats.
struct ActivationStrides {
  int64_t n = 0, c = 0, d = 0, h = 0, w = 0;
};

// steps * pitch + rest as emitted arithmetic has it, modulo 2^64. How far a tap lies outside of the
// image may pass int64 in floats: nothing is read there, and the sums that make an address which is
// read come out right.
constexpr int64_t wrapping_offset(int64_t steps, int64_t pitch, int64_t rest = 0) {
  return static_cast<int64_t>(static_cast<uint64_t>(steps) * static_cast<uint64_t>(pitch) +
                              static_cast<uint64_t>(rest));
}

ActivationStrides dense_strides(ir::ActivationLayout layout, int64_t channels,
                                const ir::Extent3& size);

// The sources of a task, copied so that neighbouring outputs of a row see neighbouring floats:
// [kd][row][ic][phase][plane], where phase p of a row holds its columns p, p + stride, ...
struct StageShape {
  int64_t phases = 1;  // stride along the width
  int64_t rows = 0;    // source rows of a full task
  int64_t plane = 0;   // floats of a phase, whole vectors
};

struct NestShape {
  int64_t n = 1;
  int64_t groups = 1;
  int64_t ic = 0;            // per group
  int64_t oc = 0;            // per group of the nest: all channels where lanes span groups
  int64_t oc_per_group = 0;  // of the convolution
  int64_t rotations = 1;     // sums kept for each vector of outputs until a tile is finished
  ir::Extent3 in, out, kernel, strides, dilations, pads_begin;
  ActivationStrides src, dst;  // src: where taps read, in the stage if there is one
  ActivationStrides tensor;    // src as the caller has it
  std::optional<StageShape> stage;
  float pad_value = 0;

  // Tasks: how often each loop around a task runs.
  int64_t oc_blocks = 1;    // blocks of output channels, the last perhaps narrower
  int64_t oh_blocks = 1;    // runs of rows_per_task rows
  int64_t row_tiles = 1;    // tiles in a row
  int64_t tile_blocks = 1;  // runs of tiles_per_task tiles

  bool oc_in_task = false;  // kOcOuter: a task does one block of output channels
  int64_t tasks() const {
    return n * groups * (oc_in_task ? oc_blocks : 1) * out.d * oh_blocks * tile_blocks;
  }
};

// Floats in a cache line.
inline constexpr int64_t kLineFloats = 16;

// How far the prefetch of the next block of weights advances in one tap of one tile.
int64_t prefetch_floats_per_tap(const Schedule& schedule, const NestShape& shape);

// True where all output pixels of an image may be treated as one row: a 1x1 filter that visits
// every pixel, no pads.
bool can_merge_rows(const ir::Conv& conv);

// True where the depthwise algorithm applies: channel c of dst sees channel c of src alone, and
// channels lie behind each other in src.
bool can_run_depthwise(const ir::Conv& conv);

// True where whole groups fill a vector of `lanes` outputs, and their sources fit one vector.
bool can_run_grouped(const ir::Conv& conv, int lanes);

// True where groups have as many outputs as inputs, whole groups fill a vector, and the order of a
// sum is free.
bool can_run_rotated(const ir::Conv& conv, int lanes);

// True where neighbouring outputs of a row see neighbouring sources.
bool can_run_planar(const ir::Conv& conv);

// True where the sources of neighbouring outputs can be brought together.
bool can_run_staged(const ir::Conv& conv);

// True where other channels lie between the pixels of one in dst.
bool interleaves_dst(const ir::Conv& conv);

// Vectors that are taken apart into as many others in registers, or put together from them.
inline constexpr int64_t kMaxInterleave = 8;

// Floats of scratch a thread needs for one task; 0 without a stage. As a double, since it may pass
// what fits.
double stage_floats(const ir::Conv& conv, const Schedule& schedule);

// 64 MiB: more than any cache a stage is meant for.
inline constexpr double kMaxScratchFloats = 1 << 24;

NestShape nest_shape(const ir::Conv& conv, const Schedule& schedule);

}  // namespace convgen::codegen
