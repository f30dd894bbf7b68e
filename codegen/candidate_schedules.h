// SPDX-License-Identifier: Apache-2.0
// The schedules worth timing for one convolution: the selected one, the cost model's next best, and
// variations along what the model does not weigh. Pure; what runs and what is fast is for others.
#pragma once

#include <cstdint>
#include <vector>

#include "codegen/schedule.h"
#include "codegen/target.h"
#include "ir/conv.h"

namespace convgen::codegen {

struct CandidateOptions {
  int best = 16;     // the selected one and what the cost model likes best beside it
  int sampled = 24;  // variations of the selected one, then random ones of all
  uint64_t seed = 1;
};

// The most promising first; [0] is exactly what select_schedule gives. All are distinct and pass
// check_schedule; all but [0] are of comfortable size. Fewer where there are no more. The same for
// the same arguments. A convolution without outputs has [0] alone.
std::vector<Schedule> candidate_schedules(const ir::Conv& conv, const Target& target, int threads,
                                          const CandidateOptions& options = {});

// Schedules that differ from `from` in one decision, legal and of comfortable size; the most
// different first.
std::vector<Schedule> schedule_variations(const ir::Conv& conv, const Target& target,
                                          const Schedule& from);

}  // namespace convgen::codegen
