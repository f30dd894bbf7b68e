// SPDX-License-Identifier: Apache-2.0
#include "codegen/cost_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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
// More where dst passes through L2 and a pixel is written in parts, far apart in time: so many for
// a part of one vector, falling with the square of its width (3x3 at 112x112 and 224x224, 1x1 at
// 56x56 and 112x112: 6x4 is 3 to 5 % ahead of 14x2 there, and behind it where dst stays in L2).
constexpr double kScatteredStoreCycles = 56;
// Or where blocks of lanes x lanes are transposed on the way out, however few of their pixels are
// real: log2(lanes) shuffles a vector and a store of part of a line.
double transposed_store_cycles(int lanes) { return std::log2(lanes) + kStoreCycles; }

// Where the blocks of channels follow each other in a tile, each of its pixels is a stream of its
// own out of L2, and costs its neighbours so much (depthwise 56x56x144: 113 us at 2 pixels, 120 at
// 5, 126 at 14).
constexpr double kStreamCycles = 0.1;
constexpr double kUnforeseenLines = 2;  // of a pixel; those behind have been fetched ahead
// A line that is read again for each row of taps, since it has left L1 in between. Not fitted
// closely: depthwise 14x14x512 takes 28.6 us at 14x1, where none stays, and 9.2 at 4x2.
constexpr double kLostLineCycles = 3;
// A permute and an addition, which compete for the ports of the FMAs.
constexpr double kRotationCycles = 1;

// What feeding a tile from L2 adds to its arithmetic. Weights are one stream and well prefetched;
// the pixels of src are many short ones. Fitted on 1x1 and 3x3 layers of ResNet-50, where 14x2 and
// 6x4 trade one for the other.
constexpr double kWeightsBytesPerCycle = 192;
constexpr double kSrcBytesPerCycle = 20;
constexpr double kPlaneBytesPerCycle = 40;
// A planar step against the same FMAs of a direct one: 1x1 and 1D layers whose channels come first
// reach 78 to 80 % of the rate where this model alone says 95.
constexpr double kPlanarStep = 1.15;

struct Tile {
  double pixels;
  double vectors;
};

// Distinct pixels of a row that a tile reads.
double row_pixels(const NestShape& shape, const Tile& tile) {
  const double span = (tile.pixels - 1) * static_cast<double>(shape.strides.w) +
                      static_cast<double>((shape.kernel.w - 1) * shape.dilations.w) + 1;
  return std::min(span, tile.pixels * static_cast<double>(shape.kernel.w));
}

// A tile's first look at src, where that comes from beyond L2: more lines at once than the core has
// in flight wait for each other. The blocks of output channels behind the first find them in L2.
double wait_cycles(const NestShape& shape, const Target& target, const Tile& tile) {
  const double floats = static_cast<double>(shape.n * shape.groups * shape.ic) *
                        static_cast<double>(shape.in.product());
  if (4 * floats <= 0.5 * static_cast<double>(target.l2_bytes)) return 0;
  const double rows = static_cast<double>(std::min(shape.kernel.h, shape.strides.h) *
                                          std::min(shape.kernel.d, shape.strides.d));
  const double pixel_lines = static_cast<double>(shape.ic) / static_cast<double>(kLineFloats);
  const double lines = rows * row_pixels(shape, tile) * std::min(pixel_lines, kUnforeseenLines);
  const double blocks = static_cast<double>(std::max<int64_t>(1, shape.oc_blocks));
  return std::max(0.0, lines - target.core.lines_in_flight) * target.core.line_wait_cycles / blocks;
}

// A way of L1 is a page, so that it is looked up while the address is translated.
constexpr int64_t kWayBytes = 4096;
constexpr int64_t kWayLines = kWayBytes / (4 * kLineFloats);

// The power of two that pixels lie apart in lines: they share one in so many sets of L1.
int64_t sets_apart(const NestShape& shape) {
  return shape.src.w % kLineFloats == 0 ? std::gcd(shape.src.w / kLineFloats, kWayLines) : 1;
}

// Lines of one vector of channels that L1 holds for the pixels of a tile of so many.
int64_t lines_held(const NestShape& shape, const Target& target, int vectors) {
  const int64_t ways = target.l1d_bytes / kWayBytes;
  return ways * kWayLines / std::max<int64_t>(sets_apart(shape), vectors);
}

