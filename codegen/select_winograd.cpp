// SPDX-License-Identifier: Apache-2.0
#include "codegen/select_winograd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "codegen/code_size.h"
#include "codegen/cost_model.h"
#include "codegen/nest_shape.h"
#include "codegen/packed_layout.h"
#include "codegen/winograd.h"

namespace convgen::codegen {
namespace {

// Convolutions below this many multiply-adds stay direct: what there is to save is a few
// microseconds, and not worth a larger error.
constexpr double kWorthwhileMultiplyAdds = 4e6;

// Two cores fetch sources that another task transforms too. Not fitted: on two threads 28x28x128
// takes 196 us where each does half of the channels, 164 where each does half of the tiles;
// 56x56x64 takes 203 and 158, 38x38x96 takes 266 and 248.
constexpr double kTransformedAgain = 3.5;

double bytes_of_weights(const PackedLayout& layout) {
  return 4 * static_cast<double>(layout.elements());
}

// Whether a task's weights do not stay in L2, and are fetched ahead.
bool streams(double bytes, const Target& target) {
  return bytes > 0.5 * static_cast<double>(target.l2_bytes);
}

// How often the products of a run of points fill its register tile, in all tasks.
double register_tiles(const WinogradShape& shape, const WinogradPoints& run) {
  const auto tasks = static_cast<double>(shape.tile_tasks);
  const double pixels = run.tile_pixels;
  if (shape.kinds.size() > 1) return tasks * std::ceil(static_cast<double>(run.tiles) / pixels);
  const auto task_tiles = static_cast<double>(shape.tiles_per_task);
  const double last_tiles = static_cast<double>(shape.tiles) - (tasks - 1) * task_tiles;
  return (tasks - 1) * task_tiles / pixels + std::ceil(last_tiles / pixels);
}

// The matrix products of all tasks, their operands at hand.
double product_cycles(const WinogradShape& shape, const PackedLayout& layout, int64_t ic,
                      const Schedule& schedule, const Target& target) {
  const WinogradCosts& costs = target.core.winograd;
  const double task_weights = bytes_of_weights(layout) / static_cast<double>(shape.block_tasks);
  const bool read_once =
      shape.tiles_per_task <= schedule.tile_pixels &&
      task_weights > costs.passing_weights * static_cast<double>(target.l2_bytes);
  // Of one register tile and point.
  const auto block_cycles = [&](double pixels, double vectors) {
    const double weights = 4 * static_cast<double>(ic) * vectors * schedule.lanes;
    const bool in_l1 = weights <= 0.5 * static_cast<double>(target.l1d_bytes);
    const double share = costs.product_share * (vectors == 1 && !read_once ? costs.one_vector : 1);
    const double products = share * static_cast<double>(ic) * step_cycles(target, pixels, vectors) +
                            costs.tile_overhead;
    const double read_bytes = in_l1 ? costs.read_bytes_l1 : costs.read_bytes_l2;
    return products + (read_once ? 0 : weights / read_bytes);
  };
  double cycles = 0;
  for (const WinogradPointRows& rows : shape.point_rows)
    for (const WinogradPoints& run : rows.runs) {
      double blocks = static_cast<double>(layout.full_blocks()) *
                      block_cycles(run.tile_pixels, schedule.tile_vectors);
      if (layout.tail_width() > 0)
        blocks +=
            block_cycles(run.tile_pixels, static_cast<double>(layout.tail_width() / layout.lanes));
      cycles += static_cast<double>(rows.rows * run.count) * register_tiles(shape, run) * blocks;
    }
  return cycles * (schedule.order == LoopOrder::kOcOuter ? 1 : costs.pixel_outer);
}

// A task's weights, where they do not stay in L2, stream in behind the products, as far as they do.
double streamed_product_cycles(const WinogradShape& shape, const PackedLayout& layout,
                               double products, const Target& target, int threads) {
  const double weights = bytes_of_weights(layout) / static_cast<double>(shape.block_tasks);
  if (!streams(weights, target)) return products;
  const WinogradCosts& costs = target.core.winograd;
  const bool from_memory = bytes_of_weights(layout) > static_cast<double>(target.l3_bytes);
  const double shared = from_memory ? costs.stream_shared * (threads - 1) : 0;
  const double stream =
      static_cast<double>(shape.tasks()) * weights / costs.streamed_bytes * (1 + shared);
  return std::max(products, stream) + (1 - costs.stream_overlap) * std::min(products, stream);
}

// Transformed sources of a task, and the products that wait to be transformed.
double kept_bytes(const WinogradShape& shape) {
  return 4 * static_cast<double>(shape.points * shape.tiles_per_task) *
         static_cast<double>(shape.channels + shape.outputs);
}

// Whether they stay in L1. Where src and dst pass L2, their lines on the way take a part of it, and
// the weights of a block, read again for every task, come from there too (7x2 tiles of 224x224,
// 3 -> 64, fill it: 432 us, 6x2 405, 5x2 388; 33x35, 17 -> 37 in L2 takes 27 us with 4 tiles, which
// fill it too, 29 with 3).
bool keeps_in_l1(const ir::Conv& conv, const WinogradShape& shape, const PackedLayout& layout,
                 const Target& target) {
  const double kept = kept_bytes(shape);
  const auto l1 = static_cast<double>(target.l1d_bytes);
  const double bytes =
      4 * (static_cast<double>(conv.src_elements()) + static_cast<double>(conv.dst_elements()));
  if (bytes <= static_cast<double>(target.l2_bytes)) return kept <= l1;
  const auto weights = 4 * static_cast<double>(layout.oc_block * layout.steps);
  return kept + weights <= 0.85 * l1;
}

// Points of all tiles.
double count_points(const WinogradShape& shape) {
  double points = 0;
  for (const WinogradTiles& kind : shape.kinds)
    points += static_cast<double>(kind.all) * static_cast<double>(kind.h.alpha * kind.w.alpha);
  return points;
}

double transform_cycles(const ir::Conv& conv, const WinogradShape& shape,
                        const PackedLayout& layout, const Schedule& schedule,
                        const Target& target) {
  const WinogradCosts& costs = target.core.winograd;
  const double vectors_in = static_cast<double>(shape.channels / shape.source_lanes);
  const double vectors_out = static_cast<double>(
      (layout.full_blocks() * layout.oc_block + layout.tail_width()) / schedule.lanes);
  const double again = kTransformedAgain * static_cast<double>(shape.block_tasks - 1);
  const bool in_l1 = keeps_in_l1(conv, shape, layout, target);
  return count_points(shape) * (in_l1 ? costs.transform_cycles_l1 : costs.transform_cycles) *
         (vectors_in + again * vectors_in + vectors_out);
}

// What of the transformed tiles does not stay in L2 between transform and product goes out and
// comes back; and with blocks of output channels around the points, each of them reads all sources
// again.
double memory_cycles(const WinogradShape& shape, LoopOrder order, const Target& target) {
  const WinogradCosts& costs = target.core.winograd;
  const double l2 = static_cast<double>(target.l2_bytes);
  const double sources = 4 * static_cast<double>(shape.points) *
                         static_cast<double>(std::min(shape.tiles_per_task, shape.tiles)) *
                         static_cast<double>(shape.channels);
  const auto blocks = static_cast<double>(shape.blocks_per_task);
  const bool again = order == LoopOrder::kOcOuter && sources > costs.sources_l2_share * l2;
  const double read_again = again ? (blocks - 1) * sources : 0;
  const double spilled = std::max(0.0, kept_bytes(shape) - costs.kept_l2_share * l2);
  return static_cast<double>(shape.tasks()) *
         (spilled / costs.spilled_bytes + read_again / costs.read_again_bytes);
}

bool is_comfortable(const ir::Conv& conv, const Target& target, const Schedule& schedule) {
  return check_schedule(schedule, conv, target).ok() &&
         estimate_code_size(conv, schedule).total <= kComfortableOps;
}

void fit_epilogue(const ir::Conv& conv, Schedule& schedule) {
  if (estimate_code_size(conv, schedule).total > kComfortableOps)
    schedule.epilogue = Epilogue::kLoop;
}

// The smallest tile of all: where even that is refused, by its scratch or its weights, all are.
bool is_possible(const ir::Conv& conv, const Target& target) {
  Schedule schedule;
  schedule.algorithm = Algorithm::kWinograd;
  schedule.lanes = target.max_lanes;
  schedule.output_tile = 2;
  schedule.tiles_per_task = 1;
  schedule.epilogue = Epilogue::kLoop;
  return check_schedule(schedule, conv, target).ok();
}

bool streams_weights(const ir::Conv& conv, const Target& target, const Schedule& schedule) {
  return streams(bytes_of_weights(packed_layout(conv, schedule)), target);
}

}  // namespace

int most_winograd_tile_pixels(const Target& target, int vectors, bool fetches_ahead) {
  int pixels = max_tile_pixels(target, Algorithm::kDirect, vectors);
  if (fetches_ahead && target.vector_registers >= 32)
    pixels = std::min(pixels, (target.vector_registers - 3 - vectors) / vectors);
  return pixels;
}

int select_weights_prefetch(const ir::Conv& conv, const Target& target, const Schedule& schedule) {
  const WinogradShape shape = winograd_shape(conv, schedule);
  if (!streams_weights(conv, target, schedule)) return 0;
  const int64_t groups =
      std::max<int64_t>(1, std::min(shape.tiles, shape.tiles_per_task) / schedule.tile_pixels);
  if (groups == 1 && !target.core.winograd.one_group_prefetches) return 0;
  const int64_t lines =
      int64_t{schedule.ic_unroll} * schedule.tile_vectors * schedule.lanes / kLineFloats;
  return static_cast<int>((lines + groups - 1) / groups);
}

double predict_winograd_cycles(const ir::Conv& conv, const Schedule& schedule, const Target& target,
                               int threads) {
  const WinogradShape shape = winograd_shape(conv, schedule);
  const PackedLayout layout = packed_layout(conv, schedule);
  const double products = product_cycles(shape, layout, conv.ic, schedule, target);
  return streamed_product_cycles(shape, layout, products, target, threads) +
         transform_cycles(conv, shape, layout, schedule, target) +
         memory_cycles(shape, schedule.order, target);
}

namespace {

// Runs of blocks worth weighing: all in one task, or so few that there is one for a half, a quarter
// ... of the threads.
std::vector<int64_t> block_runs(const ir::Conv& conv, const Schedule& schedule, int threads) {
  const int64_t blocks = (conv.oc + schedule.oc_block() - 1) / schedule.oc_block();
  std::vector<int64_t> runs = {0};
  for (int64_t tasks = threads; tasks > 1; tasks /= 2)
    if (tasks <= blocks) runs.push_back((blocks + tasks - 1) / tasks);
  return runs;
}

// How much longer the busiest thread takes than its share. The last run of tiles, and of blocks,
// may be a short one: of two tasks with 28 and 21 tiles, one thread has 28.
double unevenness(const WinogradShape& shape, int threads) {
  if (threads == 1) return 1;
  const auto task =
      static_cast<double>(std::min(shape.tiles_per_task, shape.tiles) * shape.blocks_per_task);
  const auto all = static_cast<double>(shape.tiles * shape.blocks);
  const double tasks_each = std::ceil(static_cast<double>(shape.tasks()) / threads);
  return std::max(1.0, std::min(tasks_each * task, all) * threads / all);
}

}  // namespace

namespace {

// Tasks worth weighing, in tiles: runs of so many register tiles, or of so many images and phases.
std::vector<int64_t> tile_runs(const ir::Conv& conv, const Schedule& schedule) {
  std::vector<int64_t> runs;
  const WinogradShape shape = winograd_shape(conv, schedule);
  const int64_t plane = shape.h.tiles * shape.w.tiles;
  for (const int64_t count : {1, 2, 4, 8, 16, 32}) {
    const int64_t tiles = count * (schedule.edges == Edges::kNested ? plane : schedule.tile_pixels);
    if (runs.empty() || schedule.edges == Edges::kExact || tiles <= shape.tiles)
      runs.push_back(tiles);
  }
  return runs;
}

// Whether tiles at the border have fewer outputs, so that nesting them saves products.
bool has_smaller_tiles(const ir::Conv& conv, Schedule schedule) {
  schedule.edges = Edges::kNested;
  const WinogradShape shape = winograd_shape(conv, schedule);
  return count_points(shape) < static_cast<double>(shape.tiles) * static_cast<double>(shape.points);
}

class TileScorer {
 public:
  TileScorer(const ir::Conv& conv, const Target& target, int threads)
      : conv_(conv), target_(target), threads_(threads) {}

