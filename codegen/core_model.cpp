// SPDX-License-Identifier: Apache-2.0
#include "codegen/core_model.h"

#include <limits>

namespace convgen::codegen {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// Fitted on 2,640 runs, 110 schedules each of the same 24 layers, for small errors and so that what
// it likes best is good: 2.9 % slower than the best of its samples in the mean, 5 % at most on 21
// layers. Products seem to take less than they can, since transforms and streams pass behind them.
constexpr WinogradCosts kZen5Winograd = {
    .product_share = 0.83,
    .one_vector = 1.03,
    .passing_weights = kNever,
    .pixel_outer = 1.15,
    .tile_overhead = 1.5,
    .transform_cycles = 3.6,
    .transform_cycles_l1 = 2.2,
    .read_bytes_l1 = 330,
    .read_bytes_l2 = 195,
    .streamed_bytes = 16.8,
    .stream_shared = 0.5,  // not fitted: 37 MB take 1,240 us on one thread, 900 where two read all
    .one_group_prefetches = false,  // 14x14x256, two threads: 188 us with, 161 without
    .stream_overlap = 0.88,
    .kept_l2_share = 0.42,
    .spilled_bytes = 16.8,
    .read_again_bytes = 34,
    .sources_l2_share = 0.13,
};

// Depthwise layers beyond L2 move 19 to 27 bytes a cycle in any order; walking them in that of
// memory reads their weights again for each tile, and is 25 to 35 % slower (56x56x144: 50 us
// against 35). Tiles of one vector are 10 to 20 % ahead of wider ones, 4 to 14 pixels alike. Rows
// of five taps as a loop: 28x28x240 34 us against 36, 56x56x144 with stride 2 25 against 29; of
// three taps it makes no difference.
constexpr CoreModel kZen5 = {
    .memory_bytes = 25,
    .lines_in_flight = 32,
    .line_wait_cycles = 6,
    .narrow_bytes = 28,
    .wide_bytes = 24,
    .depthwise_tile_overhead = 4,
    .scattered_store_cycles = 0,
    .depthwise_unrolled_taps = 15,
    // Of loads of 64 bytes most lie in two lines, and wait for both (edge, 1080x1920x3: 1,950 us
    // with 16 lanes and 4 rows at a time, 1,440 with 8 rows, 1,200 with 8 lanes and 8 rows).
    .filter_lanes_from_memory = 8,
    .depthwise_in_order_share = kNever,
    .winograd = kZen5Winograd,
};

}  // namespace

CoreModel core_model(std::string_view cpu) { return cpu == "znver5" ? kZen5 : CoreModel(); }

}  // namespace convgen::codegen
