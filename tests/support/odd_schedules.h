// SPDX-License-Identifier: Apache-2.0
// Schedules nobody would select, in words that outrank the selected ones. Many are refused for the
// convolution at hand, by a message that begins with "schedule ".
#pragma once

#include <string>

#include "ir/conv.h"
#include "tests/support/random.h"

namespace convgen::testing {

// Each word said half of the time, few of them wise.
std::string draw_schedule(Random& random);

// For tasks that stage their sources, whose tiles are wide and of few channels.
std::string draw_staged_schedule(Random& random);

// What winograd takes, since convolutions drawn at large seldom are that, and these are too small
// to select it; and a schedule for it.
ir::Conv draw_winograd_conv(Random& random);
std::string draw_winograd_schedule(Random& random);

// For image filters, whose weights are known.
std::string draw_filter_schedule(Random& random);

}  // namespace convgen::testing