  // All register tiles and tasks of a form.
  void add_form(Schedule schedule) {
    const bool fetches_ahead = streams_weights(conv_, target_, schedule);
    const auto most_vectors =
        std::min<int64_t>(kMaxTileVectors, (conv_.oc + schedule.lanes - 1) / schedule.lanes);
    for (int vectors = 1; vectors <= most_vectors; ++vectors)
      for (int pixels = 1; pixels <= most_winograd_tile_pixels(target_, vectors, fetches_ahead);
           ++pixels) {
        schedule.tile_vectors = vectors;
        schedule.tile_pixels = pixels;
        add_tasks(schedule);
      }
  }
  std::vector<ScoredTile> take() { return std::move(tiles_); }

 private:
  void add_tasks(Schedule schedule) {
    for (const int64_t run : tile_runs(conv_, schedule))
      for (const LoopOrder order : {LoopOrder::kOcOuter, LoopOrder::kPixelOuter})
        for (const int64_t blocks : block_runs(conv_, schedule, threads_)) {
          schedule.tiles_per_task = run;
          schedule.order = order;
          schedule.blocks_per_task = blocks;
          const WinogradShape shape = winograd_shape(conv_, schedule);
          if (shape.scratch_floats > kMaxScratchFloats) continue;
          tiles_.push_back(
              {schedule, unevenness(shape, threads_) *
                             predict_winograd_cycles(conv_, schedule, target_, threads_)});
        }
  }