// What the broadcasts of a tile pay where the lines of its pixels do not stay in L1 from one step
// to the next: 3x3 in 64 groups of 16 channels, 14x14x1024, where L1 holds 12, takes 423 us at 14x1
// and 285 at 8x1.
constexpr double kLostBroadcastCycles = 0.35;
double lost_broadcast_cycles(const NestShape& shape, const Target& target, const Tile& tile) {
  const bool stay = row_pixels(shape, tile) <= static_cast<double>(lines_held(shape, target, 1));
  return stay ? 0 : tile.pixels * kLostBroadcastCycles;
}

double direct_cycles(const NestShape& shape, const Target& target, const Schedule& schedule,
                     const Tile& tile) {
  const double rows = static_cast<double>(shape.kernel.d * shape.kernel.h);
  const double ic = static_cast<double>(shape.ic);
  const double steps = rows * static_cast<double>(shape.kernel.w) * ic;
  const double weights_bytes = 4 * steps * tile.vectors * schedule.lanes;
  const double src_bytes = 4 * rows * row_pixels(shape, tile) * ic;
  const bool weights_stay = weights_bytes <= 0.5 * static_cast<double>(target.l1d_bytes);
  const double step =
      step_cycles(target, tile.pixels, tile.vectors) + lost_broadcast_cycles(shape, target, tile);
  return steps * step + src_bytes / kSrcBytesPerCycle +
         (weights_stay ? 0 : weights_bytes / kWeightsBytesPerCycle) +
         wait_cycles(shape, target, tile);
}

// Shuffles a vector of K that are interleaved or taken apart.
double interleave_shuffles(double k) {
  if (k <= 1) return 0;
  return std::fmod(k, 2) == 0 ? 1 + interleave_shuffles(k / 2) : k - 1;
}

// What a tile's share of the stage costs, for all blocks of output channels: load, shuffles and
// store of a vector, and rows that several tasks stage.
double stage_cycles(const NestShape& shape, const Schedule& schedule, const Tile& tile) {
  if (!shape.stage) return 0;
  constexpr double kRowsOfTask = 16;
  const double step = static_cast<double>(shape.stage->phases) *
                      (shape.tensor.w == 1 ? 1 : static_cast<double>(shape.ic));
  const double shuffles = step <= static_cast<double>(kMaxInterleave) ? interleave_shuffles(step)
                                                                      : std::log2(schedule.lanes);
  const double floats = tile.pixels * static_cast<double>(shape.ic) *
                        static_cast<double>(shape.strides.w) *
                        static_cast<double>(shape.strides.h) * static_cast<double>(shape.kernel.d) *
                        (1 + static_cast<double>(shape.kernel.h - 1) / kRowsOfTask);
  const double blocks = static_cast<double>(std::max<int64_t>(1, shape.oc_blocks));
  return floats / schedule.lanes * (shuffles + 1) / blocks;
}

// A planar tile: runs of pixels x channels, src in long streams, weights broadcast. A run that
// begins anywhere mostly lies in two lines, and takes two loads.
double planar_cycles(const NestShape& shape, const Target& target, const Schedule& schedule,
                     const Tile& tile) {
  const double rows = static_cast<double>(shape.kernel.d * shape.kernel.h);
  const double ic = static_cast<double>(shape.ic);
  const double steps = rows * static_cast<double>(shape.kernel.w) * ic;
  const double runs = std::ceil(tile.pixels / schedule.lanes);
  const double step =
      std::max(step_cycles(target, runs, tile.vectors), (2 * runs + tile.vectors) / kLoads);
  const double src_bytes = 4 * rows * row_pixels(shape, tile) * ic;
  return std::max(steps * step * kPlanarStep, src_bytes / kPlaneBytesPerCycle) +
         stage_cycles(shape, schedule, tile);
}

// Lanes that span groups: sources are vectors, permuted once for each channel of a group.
double grouped_cycles(const NestShape& shape, const Target& target, const Tile& tile) {
  const double rows = static_cast<double>(shape.kernel.d * shape.kernel.h);
  const double taps = static_cast<double>(shape.kernel.w);
  const double ic = static_cast<double>(shape.ic);
  const double columns = row_pixels(shape, tile);
  const double fmas = tile.pixels * tile.vectors * taps * ic * (target.has_fma ? 1 : 2);
  const double loads = tile.vectors * (columns + taps * ic);
  const double permutes = shape.oc_per_group == 1 ? 0 : tile.vectors * columns * ic;
  // Permutes run on a port of the FMAs.
  const double row = std::max({(fmas + permutes) / kFmaPorts, loads / kLoads, permutes,
                               (fmas + loads + permutes) / kIssue, kFmaLatency * taps * ic});
  return rows * row;
}

