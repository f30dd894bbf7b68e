// SPDX-License-Identifier: Apache-2.0
// The schedule of an image filter with known weights, its rules and its cost model.
#pragma once

#include <optional>

#include "codegen/filter_plan.h"
#include "codegen/select_schedule.h"
#include "ir/status.h"

namespace convgen::codegen {

// Cycles of one run on one thread: arithmetic, or memory where that takes longer.
double predict_filter_cycles(const ir::Conv& conv, const FilterPlan& plan, bool assume_finite,
                             const Schedule& schedule, const Target& target);

// Ok where the filter emitter can follow the schedule: see check_schedule.
Status check_filter(const Schedule& schedule, const ir::Conv& conv, const Target& target,
                    const ConstantWeights* constants);

// The best filter schedule; none where the convolution is no image filter.
std::optional<Selection> select_filter(const ir::Conv& conv, const ConstantWeights& constants,
                                       const Target& target, int threads);

}  // namespace convgen::codegen
