// SPDX-License-Identifier: Apache-2.0
// Predicts what a schedule costs, in core cycles and bytes, without running it. Pure arithmetic on
// Conv x Schedule x Target; the constants carry where they come from.
#pragma once

#include "codegen/nest_shape.h"
#include "codegen/schedule.h"
#include "codegen/target.h"
#include "ir/conv.h"

namespace convgen::codegen {

// Vectors of output channels in the widest tile that is ever chosen.
inline constexpr int kMaxTileVectors = 6;

// The largest tile whose accumulators stay in registers beside its operands, without a spill in
// the emitted asm (tests/codegen/spill_test.cpp compiles every one). Where lanes span groups, it
// depends on the taps of a row and the input channels of a group. 0: none with so many vectors.
int max_tile_pixels(const Target& target, Algorithm algorithm, int vectors, int64_t row_taps = 3,
                    int64_t ic_per_group = 1);

// The same for a planar tile of so many runs of pixels: its most channels, by default on the widest
// vectors. interleaved: the vectors of all channels are, on their way into dst.
inline constexpr int kMaxPlanarRuns = 4;
int max_planar_channels(const Target& target, int runs, int lanes = 16, bool interleaved = false);

// Whether src and dst are too large for a reader to find dst in L3, so that it may go past the
// caches: without its lines being fetched to be overwritten.
bool passes_l3(const ir::Conv& conv, const Target& target);

// Neighbouring tiles of a row whose sources stay in L1 until the next row of outputs reads them
// again, where lanes span groups; 0: not even one's do. All tiles of the row where nothing is
// shared.
int64_t tiles_in_l1(const NestShape& shape, const Target& target, const Schedule& schedule);

// Cycles of one step (one tap, one input channel) of a direct tile, its operands in L1.
double step_cycles(const Target& target, double pixels, double vectors);

// Cycles of arithmetic of one run on one thread, caches aside.
double predict_cycles(const ir::Conv& conv, const Schedule& schedule, const Target& target);

// Bytes that pass the last private cache, by loop order.
struct Traffic {
  double oc_outer_bytes = 0;
  double pixel_outer_bytes = 0;
};
Traffic predict_traffic(const ir::Conv& conv, const Schedule& schedule, const Target& target);

}  // namespace convgen::codegen
