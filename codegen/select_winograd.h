// SPDX-License-Identifier: Apache-2.0
// Where Winograd convolution is worth considering, its cost model, and its best schedule.
#pragma once

#include <optional>

#include "codegen/select_schedule.h"

namespace convgen::codegen {

// Cycles of one run on one thread, the way of weights and transformed tiles through memory
// included.
double predict_winograd_cycles(const ir::Conv& conv, const Schedule& schedule,
                               const Target& target);

// Lines of the next point's weights to fetch a step, between the tiles of the one before.
int select_weights_prefetch(const ir::Conv& conv, const Target& target, const Schedule& schedule);

// The best winograd schedule; none where the convolution has none, or too little to save.
std::optional<Selection> select_winograd(const ir::Conv& conv, const Target& target, int threads);

}  // namespace convgen::codegen
