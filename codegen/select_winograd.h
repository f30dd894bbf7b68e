// SPDX-License-Identifier: Apache-2.0
// Where Winograd convolution is worth considering, its cost model, and its best schedule.
#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "codegen/select_schedule.h"

namespace convgen::codegen {

// Cycles that all threads together spend in one run, the way of weights and transformed tiles
// through memory included.
double predict_winograd_cycles(const ir::Conv& conv, const Schedule& schedule, const Target& target,
                               int threads = 1);

// The most tiles to compute together, of so many vectors, whose sums stay in registers
// (tests/codegen/spill_test.cpp). Among prefetches LLVM wants two registers more than sums, weights
// and a source take: of 32, 14x2, 5x5 and 4x6 spilled up to all their sums in every step.
int most_winograd_tile_pixels(const Target& target, int vectors, bool fetches_ahead);

// Lines of the next point's weights to fetch a step, between the tiles of the one before.
int select_weights_prefetch(const ir::Conv& conv, const Target& target, const Schedule& schedule);

// What decides the bits of a winograd schedule's outputs.
struct WinogradForm {
  int output_tile;
  Edges edges;  // kExact, or kNested
};
inline constexpr std::initializer_list<WinogradForm> kWinogradForms = {
    {2, Edges::kExact}, {4, Edges::kExact}, {2, Edges::kNested}, {4, Edges::kNested}};

// Every tile and task of winograd that the selector weighs, with the cycles of the slowest of so
// many threads, times their number. None where the convolution has none, or too little to save.
std::vector<ScoredTile> scored_winograd_tiles(
    const ir::Conv& conv, const Target& target, int threads,
    std::initializer_list<WinogradForm> forms = kWinogradForms);

// What is decided once those are: steps, prefetch and the form of the epilogue.
Schedule finish_winograd(const ir::Conv& conv, const Target& target, Schedule schedule);

// The best winograd schedule; none where the convolution has none, or too little to save. The
// cycles and the form are those of one thread, whatever the number of them, so that this number
// changes no bit of the outputs.
std::optional<Selection> select_winograd(const ir::Conv& conv, const Target& target, int threads);

}  // namespace convgen::codegen