// Square groups whose sums are rotated at the end: no permute until then.
double rotated_cycles(const NestShape& shape, const Target& target, const Tile& tile) {
  const double taps = static_cast<double>(shape.kernel.product());
  const double channels = static_cast<double>(shape.rotations);
  const double outputs = tile.pixels * tile.vectors;
  const double fmas = outputs * channels * (target.has_fma ? 1 : 2);
  const double loads = tile.vectors * channels + outputs;
  const double tap =
      std::max({fmas / kFmaPorts, loads / kLoads, (fmas + loads + 2) / kIssue, kFmaLatency});
  return taps * tap + outputs * (channels - 1) * kRotationCycles;
}

// Post-ops and store of one vector of outputs.
double store_cycles(const NestShape& shape, const Target& target, const Schedule& schedule,
                    const Tile& tile) {
  if (lanes_are_pixels(schedule.algorithm)) {
    const double shuffles = shape.dst.w == 1 ? 0 : interleave_shuffles(tile.vectors);
    return (2 * kStoreCycles + shuffles) / schedule.lanes;
  }
  if (shape.dst.c != 1)
    return transposed_store_cycles(schedule.lanes) * std::ceil(tile.pixels / schedule.lanes) *
           schedule.lanes / tile.pixels;
  const double dst_bytes = 4.0 * static_cast<double>(shape.n * shape.groups) *
                           static_cast<double>(shape.out.product()) * static_cast<double>(shape.oc);
  const bool scattered = dst_bytes > 0.5 * static_cast<double>(target.l2_bytes) &&
                         schedule.order != LoopOrder::kOcInner &&
                         tile.vectors * schedule.lanes < static_cast<double>(shape.oc);
  if (!scattered) return kStoreCycles;
  return kStoreCycles + (lanes_span_groups(schedule.algorithm)
                             ? target.core.scattered_store_cycles
                             : kScatteredStoreCycles / (tile.vectors * tile.vectors));
}

// Lines that rows of outputs, so many pixels of them, share with the row before, and their own.
// Those of a narrow tile bring their neighbours along, in and out; the more, the fewer sets there
// are (depthwise 56x56x128 with stride 2: 26.6 us at 6x1, 19.1 at 4x2).
double lines_used(const NestShape& shape, int vectors, double pixels) {
  const double rows = static_cast<double>(shape.kernel.d) *
                      (static_cast<double>((shape.kernel.h - 1) * shape.dilations.h) + 1);
  const double columns = (pixels - 1) * static_cast<double>(shape.strides.w) +
                         static_cast<double>((shape.kernel.w - 1) * shape.dilations.w) + 1;
  const bool crowded = shape.oc_per_group == 1 && sets_apart(shape) >= 4;
  return (rows * columns + pixels) * (vectors > 1 ? 1 : crowded ? 4 : 2);
}

// What a tile pays where its sources do not stay in L1 from one row of outputs to the next.
double lost_line_cycles(const NestShape& shape, const Target& target, const Schedule& schedule,
                        const Tile& tile) {
  if (tiles_in_l1(shape, target, schedule) > 0) return 0;
  const double rows = static_cast<double>(shape.kernel.d * shape.kernel.h);
  return tile.vectors * (rows * row_pixels(shape, tile) + tile.pixels) * kLostLineCycles;
}

// Src and dst of a tile whose lanes span groups: one row of src is new to L1 for each row of dst
// and stride.
double group_bytes(const NestShape& shape, const Schedule& schedule, const Tile& tile) {
  return tile.pixels * tile.vectors * 4.0 * schedule.lanes *
         (1 + static_cast<double>(shape.strides.w) * static_cast<double>(shape.strides.h));
}

