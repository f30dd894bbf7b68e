// SPDX-License-Identifier: Apache-2.0
#include "codegen/candidate_schedules.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>
#include <utility>

#include "codegen/code_size.h"
#include "codegen/cost_model.h"
#include "codegen/nest_shape.h"
#include "codegen/select_schedule.h"
#include "codegen/select_winograd.h"
#include "codegen/winograd.h"

namespace convgen::codegen {
namespace {

// The model is off by less than this between tiles of one algorithm, and between algorithms.
constexpr double kWorstTile = 1.5;
constexpr double kWorstAlgorithm = 3;

// The list so far: what is added is new, legal and of comfortable size.
class CandidateList {
 public:
  CandidateList(const ir::Conv& conv, const Target& target, const Schedule& selected)
      : conv_(conv), target_(target), schedules_{selected} {}

  size_t size() const { return schedules_.size(); }
  const Schedule& operator[](size_t i) const { return schedules_[i]; }

  void add(const Schedule& schedule) {
    if (std::ranges::find(schedules_, schedule) != schedules_.end()) return;
    if (!check_schedule(schedule, conv_, target_).ok()) return;
    if (estimate_code_size(conv_, schedule).total > kComfortableOps) return;
    schedules_.push_back(schedule);
  }

  std::vector<Schedule> take() { return std::move(schedules_); }

