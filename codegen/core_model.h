// SPDX-License-Identifier: Apache-2.0
// CoreModel: what a core and its caches do in a cycle, as far as schedules depend on it. Plain data
// by microarchitecture, fitted to measured kernels; what features and sizes say is target.h's.
#pragma once

#include <limits>
#include <string_view>

namespace convgen::codegen {

// What the parts of a Winograd kernel take (select_winograd.cpp). The defaults were fitted, by
// least squares of relative errors, on 1,960 runs on a server core of Intel's of 2024: 70 to 110
// schedules each of 24 layers from 7x7x512 to 224x224x64, 3x3, 1x3, 3x1 and 5x5. The logarithms of
// the errors spread by 0.16.
struct WinogradCosts {
  double product_share = 0.96;  // of what the arithmetic of a direct tile alone takes
  // More, where each product needs a broadcast of its own: fitted 1.03, but 27x1 and 28x1 lose 13 %
  // to 7x3 and 10x2 (33x35x17, 56x56x256).
  double one_vector = 1.08;
  // Neither that nor reading again where a task is one group of tiles, and its weights pass L2 so
  // many times: each is read once, as it arrives (14x14x512: 16x1 takes 1,670 us, 8x2 1,720 to
  // 2,070; 14x14, 96 -> 208 channels: 142 and 139).
  double passing_weights = 2;
  // More, where the products of all channels lie in scratch before any is transformed.
  double pixel_outer = 1;
  double tile_overhead = 12;         // not fitted: a loop entered and left
  double transform_cycles = 5.7;     // a point of a vector of channels, in or out
  double transform_cycles_l1 = 5.7;  // the same where a task's points all stay in L1
  double read_bytes_l1 = 304;        // a cycle, of a block's weights, again for each tile
  double read_bytes_l2 = 153;        // the same of weights that pass half of L1
  double streamed_bytes = 13.7;      // a cycle, of weights fetched ahead
  double stream_shared = 0;          // more of its time from beyond L3, for each other thread
  // Whether weights are fetched ahead even where a task is one group of tiles, which could read
  // them as they arrive.
  bool one_group_prefetches = true;
  double stream_overlap = 0;       // of the shorter of stream and products: hidden in the other
  double kept_l2_share = 0.75;     // of L2: what transformed tiles may take
  double spilled_bytes = 4.4;      // a cycle, of tiles that leave it and come back
  double read_again_bytes = 40;    // a cycle, of sources that left L2, for each block
  double sources_l2_share = 0.45;  // of L2, beyond which they do
};

struct CoreModel {
  double memory_bytes = 10;  // a cycle, from beyond L2: 8 to 12 on servers of 2023 to 2025
  // Lines that may be on their way before more wait, and how long each does. Fitted on 1x1
  // 112x112x32->16: 75 us at 8x1, 81 at 12x1, 88 at 14x1, 94 at 28x1.
  double lines_in_flight = 16;
  double line_wait_cycles = 6;
  // Depthwise: bytes a cycle into tiles of one vector, which takes half of each pair of lines that
  // is fetched together, and of more.
  double narrow_bytes = 16;
  double wide_bytes = 32;
  double depthwise_tile_overhead = 30;  // cycles: branch to the segment, addresses, zeroing
  // Cycles more for a vector of outputs, where a pixel of dst is written in parts, far apart in
  // time, on its way through L2 (lanes that span groups).
  double scattered_store_cycles = 2;
  // Filters of more taps are a loop over rows of taps (depthwise).
  double depthwise_unrolled_taps = std::numeric_limits<double>::infinity();
  // Lanes of filters with known weights whose image comes from beyond L3; 0: as many as there are.
  int filter_lanes_from_memory = 0;
  // Of L2: where src and dst of a depthwise layer take more, they are walked in the order of memory
  // (56x56x144: 111 us against 125, stride 2: 124 against 149).
  double depthwise_in_order_share = 0.75;
  WinogradCosts winograd;
};

// By LLVM's name of a CPU ("znver5", "graniterapids"); the defaults for those not measured.
CoreModel core_model(std::string_view cpu);

}  // namespace convgen::codegen