double tile_cycles(const NestShape& shape, const Target& target, const Schedule& schedule,
                   const Tile& tile) {
  const double outputs = tile.pixels * tile.vectors;
  const double tap_rows =
      schedule.unroll >= Unroll::kTaps ? 0 : static_cast<double>(shape.kernel.d * shape.kernel.h);
  const CoreModel& core = target.core;
  const double overhead =
      schedule.algorithm == Algorithm::kDepthwise ? core.depthwise_tile_overhead : kTileOverhead;
  const double rest =
      overhead + tap_rows * kTapRowOverhead + outputs * store_cycles(shape, target, schedule, tile);
  // Taps outside the image are few; they are counted as if they were computed.
  if (lanes_are_pixels(schedule.algorithm))
    return planar_cycles(shape, target, schedule, tile) + rest;
  if (!lanes_span_groups(schedule.algorithm))
    return direct_cycles(shape, target, schedule, tile) + rest;
  const double products = schedule.algorithm == Algorithm::kRotated
                              ? rotated_cycles(shape, target, tile)
                              : grouped_cycles(shape, target, tile);
  const double bytes = group_bytes(shape, schedule, tile);
  if (schedule.order == LoopOrder::kOcInner)
    return std::max(products + rest,
                    bytes / core.memory_bytes + outputs * tile.pixels * kStreamCycles);
  return std::max(products, bytes / (tile.vectors > 1 ? core.wide_bytes : core.narrow_bytes)) +
         lost_line_cycles(shape, target, schedule, tile) + rest;
}

// A byte of weights that is read again, against one of src: they come as one long stream.
constexpr double kStreamedWeights = 0.5;

double bytes_of(int64_t elements) { return 4.0 * static_cast<double>(elements); }

}  // namespace

int max_tile_pixels(const Target& target, Algorithm algorithm, int vectors, int64_t row_taps,
                    int64_t ic_per_group) {
  const bool many = target.vector_registers >= 32;
  const int kind = many ? 0 : target.has_fma ? 1 : 2;  // 32 registers; 16; 16 without FMA
  if (algorithm == Algorithm::kRotated) {
    // Sums of every pixel, vector and rotation; a source each but for the rotation; weights, as
    // many as pay. In rows of more than three taps the last products of a tap are scheduled behind
    // the fence, and their operands live on in the next: 3x1 with groups of 8, 5x5, spilled.
    constexpr int64_t kRegisters[][2] = {{31, 29}, {15, 15}, {13, 11}};
    const int64_t registers = kRegisters[kind][row_taps > 3];
    const auto needed = [&](int64_t pixels) {
      return pixels * vectors * (ic_per_group + 1) + std::min(pixels, ic_per_group);
    };
    int pixels = 0;
    while (needed(pixels + 1) <= registers) ++pixels;
    return pixels;
  }
  if (lanes_span_groups(algorithm)) {
    // Accumulators, the weights of a row of taps as long as they fit, and a few for the sources.
    const int64_t weights = std::min<int64_t>(row_taps * ic_per_group, many ? 12 : 7);
    const int64_t free = (many ? 28 : 14) - vectors * weights;
    // Columns spread over groups come and go in numbers; depthwise ones are one load each.
    constexpr int kDepthwise[] = {14, 6, 4};
    constexpr int kGrouped[] = {9, 4, 3};
    const int most = algorithm == Algorithm::kGrouped ? kGrouped[kind] : kDepthwise[kind];
    const int64_t accumulators = std::min<int64_t>(free, most);
    return static_cast<int>(std::max<int64_t>(vectors == 1, accumulators / vectors));
  }
  // By vectors; 0 where no tile is worth its operands.
  constexpr int kPixels32[kMaxTileVectors] = {28, 14, 8, 6, 5, 4};
  constexpr int kPixels16[kMaxTileVectors] = {8, 6, 4, 2, 0, 0};
  constexpr int kPixels16WithoutFma[kMaxTileVectors] = {8, 4, 3, 2, 0, 0};
  const int* pixels = many ? kPixels32 : target.has_fma ? kPixels16 : kPixels16WithoutFma;
  return pixels[vectors - 1];
}

// A convolution and then one that reads its dst, Zen 5 with 32 MiB, through the caches and past
// them: 3x3 on pictures of 18 MB in both tensors 1716 us and 1767, of 24 MB 2490 and 2440, of 50 MB
// 5300 and 5100; Winograd 64 -> 64 on 18 MB 3830 and 3840, on 26 MB 5410 and 5300. Alone it seems
// to pay for the smallest too.
bool passes_l3(const ir::Conv& conv, const Target& target) {
  constexpr double kShare = 0.7;
  const double bytes =
      4 * (static_cast<double>(conv.src_elements()) + static_cast<double>(conv.dst_elements()));
  return bytes > kShare * static_cast<double>(target.l3_bytes);
}