 private:
  const ir::Conv& conv_;
  const Target& target_;
  std::vector<Schedule> schedules_;
};

// --- The cost model's best ---

// Tiles of one kind differ in their length alone.
using Kind = std::tuple<Algorithm, int, int, int, Edges>;

Kind kind_of(const Schedule& s) {
  const int width = lanes_are_pixels(s.algorithm) ? s.tile_pixels : s.tile_vectors;
  return {s.algorithm, s.lanes, width, s.output_tile, s.edges};
}

// The best of each algorithm, then the best of each kind of tile, then the rest; each by cycles. By
// cycles alone the first dozen would be one tile with a pixel more or less.
std::vector<ScoredTile> rank_tiles(std::vector<ScoredTile> tiles) {
  std::erase_if(tiles, [](const ScoredTile& tile) { return !std::isfinite(tile.cycles); });
  std::ranges::stable_sort(tiles, {}, &ScoredTile::cycles);
  std::set<Algorithm> algorithms;
  std::set<Kind> kinds;
  std::vector<ScoredTile> ranked[3];
  for (const ScoredTile& tile : tiles) {
    const bool first_algorithm = algorithms.insert(tile.schedule.algorithm).second;
    const bool first_kind = kinds.insert(kind_of(tile.schedule)).second;
    if (tile.cycles > tiles.front().cycles * (first_algorithm ? kWorstAlgorithm : kWorstTile))
      continue;
    ranked[first_algorithm ? 0 : first_kind ? 1 : 2].push_back(tile);
  }
  for (const int rank : {1, 2})
    ranked[0].insert(ranked[0].end(), ranked[rank].begin(), ranked[rank].end());
  return ranked[0];
}

// --- Variations along one axis ---

using Variations = std::vector<Schedule>;

template <typename T>
Variations vary(const Schedule& from, T Schedule::*field, std::initializer_list<T> values) {
  Variations variations;
  for (const T& value : values) {
    Schedule schedule = from;
    schedule.*field = value;
    if (!(schedule == from)) variations.push_back(schedule);
  }
  return variations;
}

// Another order wants other tasks: a whole image with one block of channels, or a row with all.
Variations vary_order(const Schedule& from, const NestShape& shape) {
  Variations variations = vary(from, &Schedule::order,
                               {LoopOrder::kPixelOuter, LoopOrder::kOcOuter, LoopOrder::kOcInner});
  for (const Schedule& other : Variations(variations)) {
    Schedule schedule = other;
    schedule.rows_per_task =
        other.order == LoopOrder::kOcOuter ? std::max<int64_t>(1, shape.out.h) : 1;
    if (!(schedule == other)) variations.push_back(schedule);
  }
  return variations;
}

Variations vary_tasks(const Schedule& from, const NestShape& shape) {
  const int64_t most = std::max<int64_t>(1, shape.out.h);
  const int64_t rows = std::min(from.rows_per_task, most);
  return vary<int64_t>(from, &Schedule::rows_per_task,
                       {(rows + 1) / 2, rows > most / 2 ? most : 2 * rows, most, 1, (rows + 3) / 4,
                        (most + 1) / 2, std::min<int64_t>(2, most)});
}

Variations vary_tiles(const Schedule& from, const NestShape& shape) {
  const int64_t tiles = from.tiles_per_task == 0 ? shape.row_tiles : from.tiles_per_task;
  if (shape.row_tiles <= 1 || from.algorithm == Algorithm::kStaged) return {};
  return vary<int64_t>(from, &Schedule::tiles_per_task, {(tiles + 1) / 2, 0, (tiles + 3) / 4});
}

// Several steps side by side need registers that tiles of pixels do not have.
Variations vary_steps(const Schedule& from) {
  if (lanes_span_groups(from.algorithm)) return {};
  if (lanes_are_pixels(from.algorithm)) return vary(from, &Schedule::ic_unroll, {1, 2});
  return vary(from, &Schedule::ic_unroll, {2, 1, 4, 8, 3, 6, 16});
}

Variations vary_prefetch(const Schedule& from) {
  if (from.algorithm != Algorithm::kDirect) return {};
  return vary(from, &Schedule::prefetch, {0, 1, 2, 4, 8});
}

// Never the other way round: past the caches a kernel alone is faster even where whoever reads dst
// next loses more than that.
Variations vary_stores(const Schedule& from) {
  return vary(from, &Schedule::stores, {Stores::kCached});
}

// A pixel or a vector more or less, as far as registers go.
Variations vary_tile(const ir::Conv& conv, const Target& target, const Schedule& from) {
  if (lanes_are_pixels(from.algorithm)) {
    const int runs = std::min((from.tile_pixels + from.lanes - 1) / from.lanes, kMaxPlanarRuns);
    const int most = max_planar_channels(target, runs, from.lanes, interleaves_dst(conv));
    return vary(
        from, &Schedule::tile_vectors,
        {std::clamp(from.tile_vectors - 1, 1, most), std::clamp(from.tile_vectors + 1, 1, most)});
  }
  Variations variations;
  for (const int vectors : {from.tile_vectors, from.tile_vectors + 1, from.tile_vectors - 1}) {
    if (vectors < 1 || vectors > kMaxTileVectors) continue;
    const int most =
        max_tile_pixels(target, from.algorithm, vectors, conv.kernel.w, conv.ic_per_group());
    const int same = from.tile_pixels * from.tile_vectors / vectors;  // as many sums
    for (const int pixels : {same - 1, same + 1, same, same - 2}) {
      Schedule schedule = from;
      schedule.tile_vectors = vectors;
      schedule.tile_pixels = pixels;
      if (pixels >= 1 && pixels <= most && !(schedule == from)) variations.push_back(schedule);
    }
  }
  return variations;
}

// Half a vector, and twice as many of them where registers allow.
Variations vary_lanes(const ir::Conv& conv, const Target& target, const Schedule& from) {
  if (from.lanes <= 4) return {};
  Schedule half = from;
  half.lanes /= 2;
  if (lanes_are_pixels(from.algorithm)) half.tile_pixels = (from.tile_pixels + 1) / 2;
  Variations variations = {half};
  if (lanes_are_pixels(from.algorithm) || 2 * from.tile_vectors > kMaxTileVectors)
    return variations;
  half.tile_vectors *= 2;
  const int most = max_tile_pixels(target, from.algorithm, half.tile_vectors, conv.kernel.w,
                                   conv.ic_per_group());
  half.tile_pixels = std::clamp(from.tile_pixels, 1, std::max(1, most));
  variations.push_back(half);
  return variations;
}

// The first of each axis, then the second of each, and so on, so that a few of them go everywhere.
Variations by_turns(const std::vector<Variations>& axes) {
  Variations all;
  size_t longest = 0;
  for (const Variations& axis : axes) longest = std::max(longest, axis.size());
  for (size_t i = 0; i < longest; ++i)
    for (const Variations& axis : axes)
      if (i < axis.size()) all.push_back(axis[i]);
  return all;
}

// Tasks of winograd are runs of tiles, whole register tiles of them.
Variations vary_winograd_tasks(const ir::Conv& conv, const Schedule& from) {
  const WinogradShape shape = winograd_shape(conv, from);
  const int64_t tiles = shape.tiles_per_task;
  return vary<int64_t>(from, &Schedule::tiles_per_task,
                       {(tiles + 1) / 2, std::min(2 * tiles, shape.tiles), 0, (tiles + 3) / 4,
                        std::min(4 * tiles, shape.tiles)});
}

Variations vary_winograd_blocks(const ir::Conv& conv, const Schedule& from) {
  const int64_t blocks = winograd_shape(conv, from).blocks_per_task;
  if (blocks == 1) return {};
  return vary<int64_t>(from, &Schedule::blocks_per_task, {(blocks + 1) / 2, 0, (blocks + 3) / 4});
}

std::vector<Variations> winograd_axes(const ir::Conv& conv, const Target& target,
                                      const Schedule& from) {
  return {
      vary_winograd_tasks(conv, from),
      vary_tile(conv, target, from),
      vary(from, &Schedule::order, {LoopOrder::kOcOuter, LoopOrder::kPixelOuter}),
      vary(from, &Schedule::output_tile, {4, 2}),
      vary(from, &Schedule::edges, {Edges::kNested, Edges::kExact}),
      vary(from, &Schedule::prefetch, {0, 2, 4, 1, 8}),
      vary(from, &Schedule::ic_unroll, {2, 4, 1, 8}),
      vary_winograd_blocks(conv, from),
      vary_stores(from),
  };
}

// Every schedule that differs from `from` along one axis.
Variations variations_of(const ir::Conv& conv, const Target& target, const Schedule& from) {
  if (from.algorithm == Algorithm::kWinograd) return by_turns(winograd_axes(conv, target, from));
  const NestShape shape = nest_shape(conv, from);
  return by_turns({
      vary_order(from, shape),
      vary_tasks(from, shape),
      vary_steps(from),
      vary_tile(conv, target, from),
      vary(from, &Schedule::unroll, {Unroll::kTile, Unroll::kRow, Unroll::kTaps}),
      vary_prefetch(from),
      vary_tiles(from, shape),
      vary_lanes(conv, target, from),
      vary(from, &Schedule::edges, {Edges::kExact, Edges::kShared, Edges::kRanged}),
      vary(from, &Schedule::merge_rows, {true, false}),
      vary(from, &Schedule::epilogue, {Epilogue::kInline, Epilogue::kLoop}),
      vary_stores(from),
  });
}

// --- Random ones ---

// splitmix64. The standard's engines are portable, its distributions are not.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }

