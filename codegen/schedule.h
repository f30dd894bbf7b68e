// SPDX-License-Identifier: Apache-2.0
// Schedule: every decision about how one convolution is computed, as plain data that can be
// printed, parsed and given by hand. Emitters follow it and decide nothing; select_schedule.h
// fills it in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codegen/target.h"
#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "ir/export.h"
#include "ir/status.h"

namespace convgen::codegen {

enum class Algorithm {
  kDirect,     // a tile of output channels x pixels, src broadcast, weights as vectors
  kDepthwise,  // one channel a lane: src and weights as vectors
  kGrouped,    // several groups of few channels in one vector, sources permuted
  kRotated,    // the same with square groups: sums permuted, once a tile
  kPlanar,     // lanes are pixels of a row, weights broadcast; src has its channels first
  kStaged,     // the same, on planes that each task first copies its sources to
  kWinograd,   // stride 1: fewer products, on transformed tiles
  kFilter,     // image filters whose weights are known: constants in the code
};

// True where a vector of outputs spans groups, so that the nest sees one group with all channels.
constexpr bool lanes_span_groups(Algorithm algorithm) {
  return algorithm == Algorithm::kDepthwise || algorithm == Algorithm::kGrouped ||
         algorithm == Algorithm::kRotated;
}

// True where a vector holds pixels of one output channel.
constexpr bool lanes_are_pixels(Algorithm algorithm) {
  return algorithm == Algorithm::kPlanar || algorithm == Algorithm::kStaged;
}

// Where the loop over blocks of output channels stands. kOcOuter: around all pixels, so weights are
// read once and src once a block. kPixelOuter: in a task, around its pixels; src is read once and
// the weights once a task. kOcInner: in a tile, so that src and dst pass once, in the order they
// lie in memory; the weights stay in cache.
enum class LoopOrder { kOcOuter, kPixelOuter, kOcInner };

// What is unrolled beside the register tile, which always is.
enum class Unroll {
  kTile,  // taps and channels are loops
  kRow,   // the taps of a filter row too
  kTaps,  // all filter taps
  kFull,  // everything: no loop is left
};

// How outputs near the left and right border are computed. kExact: tiles whose taps are unrolled,
// each with just the pixels it reaches, and with code of their own. kShared: the same, but what
// comes before and behind the products is shared with the neighbouring tiles that are alike.
// kRanged: one pixel at a time with a computed tap range. kNested, of winograd: tiles at the right
// and bottom border have just the outputs they reach, and fewer products, on the first of the
// points of whole tiles, so that all share the transformed weights; elsewhere winograd computes
// whole tiles.
enum class Edges { kExact, kShared, kRanged, kNested };

// How accumulators leave a tile. kInline: post-ops unrolled over the registers. kLoop: through the
// stack, a loop over pixels holding the chain once, where the chain or the store is long.
enum class Epilogue { kInline, kLoop };

// How outputs reach memory. kCached: through the caches, where whoever reads them next finds them.
// kStreaming: past them, so that no line of dst is read before it is written; by whole vectors,
// where a call's dst is aligned to them, else as kCached.
enum class Stores { kCached, kStreaming };

struct Schedule {
  Algorithm algorithm = Algorithm::kDirect;
  int lanes = 4;         // floats a vector
  int tile_pixels = 1;   // output pixels of a row computed together; floats, in a filter
  int tile_vectors = 1;  // vectors of output channels computed together; channels, where lanes are
                         // pixels; rows, in a filter
  int ic_unroll = 1;     // input channels a step of the innermost loop
  LoopOrder order = LoopOrder::kOcOuter;
  Unroll unroll = Unroll::kTile;
  Edges edges = Edges::kExact;
  Epilogue epilogue = Epilogue::kInline;
  Stores stores = Stores::kCached;
  int output_tile = 4;          // winograd: outputs of a tile along an axis, 2 or 4
  int passes = 1;               // filter: 2 where columns are summed first, then rows of the sums
  bool merge_rows = false;      // treat all output pixels of an image as one row (1x1, no pads)
  int prefetch = 0;             // lines of the next block of weights fetched a step of ic_unroll
  int64_t rows_per_task = 1;    // output rows in one task
  int64_t tiles_per_task = 0;   // tiles of a row, for winograd of all images, in one task; 0 = all
  int64_t blocks_per_task = 0;  // winograd: blocks of output channels in one task; 0 = all

  // Output channels in one vector of the tile.
  int channel_lanes() const { return lanes_are_pixels(algorithm) ? 1 : lanes; }
  // Output channels computed together.
  int64_t oc_block() const { return int64_t{channel_lanes()} * tile_vectors; }
  // Vectors that hold the sums of a tile of so many pixels and (vectors of) channels.
  int accumulators(int pixels, int vectors) const {
    return vectors * (lanes_are_pixels(algorithm) ? (pixels + lanes - 1) / lanes : pixels);
  }
  bool operator==(const Schedule&) const = default;
};

// "direct lanes=16 tile=14x2 ic_unroll=2 order=oc_outer unroll=tile edges=exact epilogue=inline
// stores=cached output_tile=4 passes=1 merge_rows=0 prefetch=0 rows_per_task=4 tiles_per_task=0
// blocks_per_task=0", on one line.
CONVGEN_API std::string print_schedule(const Schedule& schedule);

// Reads words of a schedule over `base`: what is not said stays. Errors: invalid_argument naming
// the word, its value and what was expected.
CONVGEN_API Result<Schedule> parse_schedule(std::string_view text, const Schedule& base);

// Ok where the emitters can follow schedule for conv on target; else invalid_argument naming the
// field, its value and the rule, or resource_exhausted where the code would pass the hard limit.
// constants: the weights, where they are known.
CONVGEN_API Status check_schedule(const Schedule& schedule, const ir::Conv& conv,
                                  const Target& target, const ConstantWeights* constants = nullptr);

// Both: base, but for what `words` say. Where these leave no room for base's stores=streaming or
// edges=nested, which few schedules can have, they go back to cached and exact. Errors: those of
// parse_schedule and check_schedule.
CONVGEN_API Result<Schedule> refine_schedule(const Schedule& base, std::string_view words,
                                             const ir::Conv& conv, const Target& target,
                                             const ConstantWeights* constants = nullptr);

}  // namespace convgen::codegen
