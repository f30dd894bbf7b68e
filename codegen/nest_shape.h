// SPDX-License-Identifier: Apache-2.0
// NestShape: the convolution as the loop nest sees it, after rows are merged and depthwise channels
// take the place of output channels. Geometry only; every decision is already in the Schedule.
#pragma once

#include <cstdint>

#include "codegen/schedule.h"
#include "ir/conv.h"

namespace convgen::codegen {

// Distances between neighbours along each axis of a dense tensor, in floats.
struct ActivationStrides {
  int64_t n = 0, c = 0, d = 0, h = 0, w = 0;
};

struct NestShape {
  int64_t n = 1;
  int64_t groups = 1;
  int64_t ic = 0;            // per group
  int64_t oc = 0;            // per group of the nest: all channels where lanes span groups
  int64_t oc_per_group = 0;  // of the convolution
  int64_t rotations = 1;     // sums kept for each vector of outputs until a tile is finished
  ir::Extent3 in, out, kernel, strides, dilations, pads_begin;
  ActivationStrides src, dst;
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

// True where neighbouring outputs of a row see neighbouring sources, in both tensors.
bool can_run_planar(const ir::Conv& conv);

NestShape nest_shape(const ir::Conv& conv, const Schedule& schedule);

}  // namespace convgen::codegen
