// SPDX-License-Identifier: Apache-2.0
#include "codegen/select_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <tuple>

#include "codegen/code_size.h"
#include "codegen/cost_model.h"
#include "codegen/nest_shape.h"

namespace convgen::codegen {
namespace {

// Most of what is loaded begins anywhere, and lies in two lines.
constexpr double kLoadPorts = 2 / 1.75;
constexpr double kFmaPorts = 2;
constexpr double kFmaLatency = 4;
constexpr double kStoreCycles = 1.5;  // with post-ops, of a vector
constexpr double kTileOverhead = 12;
constexpr double kCopyCycles = 3;  // of a vector of a tile at the border

// Rows of outputs that share loads. More bring little, and take registers, but where the image
// comes from memory.
constexpr int kMaxRows = 4;
constexpr int kMaxRowsFromMemory = 8;
constexpr int kMaxRuns = 8;

// Vector operations of one tile with so many rows of outputs.
struct Work {
  double products = 0;   // by weights that need a product
  double additions = 0;  // by weights of 1 and -1
  double loads = 0;
  double probes = 0;
  double rows = 0;  // of src
};

// `by_row`: taps of each output row are on a row of their own, as in the second of two passes.
Work work_of(const std::vector<FilterTap>& taps, int64_t stride_h, int rows, double runs,
             bool by_row = false) {
  std::set<std::tuple<int64_t, int64_t, int64_t>> loads;
  std::set<std::pair<int64_t, int64_t>> sources;
  Work work;
  for (int64_t r = 0; r < rows; ++r)
    for (const FilterTap& tap : taps) {
      const int64_t row = by_row ? r : tap.row + r * stride_h;
      const bool plain = tap.weights.size() == 1 && std::abs(tap.weights[0]) == 1;
      (plain ? work.additions : work.products) += (tap.inside.empty() ? 1 : 1.5) * runs;
      loads.insert({row, tap.plane, tap.shift});
      sources.insert({row, tap.plane});
    }
  work.loads = static_cast<double>(loads.size()) * runs;
  work.rows = static_cast<double>(sources.size());
  return work;
}

double cycles_of(const Work& work, size_t taps, const Target& target) {
  const double products = (work.products + work.probes) * (target.has_fma ? 1 : 2);
  return std::max({(products + work.additions) / kFmaPorts, work.loads / kLoadPorts,
                   kFmaLatency * static_cast<double>(taps)});
}

bool probes_zeros(const FilterPass& pass, bool assume_finite) {
  return pass.has_zeros() && !assume_finite;
}

// One tile of so many rows of outputs.
double tile_cycles(const ir::Conv& conv, const FilterPlan& plan, const FilterPass& pass,
                   bool assume_finite, const Schedule& schedule, int rows, const Target& target) {
  const double runs = schedule.tile_pixels / schedule.lanes;
  const double stores = rows * runs * pass.outputs * kStoreCycles;
  if (schedule.passes == 2) {
    const FilterFactors& factors = *plan.factors;
    const Work column = work_of(factors.column, conv.strides.h, rows, runs);
    const Work row = work_of(factors.row, 1, rows, runs, true);
    double probes = probes_zeros(pass, assume_finite) ? column.rows * runs : 0;
    if (factors.sums_may_overflow) probes += rows * runs / kFmaPorts;
    return cycles_of(column, factors.column.size(), target) + rows * runs +
           cycles_of(row, factors.row.size(), target) + stores + 2 * kTileOverhead + probes;
  }
  Work work = work_of(pass.taps, conv.strides.h, rows, runs);
  if (probes_zeros(pass, assume_finite))
    work.probes = work_of(pass.all_taps, conv.strides.h, rows, runs).rows * runs;
  return cycles_of(work, pass.taps.size(), target) + stores + kTileOverhead;
}

// Longest block and all blocks, in vector operations.
CodeSize code_size_of(const ir::Conv& conv, const FilterPlan& plan, const Schedule& schedule) {
  CodeSize size;
  const double runs = schedule.tile_pixels / schedule.lanes;
  const FilterTiles tiles = filter_tiles(plan.geometry, schedule);
  const auto border = static_cast<double>(tiles.first_inner + tiles.count - tiles.last_inner);
  const double post = 2 + 8 * static_cast<double>(conv.post.size());
  const FilterScratch scratch = filter_scratch(conv, plan.geometry, schedule);
  for (const FilterPass& pass : plan.passes)
    for (const int rows : {schedule.tile_vectors, 1}) {
      const Work work = work_of(pass.all_taps, conv.strides.h, rows, runs);
      const double copies = work.rows * static_cast<double>(scratch.border_pitch / schedule.lanes);
      const double block =
          1.5 * (work.products + work.additions) + work.loads + rows * runs * pass.outputs * post;
      size.longest_block = std::max(size.longest_block, block + 3 * copies);
      const double inner = schedule.stores == Stores::kStreaming ? 2 : 1;
      size.total += (border + inner) * block + border * 3 * copies;
    }
  return size;
}

// Sums of a tile, and of the look at what it reads, that stay in registers beside sources on their
// way and weights: as many as no selected filter of a picture spills (spill_test.cpp). Narrow
// vectors wait for memory, and a sum more on its way to L1 costs less than a row of src read again.
int registers_for_sums(const Target& target, bool narrow) {
  if (target.vector_registers < 32) return 7;
  return narrow ? 24 : 18;
}

// An image that passes half of L3, on a core that takes it in narrower vectors then.
bool takes_narrow_vectors(const ir::Conv& conv, const Target& target) {
  const double bytes = 4.0 * static_cast<double>(conv.src_elements() + conv.dst_elements()) /
                       static_cast<double>(std::max<int64_t>(1, conv.n));
  const int lanes = target.core.filter_lanes_from_memory;
  return lanes > 0 && lanes < target.max_lanes &&
         bytes > 0.5 * static_cast<double>(target.l3_bytes);
}

// Tiles begin at multiples of a vector, so every row has to.
bool rows_are_whole_vectors(const FilterGeometry& g, int64_t lanes) {
  const int64_t row = g.out_floats * g.outputs;
  return row % lanes == 0;
}

// Fetching lines of dst to overwrite them is a third of all that moves (edge, 1080p, 3 channels:
// 1104 us against 776, a copy through the caches 831).
Stores select_filter_stores(const ir::Conv& conv, const FilterPlan& plan, int64_t lanes,
                            const Target& target) {
  const bool streams = target.has_streaming_stores && !conv.uses(ir::PostOpKind::kAdd) &&
                       rows_are_whole_vectors(plan.geometry, lanes) && passes_l3(conv, target);
  return streams ? Stores::kStreaming : Stores::kCached;
}

// Even tasks for threads, whole blocks of rows in each.
int64_t select_rows_per_task(const ir::Conv& conv, const Schedule& schedule, int threads) {
  if (threads == 1) return conv.out.h;
  const int64_t tasks = (int64_t{4} * threads + conv.n - 1) / conv.n;
  const int64_t rows = (conv.out.h + tasks - 1) / tasks;
  const int64_t together = schedule.tile_vectors;
  return std::min((rows + together - 1) / together * together, conv.out.h);
}

std::string describe(const FilterPlan& plan, const Schedule& schedule) {
  size_t taps = 0, all = 0;
  for (const FilterPass& pass : plan.passes) {
    taps += pass.taps.size();
    all += pass.all_taps.size();
  }
  std::string text = fmt::format(
      "weights are constants: {} of {} taps left, rows of {} floats, {} rows x {} floats at a time",
      taps, all, plan.geometry.out_floats * plan.geometry.outputs, schedule.tile_vectors,
      schedule.tile_pixels);
  if (schedule.passes == 2) {
    const FilterFactors& factors = *plan.factors;
    text += fmt::format(", {} along columns, then {} along rows", factors.column.size(),
                        factors.row.size());
  }
  return text;
}

Status check_stores(const Schedule& s, const FilterPlan& plan, const Target& target) {
  if (s.stores == Stores::kCached) return Status();
  if (!target.has_streaming_stores)
    return invalid_argument("schedule stores=streaming: must be x86, no other target streams");
  const FilterGeometry& g = plan.geometry;
  if (rows_are_whole_vectors(g, s.lanes)) return Status();
  return invalid_argument(
      fmt::format("schedule stores=streaming lanes={}: {} floats in a row of dst must be a "
                  "multiple of the lanes",
                  s.lanes, g.out_floats * g.outputs));
}

Status check_filter(const Schedule& s, const ir::Conv& conv, const FilterPlan& plan,
                    const Target& target) {
  const FilterGeometry& g = plan.geometry;
  if (Status status = check_stores(s, plan, target); !status.ok()) return status;
  const int64_t reach = g.last_shift - g.first_shift;
  if (s.tile_pixels % s.lanes != 0 || s.tile_pixels % g.period != 0 || s.tile_pixels < reach)
    return invalid_argument(fmt::format(
        "schedule tile={}x{}: floats of a filter's tile must be a multiple of {} lanes and of {} "
        "channels, and at least {}",
        s.tile_pixels, s.tile_vectors, s.lanes, g.period, reach));
  if (s.passes == 2 && !plan.factors)
    return invalid_argument(
        "schedule passes=2: the filter must be one column times one row of weights");
  if (s.unroll != Unroll::kTile)
    return invalid_argument("schedule unroll: must be tile, which unrolls all taps of a filter");
  if (filter_scratch(conv, g, s).floats > kMaxScratchFloats)
    return resource_exhausted("schedule algorithm=filter: rows too long for scratch");
  const CodeSize size = code_size_of(conv, plan, s);
  if (size.total <= kMaxTotalOps && size.longest_block <= kMaxBlockOps) return Status();
  return resource_exhausted(fmt::format(
      "schedule tile={}x{}: about {:.0f} vector operations, {:.0f} of them in one block, must be "
      "at most {:.0f} and {:.0f}",
      s.tile_pixels, s.tile_vectors, size.total, size.longest_block, kMaxTotalOps, kMaxBlockOps));
}

}  // namespace

double predict_filter_cycles(const ir::Conv& conv, const FilterPlan& plan, bool assume_finite,
                             const Schedule& schedule, const Target& target) {
  const FilterTiles tiles = filter_tiles(plan.geometry, schedule);
  const FilterScratch scratch = filter_scratch(conv, plan.geometry, schedule);
  const auto border = static_cast<double>(tiles.first_inner + tiles.count - tiles.last_inner);
  const double copies = static_cast<double>(scratch.border_pitch / schedule.lanes) * kCopyCycles;
  double cycles = 0;
  for (const FilterPass& pass : plan.passes) {
    const auto blocks = [&](int rows, double count) {
      const double sources = work_of(pass.all_taps, conv.strides.h, rows, 1).rows;
      const double tile = tile_cycles(conv, plan, pass, assume_finite, schedule, rows, target);
      const double ends = schedule.passes == 1 ? border * sources * copies : 0;
      return count * (static_cast<double>(tiles.count) * tile + ends);
    };
    const int64_t together = schedule.tile_vectors;
    cycles += blocks(schedule.tile_vectors, static_cast<double>(conv.out.h / together)) +
              blocks(1, static_cast<double>(conv.out.h % together));
  }
  const double bytes =
      4.0 * (static_cast<double>(conv.src_elements()) / static_cast<double>(conv.n) +
             static_cast<double>(conv.dst_elements()) / static_cast<double>(conv.n));
  const bool fits = bytes <= 0.75 * static_cast<double>(target.l2_bytes);
  const double memory = fits ? 0 : bytes / target.core.memory_bytes;
  // What is not the bottleneck does not hide behind it whole.
  constexpr double kExposed = 0.1;
  return static_cast<double>(conv.n) *
         (std::max(cycles, memory) + kExposed * std::min(cycles, memory));
}

Status check_filter(const Schedule& s, const ir::Conv& conv, const Target& target,
                    const ConstantWeights* constants) {
  if (constants == nullptr)
    return invalid_argument("schedule algorithm=filter: must have constant weights");
  const auto plan = plan_filter(conv, *constants);
  if (plan) return check_filter(s, conv, *plan, target);
  return invalid_argument(
      "schedule algorithm=filter: must have a 1D or 2D convolution of few channels, stride 1 "
      "along the width, src and dst in one layout, and finite weights");
}

std::optional<Selection> select_filter(const ir::Conv& conv, const ConstantWeights& constants,
                                       const Target& target, int threads) {
  const auto plan = plan_filter(conv, constants);
  if (!plan) return std::nullopt;
  const bool probing = std::any_of(
      plan->passes.begin(), plan->passes.end(),
      [&](const FilterPass& pass) { return probes_zeros(pass, constants.assume_finite); });
  std::optional<Selection> best;
  Schedule schedule;
  schedule.algorithm = Algorithm::kFilter;
  const bool narrow = takes_narrow_vectors(conv, target);
  schedule.lanes = narrow ? target.core.filter_lanes_from_memory : target.max_lanes;
  schedule.epilogue = select_epilogue(conv);
  schedule.stores = select_filter_stores(conv, *plan, schedule.lanes, target);
  const int most_rows = narrow ? kMaxRowsFromMemory : kMaxRows;
  const auto step = static_cast<int>(plan->geometry.period /
                                     std::gcd(plan->geometry.period, int64_t{schedule.lanes}));
  // No tile is narrower than the filter, be there registers for it or not.
  const int64_t reach = plan->geometry.last_shift - plan->geometry.first_shift;
  const auto fewest = static_cast<int>(std::max<int64_t>(
      step, (reach + step * schedule.lanes - 1) / (step * schedule.lanes) * step));
  for (int runs = fewest; runs <= std::max(kMaxRuns, fewest); runs += step)
    for (int rows = 1; rows <= std::min<int64_t>(most_rows, conv.out.h); ++rows)
      for (int passes = 1; passes <= (plan->factors ? 2 : 1); ++passes) {
        const int64_t sums = runs * rows * plan->geometry.outputs + (probing ? runs : 0);
        if (sums > registers_for_sums(target, narrow) && (rows > 1 || runs > fewest)) continue;
        schedule.tile_pixels = runs * schedule.lanes;
        schedule.tile_vectors = rows;
        schedule.passes = passes;
        schedule.rows_per_task = select_rows_per_task(conv, schedule, threads);
        if (!check_filter(schedule, conv, *plan, target).ok()) continue;
        const double cycles =
            predict_filter_cycles(conv, *plan, constants.assume_finite, schedule, target);
        // Longer code must be worth its compile time.
        if (best && cycles >= best->predicted_cycles * 0.97) continue;
        best = Selection{schedule, cycles, describe(*plan, schedule)};
      }
  return best;
}

}  // namespace convgen::codegen
