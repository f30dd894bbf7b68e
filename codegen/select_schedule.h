// SPDX-License-Identifier: Apache-2.0
// Chooses a Schedule: a pure function of the convolution, the target and the number of threads.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "codegen/schedule.h"
#include "ir/export.h"

namespace convgen::codegen {

struct Selection {
  Schedule schedule;
  double predicted_cycles = 0;  // of one run on one thread, by the cost model
  std::string reason;           // one line for `explain`
};

// The schedule the cost model likes best. Total: every valid convolution gets one that passes
// check_schedule. threads only shapes how work is cut into tasks; constants are the weights, where
// they are known.
CONVGEN_API Selection select_schedule(const ir::Conv& conv, const Target& target, int threads = 1,
                                      const ConstantWeights* constants = nullptr);

// Chains of post-ops that are long are emitted once, in a loop over the vectors of the tile.
Epilogue select_epilogue(const ir::Conv& conv);

// A tile with what is decided before tiles are compared; cycles of arithmetic by the cost model.
struct ScoredTile {
  Schedule schedule;
  double cycles = std::numeric_limits<double>::infinity();
};

// Every tile of every algorithm that can run conv, unsorted; those that select_schedule weighs
// are among them.
std::vector<ScoredTile> scored_tiles(const ir::Conv& conv, const Target& target);

// What is decided once a tile is: steps, order, unrolling, tasks and prefetch, within a comfortable
// size of code where there is a way. Passes check_schedule.
Schedule finish_schedule(const ir::Conv& conv, const Target& target, int threads, Schedule tile);

// Sends dst past the caches where nobody would find it there. Not where the chain adds a tensor,
// which may be dst.
void select_stores(const ir::Conv& conv, const Target& target, Schedule& schedule);

// The input channels a step of the innermost loop takes for a tile, of `steps` that follow each
// other: kw x ic where they lie behind each other, else ic.
int select_ic_unroll(const Schedule& schedule, const Target& target, int64_t steps);

}  // namespace convgen::codegen
