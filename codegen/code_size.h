// SPDX-License-Identifier: Apache-2.0
// How much code a schedule makes, estimated before anything is emitted: LLVM's time grows faster
// than linearly with a block, so what is too long is refused, never tried.
#pragma once

#include <span>
#include <vector>

#include "codegen/schedule.h"
#include "ir/conv.h"

namespace convgen::codegen {

// Vector operations, as doubles since asking for everything unrolled may pass 2^63.
struct CodeSize {
  double total = 0;          // in the function
  double longest_block = 0;  // without a branch
};

// One block of 4,096 vector operations takes LLVM 19 about 2 s, four times that 20 times as long.
inline constexpr double kMaxBlockOps = 4096;
// About 17 us a vector operation where blocks are short: 0.5 s.
inline constexpr double kMaxTotalOps = 32768;
// About 0.15 s: more than this is not selected as long as there is a way round.
inline constexpr double kComfortableOps = 8192;

// A looped epilogue takes a long chain in several passes, each with about so many operations: 200
// gelu in one block take 0.8 s, 400 take 3.6 s.
inline constexpr double kMaxPassOps = 512;

// The chain as the passes of a looped epilogue; one empty pass where there is no chain.
std::vector<std::span<const ir::PostOp>> split_chain(const std::vector<ir::PostOp>& post);

// Needs a schedule whose fields are in range. Exact edges with very many border pixels are
// counted, not listed.
CodeSize estimate_code_size(const ir::Conv& conv, const Schedule& schedule);

}  // namespace convgen::codegen