 private:
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

// Two or three steps away from one of the best.
void add_random(const ir::Conv& conv, const Target& target, uint64_t seed, size_t wanted,
                CandidateList& list) {
  constexpr size_t kBases = 6;
  constexpr int kTries = 8;  // a candidate: most steps are legal
  Random random(seed);
  const size_t bases = std::min(kBases, list.size());
  for (size_t i = 0; i < kTries * wanted && list.size() < wanted; ++i) {
    Schedule schedule = list[random.below(bases)];
    for (size_t steps = 2 + random.below(2); steps > 0; --steps) {
      const Variations next = variations_of(conv, target, schedule);
      if (next.empty()) break;
      const Schedule step = next[random.below(next.size())];
      if (check_schedule(step, conv, target).ok()) schedule = step;
    }
    list.add(schedule);
  }
}

}  // namespace

std::vector<Schedule> candidate_schedules(const ir::Conv& conv, const Target& target, int threads,
                                          const CandidateOptions& options) {
  const Schedule selected = select_schedule(conv, target, threads).schedule;
  CandidateList list(conv, target, selected);
  if (conv.dst_elements() == 0) return list.take();
  const auto best = static_cast<size_t>(std::max(1, options.best));
  std::vector<ScoredTile> tiles = scored_tiles(conv, target);
  for (const ScoredTile& tile : scored_winograd_tiles(conv, target, threads)) tiles.push_back(tile);
  for (const ScoredTile& tile : rank_tiles(std::move(tiles))) {
    if (list.size() >= best) break;
    list.add(tile.schedule.algorithm == Algorithm::kWinograd
                 ? finish_winograd(conv, target, tile.schedule)
                 : finish_schedule(conv, target, threads, tile.schedule));
  }
  const auto sampled = static_cast<size_t>(std::max(0, options.sampled));
  const size_t all = list.size() + sampled;
  const size_t varied = list.size() + sampled * 2 / 3;
  for (const Schedule& schedule : schedule_variations(conv, target, selected)) {
    if (list.size() >= varied) break;
    list.add(schedule);
  }
  add_random(conv, target, options.seed, all, list);
  return list.take();
}

std::vector<Schedule> schedule_variations(const ir::Conv& conv, const Target& target,
                                          const Schedule& from) {
  CandidateList list(conv, target, from);
  for (const Schedule& schedule : variations_of(conv, target, from)) list.add(schedule);
  std::vector<Schedule> all = list.take();
  all.erase(all.begin());
  return all;
}

}  // namespace convgen::codegen
