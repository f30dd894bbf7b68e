// SPDX-License-Identifier: Apache-2.0
#include "codegen/cost_model.h"

#include <algorithm>

#include "codegen/nest_shape.h"
#include "codegen/packed_layout.h"

namespace convgen::codegen {
namespace {

// A core of 2018 or later: two FMA ports of latency 4, two loads, six instructions a cycle.
constexpr double kFmaPorts = 2;
constexpr double kFmaLatency = 4;
constexpr double kLoads = 2;
constexpr double kIssue = 6;
constexpr double kTileOverhead = 30;   // branch to the segment, addresses, zeroing
constexpr double kTapRowOverhead = 6;  // a loop over kh entered and left
constexpr double kStoreCycles = 1.5;   // post-ops and store of one vector

// Cycles of one step (one tap, one input channel) of a tile.
double step_cycles(const Target& target, Algorithm algorithm, double pixels, double vectors) {
  const double fmas = pixels * vectors * (target.has_fma ? 1 : 2);
  const bool depthwise = algorithm == Algorithm::kDepthwise;
  // A broadcast used once is folded into its FMA; a depthwise source is shared by about two taps.
  const double loads = depthwise ? vectors * (pixels * 0.6 + 1) : pixels + vectors;
  const double extra = depthwise || vectors > 1 ? loads : vectors;
  const double issue = (fmas + extra + 2) / kIssue;
  return std::max({fmas / kFmaPorts, kFmaLatency, loads / kLoads, issue});
}

double tile_cycles(const NestShape& shape, const Target& target, const Schedule& schedule,
                   double pixels, double vectors) {
  const double rows = static_cast<double>(shape.kernel.d * shape.kernel.h);
  const double steps = static_cast<double>(shape.kernel.w) * static_cast<double>(shape.ic);
  // Taps outside the image are few; they are counted as if they were computed.
  return kTileOverhead + rows * kTapRowOverhead +
         rows * steps * step_cycles(target, schedule.algorithm, pixels, vectors) +
         pixels * vectors * kStoreCycles;
}

double bytes_of(int64_t elements) { return 4.0 * static_cast<double>(elements); }

}  // namespace

int max_tile_pixels(const Target& target, Algorithm algorithm, int vectors) {
  if (algorithm == Algorithm::kDepthwise) {
    const int accumulators = target.vector_registers >= 32 ? 20 : target.has_fma ? 8 : 6;
    return std::max(1, accumulators / vectors);
  }
  if (target.vector_registers >= 32) {
    constexpr int kPixels[] = {28, 14, 9, 6};
    return kPixels[vectors - 1];
  }
  constexpr int kPixels[] = {8, 6, 4, 2};
  constexpr int kPixelsWithoutFma[] = {8, 5, 3, 2};
  return target.has_fma ? kPixels[vectors - 1] : kPixelsWithoutFma[vectors - 1];
}

double predict_cycles(const ir::Conv& conv, const Schedule& schedule, const Target& target) {
  const NestShape shape = nest_shape(conv, schedule);
  const PackedLayout layout = packed_layout(conv, schedule);
  const double rows = static_cast<double>(shape.n * shape.groups) *
                      static_cast<double>(shape.out.d) * static_cast<double>(shape.out.h);
  const double tiles = static_cast<double>(shape.out.w / schedule.tile_pixels);
  const double rest = static_cast<double>(shape.out.w % schedule.tile_pixels);
  const auto row_cycles = [&](double vectors) {
    double cycles = tiles * tile_cycles(shape, target, schedule, schedule.tile_pixels, vectors);
    if (rest > 0) cycles += tile_cycles(shape, target, schedule, rest, vectors);
    return cycles;
  };
  const double tail_vectors = static_cast<double>(layout.tail_width() / layout.lanes);
  double cycles = static_cast<double>(layout.full_blocks()) * row_cycles(schedule.tile_vectors);
  if (tail_vectors > 0) cycles += row_cycles(tail_vectors);
  return rows * cycles;
}

// oc-outer streams src once a block of output channels, unless it stays in L2; pixel-outer streams
// the weights once a task, unless they do.
Traffic predict_traffic(const ir::Conv& conv, const Schedule& schedule, const Target& target) {
  const double src = bytes_of(conv.src_elements());
  const double dst = bytes_of(conv.dst_elements());
  const double weights = bytes_of(conv.weights_elements());
  const double cache = 0.5 * static_cast<double>(target.l2_bytes);
  const NestShape shape = nest_shape(conv, schedule);
  const double blocks = static_cast<double>(std::max<int64_t>(shape.oc_blocks, 1));
  const double tasks = std::max(1.0, (src + dst) / (0.25 * static_cast<double>(target.l2_bytes)));
  Traffic traffic;
  // Stores of a part of each pixel's channels touch every line and page of dst once a block.
  const double scattered_dst = conv.dst_layout == ir::ActivationLayout::kChannelsLast &&
                                       schedule.oc_block() < shape.oc && dst > cache
                                   ? dst * 2
                                   : dst;
  traffic.oc_outer_bytes = weights + (src > cache ? blocks : 1) * src + scattered_dst;
  traffic.pixel_outer_bytes = src + dst + (weights > cache ? tasks : 1) * weights;
  return traffic;
}

}  // namespace convgen::codegen
