// SPDX-License-Identifier: Apache-2.0
// The order in which a kernel reads its weights: blocks of output channels, then taps, then input
// channels, then the channels of the block, padded with zeros to whole vectors.
#pragma once

#include <cstdint>
#include <string>

#include "codegen/schedule.h"
#include "ir/conv.h"

namespace convgen::codegen {

// Packed weights are [group][block of oc][kd][kh][kw][ic per group][lanes x vectors]; the last
// block of a group holds just the vectors it needs. Where lanes span groups, the output channels of
// all groups are those of a single one. Where sums are rotated (emit_rotated.h), row (tap, r)
// holds, in the lane of channel j of a group of C, the weight from input j to output (j + r) mod C.
struct PackedLayout {
  int64_t groups = 1;
  int64_t oc_per_group = 0;  // real output channels in a group
  int64_t oc_block = 0;      // channels in a full block
  int64_t lanes = 0;
  int64_t steps = 0;  // taps x ic per group: rows of a block
  bool rotated = false;
  int winograd = 0;  // outputs of a tile along an axis; 0: plain weights

  int64_t full_blocks() const { return oc_per_group / oc_block; }
  // Channels of the last block, rounded up to whole vectors; 0 where all blocks are full.
  int64_t tail_width() const;
  int64_t group_elements() const { return steps * (full_blocks() * oc_block + tail_width()); }
  int64_t elements() const { return groups * group_elements(); }
};

PackedLayout packed_layout(const ir::Conv& conv, const Schedule& schedule);

// Equal tags, equal order: "direct:16x2:g1:oc64:k3x3x64".
std::string packed_tag(const ir::Conv& conv, const Schedule& schedule);

// Distances in the caller's weights, in floats.
struct WeightsStrides {
  int64_t oc = 0, ic = 0, tap = 0;
};
WeightsStrides weights_strides(const ir::Conv& conv);

// weights [Conv's layout] -> packed [layout.elements()], tails zero-filled.
void pack_weights(const ir::Conv& conv, const PackedLayout& layout, const float* weights,
                  float* packed);

}  // namespace convgen::codegen
