// SPDX-License-Identifier: Apache-2.0
#include "codegen/select_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>

#include "codegen/code_size.h"
#include "codegen/cost_model.h"
#include "codegen/nest_shape.h"
#include "codegen/row_plan.h"
#include "codegen/select_filter.h"
#include "codegen/select_winograd.h"

namespace convgen::codegen {
namespace {

// Few products a byte: where src and dst do not stay in L2, the order of memory counts for more
// than keeping weights in registers (32 groups of 4 174 us against 250; depthwise: core_model.h).
// But then each tile reads all weights, which must stay in L1 (28x28x256 in groups of 8, 74 KiB:
// 175 us against 109).
bool walks_in_order(const ir::Conv& conv, const Target& target, Algorithm algorithm) {
  constexpr double kGroupedShare = 0.75;
  const double bytes =
      4.0 * (static_cast<double>(conv.src_elements()) + static_cast<double>(conv.dst_elements()));
  const double weights_bytes = 4.0 * static_cast<double>(conv.weights_elements());
  const double share =
      algorithm == Algorithm::kDepthwise ? target.core.depthwise_in_order_share : kGroupedShare;
  return bytes > share * static_cast<double>(target.l2_bytes) &&
         weights_bytes <= 0.75 * static_cast<double>(target.l1d_bytes);
}

// Neighbouring pixels share loads and permutes only where the taps of a row are unrolled. Depthwise
// rows are short, and as a loop may cost a quarter of the speed.
Unroll unroll_of_taps(const ir::Conv& conv, const Target& target, Algorithm algorithm) {
  if (algorithm == Algorithm::kGrouped) return Unroll::kRow;
  if (algorithm == Algorithm::kRotated) return Unroll::kTaps;
  if (algorithm != Algorithm::kDepthwise) return Unroll::kTile;
  return static_cast<double>(conv.kernel.product()) > target.core.depthwise_unrolled_taps
             ? Unroll::kRow
             : Unroll::kTaps;
}

// Decided before tiles are compared, the same for all of them.
Schedule common_schedule(const ir::Conv& conv, const Target& target, Algorithm algorithm) {
  Schedule schedule;
  schedule.algorithm = algorithm;
  schedule.merge_rows = can_merge_rows(conv) && algorithm != Algorithm::kStaged;
  schedule.epilogue = select_epilogue(conv);
  schedule.unroll = unroll_of_taps(conv, target, algorithm);
  if (lanes_span_groups(algorithm))
    schedule.order =
        walks_in_order(conv, target, algorithm) ? LoopOrder::kOcInner : LoopOrder::kPixelOuter;
  return schedule;
}

// Rows whose loads and loops are one run of channels have more steps than ic.
int64_t steps_of_row(const ir::Conv& conv) {
  const bool contiguous = conv.groups == 1 && conv.dilations.w == 1 &&
                          conv.src_layout == ir::ActivationLayout::kChannelsLast;
  return conv.ic_per_group() * (contiguous ? conv.kernel.w : 1);
}

// Every tile of an algorithm whose lanes are channels.
std::vector<ScoredTile> channel_tiles(const ir::Conv& conv, const Target& target,
                                      Algorithm algorithm) {
  const Schedule common = common_schedule(conv, target, algorithm);
  const bool spans = lanes_span_groups(algorithm);
  const int64_t oc = std::max<int64_t>(1, spans ? conv.oc : conv.oc_per_group());
  std::vector<ScoredTile> tiles;
  for (int lanes = 4; lanes <= target.max_lanes; lanes *= 2) {
    // A narrower vector pays only where it still holds all channels.
    if (lanes < target.max_lanes && lanes < oc) continue;
    if (algorithm == Algorithm::kGrouped && !can_run_grouped(conv, lanes)) continue;
    if (algorithm == Algorithm::kRotated && !can_run_rotated(conv, lanes)) continue;
    const int64_t most_vectors = std::min<int64_t>(kMaxTileVectors, (oc + lanes - 1) / lanes);
    for (int vectors = 1; vectors <= most_vectors; ++vectors) {
      const int most_pixels =
          max_tile_pixels(target, algorithm, vectors, conv.kernel.w, conv.ic_per_group());
      for (int pixels = 1; pixels <= most_pixels; ++pixels) {
        ScoredTile& tile = tiles.emplace_back(ScoredTile{common});
        tile.schedule.lanes = lanes;
        tile.schedule.tile_vectors = vectors;
        tile.schedule.tile_pixels = pixels;
        tile.cycles = predict_cycles(conv, tile.schedule, target);
      }
    }
  }
  return tiles;
}

// Floats of a stage that leave room in L2 for what is computed from them.
double stage_budget(const Target& target) {
  return 0.25 * static_cast<double>(target.l2_bytes) / 4;
}

// Every tile whose lanes are pixels: up to four runs of pixels, as many channels as registers
// allow.
std::vector<ScoredTile> planar_tiles(const ir::Conv& conv, const Target& target) {
  std::vector<ScoredTile> tiles;
  const Algorithm algorithm = can_run_planar(conv) ? Algorithm::kPlanar : Algorithm::kStaged;
  if (algorithm == Algorithm::kStaged && !can_run_staged(conv)) return tiles;
  const Schedule common = common_schedule(conv, target, algorithm);
  if (stage_floats(conv, common) > stage_budget(target)) return tiles;  // nor on wider vectors
  // Channels that lie between each other in dst leave a tile together, in whole vectors.
  const bool together = interleaves_dst(conv);
  if (together && conv.groups > 1) return tiles;
  for (int lanes = 4; lanes <= target.max_lanes; lanes *= 2) {
    for (int runs = 1; runs <= kMaxPlanarRuns; ++runs) {
      // One run needs a broadcast for every product; where a row has more, and one vector holds all
      // channels, direct is ahead (3x3, 64 -> 13 channels at 56x64: 322 us against 388).
      if (together && runs == 1 && conv.oc <= lanes && conv.out.w > lanes) continue;
      const int most_channels = max_planar_channels(target, runs, lanes, together);
      const int fewest_channels = together ? static_cast<int>(std::min<int64_t>(conv.oc, 64)) : 1;
      for (int channels = fewest_channels; channels <= most_channels; ++channels) {
        ScoredTile tile{common};
        tile.schedule.lanes = lanes;
        tile.schedule.tile_pixels = lanes * runs;
        tile.schedule.tile_vectors = channels;
        if (stage_floats(conv, tile.schedule) > stage_budget(target)) continue;
        tile.cycles = predict_cycles(conv, tile.schedule, target);
        tiles.push_back(tile);
      }
    }
  }
  return tiles;
}

// The first of those that no later one beats by more than rounding: smaller tiles come first.
ScoredTile best_of(const std::vector<ScoredTile>& tiles) {
  ScoredTile best;
  for (const ScoredTile& tile : tiles)
    if (tile.cycles < best.cycles * 0.999) best = tile;
  return best;
}

ScoredTile best_algorithm(const ir::Conv& conv, const Target& target) {
  const auto best_tile = [&](Algorithm algorithm) {
    return best_of(channel_tiles(conv, target, algorithm));
  };
  if (can_run_depthwise(conv)) return best_tile(Algorithm::kDepthwise);
  const ScoredTile direct = best_tile(Algorithm::kDirect);
  const ScoredTile grouped = best_tile(Algorithm::kGrouped);
  const ScoredTile rotated = best_tile(Algorithm::kRotated);
  const ScoredTile planar = best_of(planar_tiles(conv, target));
  return std::min({direct, grouped, rotated, planar},
                  [](const ScoredTile& a, const ScoredTile& b) { return a.cycles < b.cycles; });
}

// Makes the code shorter until it is comfortable: fewer steps a loop, loops for taps, ranged
// borders, a loop for the epilogue; then a smaller tile until it is allowed, which always ends
// well.
Schedule fit_code_size(const ir::Conv& conv, const Target& target, Schedule schedule) {
  const auto fits = [&] { return check_schedule(schedule, conv, target).ok(); };
  const auto comfortable = [&] {
    return fits() && estimate_code_size(conv, schedule).total <= kComfortableOps;
  };
  if (!comfortable()) schedule.ic_unroll = 1;
  if (!comfortable()) schedule.unroll = std::min(schedule.unroll, Unroll::kRow);
  if (!comfortable()) schedule.unroll = Unroll::kTile;
  if (!comfortable()) schedule.edges = Edges::kRanged;
  if (!comfortable()) schedule.epilogue = Epilogue::kLoop;
  while (!fits() && schedule.tile_pixels > 1) schedule.tile_pixels /= 2;
  while (!fits() && schedule.tile_vectors > 1) --schedule.tile_vectors;
  return schedule;
}

// A convolution this small has no loop left at all.
constexpr double kFullUnrollOps = 256;

void select_unroll(const ir::Conv& conv, const Target& target, Schedule& schedule) {
  Schedule full = schedule;
  full.unroll = Unroll::kFull;
  full.epilogue = Epilogue::kInline;
  if (!check_schedule(full, conv, target).ok()) return;
  if (estimate_code_size(conv, full).total <= kFullUnrollOps) schedule = full;
}

// Sharing what is alike halves the code of short kernels. Not where every tile that is alike stands
// alone: there code of their own is 4 to 9 % faster (depthwise 14x14x384 and, 5x5, 28x28x240). Nor
// where the sums leave no register to bring them together: the largest tiles would spill.
bool shares_edges(const ir::Conv& conv, const Schedule& schedule) {
  if (schedule.edges != Edges::kExact || lanes_are_pixels(schedule.algorithm) ||
      schedule.algorithm == Algorithm::kRotated)
    return false;
  const RowPlan plan = plan_row(nest_shape(conv, schedule), schedule);
  for (std::span<const RowSegment> rest(plan); !rest.empty();) {
    const std::span<const RowSegment> alike = rest.first(count_alike(rest));
    const bool repeats =
        std::ranges::any_of(alike, [](const RowSegment& s) { return s.tiles > 1; });
    if (alike.size() > 1 && repeats) return true;
    rest = rest.subspan(alike.size());
  }
  return false;
}

// The order that moves fewer bytes. Several threads split the outer loop between them, so it should
// run over the larger tensor, which then no two of them read. A stage is filled once a task: with
// all channels in one task as long as there are rows for all threads (64 -> 512 channels first, 3x3
// stride 2, 7 rows of 65: 267 us against 395).
LoopOrder select_order(const ir::Conv& conv, const Schedule& schedule, const Traffic& traffic,
                       int threads) {
  const double rows = static_cast<double>(conv.n) * static_cast<double>(conv.groups) *
                      static_cast<double>(conv.out.d) * static_cast<double>(conv.out.h);
  if (schedule.algorithm == Algorithm::kStaged && rows >= threads) return LoopOrder::kPixelOuter;
  if (threads > 1 && conv.weights_elements() > conv.src_elements() + conv.dst_elements())
    return LoopOrder::kOcOuter;
  return traffic.oc_outer_bytes < traffic.pixel_outer_bytes ? LoopOrder::kOcOuter
                                                            : LoopOrder::kPixelOuter;
}

// What a task goes over once per block of output channels should stay in this share of L2.
int64_t items_in_cache(const NestShape& shape, const Target& target, bool spans, double pixels) {
  const double src_channels =
      static_cast<double>(spans ? shape.oc / shape.oc_per_group * shape.ic : shape.ic);
  const double pixel_bytes = 4.0 * (src_channels * static_cast<double>(shape.strides.w) *
                                        static_cast<double>(shape.strides.h) +
                                    static_cast<double>(shape.oc));
  const double items = 0.25 * static_cast<double>(target.l2_bytes) / (pixel_bytes * pixels);
  return std::max<int64_t>(1, static_cast<int64_t>(items));
}

// The largest run, of at most `most`, that cuts `items` into tasks which threads can share out
// evenly: the busiest thread, of all that get as many of the `outer` times as many tasks, has the
// least to do.
int64_t balanced_run(int64_t items, int64_t outer, int64_t most, int threads) {
  constexpr int64_t kTries = 64;
  int64_t best = most;
  double least = std::numeric_limits<double>::infinity();
  for (int64_t run = most; run >= std::max<int64_t>(1, most / 2) && run > most - kTries; --run) {
    const int64_t tasks = (items + run - 1) / run * outer;
    const double busiest =
        static_cast<double>((tasks + threads - 1) / threads) * static_cast<double>(run);
    if (busiest < least) best = run;
    least = std::min(least, busiest);
  }
  return best;
}

// Where lanes span groups a task reads the weights of a vector of channels once, however many rows
// it goes down, and a row anew costs about what a row of outputs does. So threads share columns
// rather than rows, and one task each is enough (5x5 depthwise, 56x56x144, stride 2, two
// threads: 14.2 us by halves of the rows, 13.0 by halves of the columns, 18.1 by rows in pairs).
// They share channels where neither comes out even: two cores reading neighbouring lines disturb
// each other.
void share_groups(const NestShape& shape, const Target& target, int threads, Schedule& schedule) {
  constexpr double kNeighbouringLines = 1.15;
  const int64_t rows = shape.out.h, tiles = shape.row_tiles;
  const int64_t kept = std::clamp<int64_t>(tiles_in_l1(shape, target, schedule), 1, tiles);
  const int64_t planes = std::max<int64_t>(1, shape.n * shape.groups * shape.out.d);
  const auto runs = [](int64_t items, int64_t run) { return (items + run - 1) / run; };
  double least = std::numeric_limits<double>::infinity();
  const auto weigh = [&](LoopOrder order, int64_t column_runs) {
    const int64_t outer = planes * (order == LoopOrder::kOcOuter ? shape.oc_blocks : 1);
    const int64_t row_runs = std::min(rows, runs(runs(threads, outer), column_runs));
    const int64_t task_rows = runs(rows, row_runs);
    const int64_t task_tiles = std::min(kept, runs(tiles, column_runs));
    const int64_t tasks = outer * runs(rows, task_rows) * runs(tiles, task_tiles);
    const double busiest = static_cast<double>(runs(tasks, threads)) *
                           static_cast<double>(task_rows * task_tiles) / static_cast<double>(outer);
    const double cycles = busiest * (1 + 1 / static_cast<double>(task_rows)) *
                          (order == LoopOrder::kOcOuter ? kNeighbouringLines : 1);
    if (cycles >= least) return;
    least = cycles;
    schedule.order = order;
    schedule.rows_per_task = task_rows;
    schedule.tiles_per_task = task_tiles >= tiles ? 0 : task_tiles;
  };
  for (int64_t column_runs = 1; column_runs <= std::min<int64_t>(threads, tiles); ++column_runs)
    weigh(LoopOrder::kPixelOuter, column_runs);
  if (threads > 1) weigh(LoopOrder::kOcOuter, 1);
}

// Tasks small enough to share among threads, large enough to keep what they reuse in cache: runs of
// rows, or runs of tiles where there is one row only or a row alone is too much.
void select_tasks(const ir::Conv& conv, const Target& target, int threads, Schedule& schedule) {
  const NestShape shape = nest_shape(conv, schedule);
  const bool spans = lanes_span_groups(schedule.algorithm);
  if (spans && schedule.order != LoopOrder::kOcInner && shape.out.h > 1 && shape.row_tiles > 0)
    return share_groups(shape, target, threads, schedule);
  const bool pixel_outer = schedule.order != LoopOrder::kOcOuter;
  const int64_t wanted = threads > 1 ? int64_t{4} * threads : 1;
  const int64_t outer = std::max<int64_t>(
      1, shape.n * shape.groups * shape.out.d * (pixel_outer ? 1 : shape.oc_blocks));
  const int64_t splits = (wanted + outer - 1) / outer;

  // Channels of other groups, and a single block, share nothing that a task would keep for them.
  const bool reuses =
      pixel_outer && shape.oc_blocks > 1 && !(spans && schedule.order == LoopOrder::kPixelOuter);
  int64_t rows = std::max<int64_t>(1, (shape.out.h + splits - 1) / splits);
  if (reuses)
    rows = std::min(rows, items_in_cache(shape, target, spans, static_cast<double>(shape.out.w)));
  schedule.rows_per_task = balanced_run(shape.out.h, outer, rows, threads);
  while (schedule.rows_per_task > 1 && stage_floats(conv, schedule) > stage_budget(target))
    schedule.rows_per_task = (schedule.rows_per_task + 1) / 2;
  if (rows > 1 || schedule.algorithm == Algorithm::kStaged) return;

  const int64_t row_splits = shape.out.h > 1 ? 1 : splits;
  int64_t tiles = std::max<int64_t>(1, (shape.row_tiles + row_splits - 1) / row_splits);
  if (reuses) tiles = std::min(tiles, items_in_cache(shape, target, spans, schedule.tile_pixels));
  tiles = balanced_run(shape.row_tiles, outer * shape.out.h, tiles, threads);
  schedule.tiles_per_task = tiles >= shape.row_tiles ? 0 : tiles;
}

// Weights that do not stay in L2 come in once a block. Where few tiles share a block, they fetch
// the next one between them; where many do, its first tile's wait is lost among them, and a single
// one reads as fast as anything could fetch.
void select_prefetch(const ir::Conv& conv, const Target& target, Schedule& schedule) {
  constexpr int64_t kManyTiles = 16;
  const NestShape shape = nest_shape(conv, schedule);
  const double weights_bytes = 4.0 * static_cast<double>(conv.weights_elements());
  const int64_t tiles = schedule.rows_per_task *
                        (schedule.tiles_per_task == 0 ? shape.row_tiles : schedule.tiles_per_task);
  const bool streams = weights_bytes > 0.5 * static_cast<double>(target.l2_bytes);
  // 28 sums of 32 registers leave none for what a prefetch takes: every step would spill
  // (14x14x512, strict, 14x2: 5730 us against 4350 without). 5x5 spills a little and gains all the
  // same (1x1 at 7x7, 512 -> 2048: 491 us against 560).
  const bool spills = target.vector_registers >= 32 &&
                      schedule.accumulators(schedule.tile_pixels, schedule.tile_vectors) >= 28;
  if (!streams || spills || tiles == 1 || tiles > kManyTiles ||
      schedule.algorithm != Algorithm::kDirect)
    return;
  const int64_t lines = int64_t{schedule.ic_unroll} * schedule.tile_vectors * schedule.lanes;
  schedule.prefetch = static_cast<int>((lines / kLineFloats + tiles - 1) / tiles);
}

}  // namespace

Epilogue select_epilogue(const ir::Conv& conv) {
  using ir::PostOpKind;
  const auto is_long = [](const ir::PostOp& op) {
    switch (op.kind) {
      case PostOpKind::kElu:
      case PostOpKind::kSigmoid:
      case PostOpKind::kTanh:
      case PostOpKind::kGelu:
      case PostOpKind::kGeluTanh:
      case PostOpKind::kSilu:
      case PostOpKind::kHardSwish:
      case PostOpKind::kHardSigmoid:
        return true;
      default:
        return false;
    }
  };
  const bool loop =
      conv.post.size() > 4 || std::any_of(conv.post.begin(), conv.post.end(), is_long);
  return loop ? Epilogue::kLoop : Epilogue::kInline;
}

// Enough to hide the loop's own instructions, less where a body is long already: 28 FMAs in a loop
// run as fast as 1,344 in a row, and LLVM takes as much longer for four steps as it sounds. One
// where operands of steps side by side would push accumulators out: sources and broadcasts of many
// channels (planar), or products that need a register of their own.
int select_ic_unroll(const Schedule& schedule, const Target& target, int64_t steps) {
  if (!target.has_fma || steps <= 1) return 1;
  const int64_t registers = target.vector_registers;
  const int64_t sums = schedule.accumulators(schedule.tile_pixels, schedule.tile_vectors);
  if (lanes_are_pixels(schedule.algorithm)) {
    // Two steps where both their sources find room beside a step's broadcasts (1080p, 3x3x3x3:
    // 3,061 us against 3,338). More than four of those LLVM does not keep apart.
    const int64_t runs = (schedule.tile_pixels + schedule.lanes - 1) / schedule.lanes;
    const int channels = schedule.tile_vectors;
    return channels <= 4 && sums + 2 * runs + channels <= registers ? 2 : 1;
  }
  if (2 * sums > registers) return steps % 2 == 0 ? 2 : 1;
  const int64_t wanted = std::max<int64_t>(1, 3 * registers / sums);
  const int64_t limit = std::min<int64_t>(std::min<int64_t>(wanted, 8), steps);
  for (int64_t unroll = limit; unroll > limit / 2; --unroll)
    if (steps % unroll == 0) return static_cast<int>(unroll);
  return static_cast<int>(limit);
}

std::vector<ScoredTile> scored_tiles(const ir::Conv& conv, const Target& target) {
  std::vector<ScoredTile> all;
  const auto add = [&](const std::vector<ScoredTile>& tiles) {
    all.insert(all.end(), tiles.begin(), tiles.end());
  };
  if (can_run_depthwise(conv)) add(channel_tiles(conv, target, Algorithm::kDepthwise));
  add(channel_tiles(conv, target, Algorithm::kDirect));
  add(channel_tiles(conv, target, Algorithm::kGrouped));
  add(channel_tiles(conv, target, Algorithm::kRotated));
  add(planar_tiles(conv, target));
  return all;
}

namespace {

// A pass of the loop over a row's steps ends within a tap. In a longer one neighbours would load
// the same sources in one block, and LLVM keep them, until sums spill (5x5, 1 -> 56 channels at
// 240x320: 1137 us against 933).
int select_direct_ic_unroll(const ir::Conv& conv, const Target& target, const Schedule& schedule) {
  const int unroll = select_ic_unroll(schedule, target, steps_of_row(conv));
  // The stride alone first: a huge one times the channels would overflow.
  if (unroll <= conv.strides.w || unroll <= conv.strides.w * conv.ic_per_group()) return unroll;
  return target.vector_registers < 32 ? 1 : select_ic_unroll(schedule, target, conv.ic_per_group());
}

}  // namespace

void select_stores(const ir::Conv& conv, const Target& target, Schedule& schedule) {
  if (!passes_l3(conv, target) || conv.uses(ir::PostOpKind::kAdd)) return;
  Schedule streaming = schedule;
  streaming.stores = Stores::kStreaming;
  if (!check_schedule(streaming, conv, target).ok()) return;
  if (estimate_code_size(conv, streaming).total <= kComfortableOps) schedule = streaming;
}

Schedule finish_schedule(const ir::Conv& conv, const Target& target, int threads, Schedule tile) {
  Schedule schedule = tile;
  if (!lanes_span_groups(schedule.algorithm)) {
    schedule.ic_unroll = schedule.algorithm == Algorithm::kDirect
                             ? select_direct_ic_unroll(conv, target, schedule)
                             : select_ic_unroll(schedule, target, conv.ic_per_group());
    const Traffic traffic = predict_traffic(conv, schedule, target);
    schedule.order = select_order(conv, schedule, traffic, threads);
  }
  schedule = fit_code_size(conv, target, schedule);
  if (shares_edges(conv, schedule)) schedule.edges = Edges::kShared;
  select_unroll(conv, target, schedule);
  if (schedule.unroll != Unroll::kFull) {
    select_tasks(conv, target, threads, schedule);
    select_prefetch(conv, target, schedule);
  }
  select_stores(conv, target, schedule);
  return schedule;
}

namespace {

// All that is not winograd.
Selection select_nest(const ir::Conv& conv, const Target& target, int threads) {
  Selection selection;
  const auto [best, compute] = best_algorithm(conv, target);
  const Schedule schedule = finish_schedule(conv, target, threads, best);
  const Traffic traffic = predict_traffic(conv, best, target);
  const double bytes = std::min(traffic.oc_outer_bytes, traffic.pixel_outer_bytes);
  selection.schedule = schedule;
  selection.predicted_cycles = std::max(compute, bytes / target.core.memory_bytes);
  selection.reason = fmt::format(
      "{} pixels x {} {} keep {} of {} registers as accumulators; {} bound ({:.0f} cycles of "
      "arithmetic, {:.0f} of memory)",
      schedule.tile_pixels, schedule.tile_vectors,
      lanes_are_pixels(schedule.algorithm) ? "channels"
                                           : fmt::format("vectors of {}", schedule.lanes),
      schedule.accumulators(schedule.tile_pixels, schedule.tile_vectors) *
          nest_shape(conv, schedule).rotations,
      target.vector_registers, compute * target.core.memory_bytes >= bytes ? "compute" : "memory",
      compute, bytes / target.core.memory_bytes);
  return selection;
}

}  // namespace

Selection select_schedule(const ir::Conv& conv, const Target& target, int threads,
                          const ConstantWeights* constants) {
  // What the larger error must be worth at least.
  constexpr double kWorth = 0.9;
  const Selection nest = select_nest(conv, target, threads);
  const std::optional<Selection> filter =
      constants == nullptr ? std::nullopt : select_filter(conv, *constants, target, threads);
  if (filter && filter->predicted_cycles < nest.predicted_cycles) return *filter;
  const std::optional<Selection> winograd = select_winograd(conv, target, threads);
  if (winograd && winograd->predicted_cycles < kWorth * nest.predicted_cycles) return *winograd;
  return nest;
}

}  // namespace convgen::codegen
