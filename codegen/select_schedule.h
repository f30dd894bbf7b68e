// SPDX-License-Identifier: Apache-2.0
// Chooses a Schedule: a pure function of the convolution, the target and the number of threads.
#pragma once

#include <string>

#include "codegen/schedule.h"

namespace convgen::codegen {

struct Selection {
  Schedule schedule;
  double predicted_cycles = 0;  // of one run on one thread, by the cost model
  std::string reason;           // one line for `explain`
};

// The schedule the cost model likes best. Total: every valid convolution gets one that passes
// check_schedule. threads only shapes how work is cut into tasks.
Selection select_schedule(const ir::Conv& conv, const Target& target, int threads = 1);

// Chains of post-ops that are long are emitted once, in a loop over the vectors of the tile.
Epilogue select_epilogue(const ir::Conv& conv);

// The input channels a step of the innermost loop takes for a tile, of `steps` that follow each
// other: kw x ic where they lie behind each other, else ic.
int select_ic_unroll(const Schedule& schedule, const Target& target, int64_t steps);

}  // namespace convgen::codegen