  const ir::Conv& conv_;
  const Target& target_;
  const int threads_;
  std::vector<ScoredTile> tiles_;
};

}  // namespace

std::vector<ScoredTile> scored_winograd_tiles(const ir::Conv& conv, const Target& target,
                                              int threads,
                                              std::initializer_list<WinogradForm> forms) {
  if (!can_run_winograd(conv) || conv.multiply_adds() < kWorthwhileMultiplyAdds ||
      !is_possible(conv, target))
    return {};
  TileScorer scorer(conv, target, threads);
  for (const WinogradForm& form : forms) {
    Schedule schedule;
    schedule.algorithm = Algorithm::kWinograd;
    schedule.lanes = target.max_lanes;
    schedule.epilogue = select_epilogue(conv);
    schedule.output_tile = form.output_tile;
    schedule.edges = form.edges;
    if (form.edges != Edges::kNested || has_smaller_tiles(conv, schedule))
      scorer.add_form(schedule);
  }
  return scorer.take();
}

Schedule finish_winograd(const ir::Conv& conv, const Target& target, Schedule schedule) {
  schedule.ic_unroll = select_ic_unroll(schedule, target, conv.ic);
  schedule.prefetch = select_weights_prefetch(conv, target, schedule);
  fit_epilogue(conv, schedule);
  select_stores(conv, target, schedule);
  return schedule;
}

std::optional<Selection> select_winograd(const ir::Conv& conv, const Target& target, int threads) {
  const auto best_tile = [&](int workers, std::initializer_list<WinogradForm> forms) {
    ScoredTile best;
    for (const ScoredTile& tile : scored_winograd_tiles(conv, target, workers, forms))
      if (tile.cycles < best.cycles * 0.999) best = tile;
    return best;
  };
  const ScoredTile alone = best_tile(1, kWinogradForms);
  if (!std::isfinite(alone.cycles)) return std::nullopt;
  Selection selection;
  selection.predicted_cycles = alone.cycles;
  selection.schedule = finish_winograd(conv, target, alone.schedule);
  if (!is_comfortable(conv, target, selection.schedule)) return std::nullopt;
  if (threads > 1) {
    // What is computed stays the same, to the bit; only how it is shared out does not.
    const ScoredTile shared =
        best_tile(threads, {{selection.schedule.output_tile, selection.schedule.edges}});
    const Schedule schedule = finish_winograd(conv, target, shared.schedule);
    if (is_comfortable(conv, target, schedule)) selection.schedule = schedule;
  }
  const WinogradShape shape = winograd_shape(conv, selection.schedule);
  const double pixels = static_cast<double>(conv.n * conv.out.product());
  selection.reason = fmt::format(
      "winograd F({}x{},{}x{}) does {:.2f} of the products, {} tiles x {} vectors of {} at a time, "
      "{} of {} tiles a task",
      shape.h.m, shape.w.m, shape.h.taps, shape.w.taps,
      count_points(shape) / (pixels * static_cast<double>(conv.kernel.product())),
      selection.schedule.tile_pixels, selection.schedule.tile_vectors, selection.schedule.lanes,
      shape.tiles_per_task, shape.tiles);
  return selection;
}

}  // namespace convgen::codegen