int64_t tiles_in_l1(const NestShape& shape, const Target& target, const Schedule& schedule) {
  const bool shared = shape.out.h > 1 && shape.kernel.h > 1;
  if (!lanes_span_groups(schedule.algorithm) || !shared) return shape.row_tiles;
  const auto most = static_cast<double>(lines_held(shape, target, schedule.tile_vectors));
  int64_t tiles = 0;
  while (tiles < shape.row_tiles &&
         lines_used(shape, schedule.tile_vectors,
                    static_cast<double>((tiles + 1) * schedule.tile_pixels)) <= most)
    ++tiles;
  return tiles;
}

int max_planar_channels(const Target& target, int runs, int lanes, bool interleaved) {
  constexpr int kChannels32[kMaxPlanarRuns] = {24, 14, 9, 6};
  constexpr int kNarrow32[kMaxPlanarRuns] = {24, 13, 8, 6};
  // Beyond these the shuffles push sums out of the loops, or take longer than they save.
  constexpr int kInterleaved32[kMaxPlanarRuns] = {18, 12, 9, 6};
  constexpr int kNarrowInterleaved32[kMaxPlanarRuns] = {18, 10, 7, 6};
  constexpr int kChannels16[kMaxPlanarRuns] = {12, 5, 3, 2};
  if (target.vector_registers < 32) return kChannels16[runs - 1];
  const bool narrow = lanes < target.max_lanes;
  if (interleaved) return narrow ? kNarrowInterleaved32[runs - 1] : kInterleaved32[runs - 1];
  return narrow ? kNarrow32[runs - 1] : kChannels32[runs - 1];
}

double step_cycles(const Target& target, double pixels, double vectors) {
  const double fmas = pixels * vectors * (target.has_fma ? 1 : 2);
  const double loads = pixels + vectors;
  // A broadcast used once is folded into its FMA.
  const double extra = vectors > 1 ? loads : vectors;
  const double issue = (fmas + extra + 2) / kIssue;
  return std::max({fmas / kFmaPorts, kFmaLatency, loads / kLoads, issue});
}

double predict_cycles(const ir::Conv& conv, const Schedule& schedule, const Target& target) {
  const NestShape shape = nest_shape(conv, schedule);
  const PackedLayout layout = packed_layout(conv, schedule);
  const double rows = static_cast<double>(shape.n * shape.groups) *
                      static_cast<double>(shape.out.d) * static_cast<double>(shape.out.h);
  const double tiles = static_cast<double>(shape.out.w / schedule.tile_pixels);
  const double rest = static_cast<double>(shape.out.w % schedule.tile_pixels);
  const auto row_cycles = [&](double vectors) {
    double cycles = tiles * tile_cycles(shape, target, schedule,
                                        {static_cast<double>(schedule.tile_pixels), vectors});
    if (rest > 0) cycles += tile_cycles(shape, target, schedule, {rest, vectors});
    return cycles;
  };
  const double tail_vectors = static_cast<double>(layout.tail_width() / layout.lanes);
  double cycles = static_cast<double>(layout.full_blocks()) * row_cycles(schedule.tile_vectors);
  if (tail_vectors > 0) cycles += row_cycles(tail_vectors);
  return rows * cycles;
}

// The share of src that any tap reads. Pixels between strides are skipped where whole ones lie
// behind each other; of planes, rows are.
double touched_share(const ir::Conv& conv) {
  const auto share = [](int64_t kernel, int64_t stride) {
    return std::min(1.0, static_cast<double>(kernel) / static_cast<double>(stride));
  };
  const bool pixels = conv.src_layout == ir::ActivationLayout::kChannelsLast;
  return share(conv.kernel.d, conv.strides.d) * share(conv.kernel.h, conv.strides.h) *
         (pixels ? share(conv.kernel.w, conv.strides.w) : 1);
}

// oc-outer streams src once a block of output channels, unless it stays in L2; pixel-outer streams
// the weights once a task, unless they do.
Traffic predict_traffic(const ir::Conv& conv, const Schedule& schedule, const Target& target) {
  const double src = touched_share(conv) * bytes_of(conv.src_elements());
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
  // Of a src that fills L2 a part is gone before the next block asks for it.
  const double gone = std::clamp(src / cache - 1, 0.0, 1.0);
  traffic.oc_outer_bytes = weights + (1 + (blocks - 1) * gone) * src + scattered_dst;
  const double readings = weights > cache ? std::max(1.05, kStreamedWeights * tasks) : 1;
  traffic.pixel_outer_bytes = src + dst + readings * weights;
  return traffic;
}

}  // namespace convgen::codegen
