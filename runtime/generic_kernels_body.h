// SPDX-License-Identifier: Apache-2.0
// All kernels for one instruction set; text for generic_kernels.cpp, which includes it inside a
// namespace per set. Expects CONVGEN_TARGET (function attribute), CONVGEN_LANES and
// CONVGEN_TILE_ROWS, and undefines them. No include guard: it is meant to be read several times.

constexpr int kLanes = CONVGEN_LANES;
constexpr int kTileRows = CONVGEN_TILE_ROWS;
static_assert(kTileRows <= kMaxTileRows);

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));
// The same, wherever a float may lie in memory.
typedef float VectorInMemory
    __attribute__((vector_size(kLanes * sizeof(float)), aligned(sizeof(float)), may_alias));

#include "runtime/generic_depthwise_body.h"
#include "runtime/generic_gemm_body.h"
#include "runtime/generic_post_ops_body.h"

template <int... kIndex>
constexpr void fill_tiles(Kernels& kernels, std::integer_sequence<int, kIndex...>) {
  ((kernels.strided_tile[0][kIndex] = multiply_tile<kIndex + 1, 1, false>), ...);
  ((kernels.strided_tile[1][kIndex] = multiply_tile<kIndex + 1, 2, false>), ...);
  ((kernels.packed_tile[0][kIndex] = multiply_tile<kIndex + 1, 1, true>), ...);
  ((kernels.packed_tile[1][kIndex] = multiply_tile<kIndex + 1, 2, true>), ...);
}

constexpr Kernels make_kernels(const char* name) {
  Kernels kernels;
  kernels.name = name;
  kernels.lanes = kLanes;
  kernels.tile_rows = kTileRows;
  fill_tiles(kernels, std::make_integer_sequence<int, kTileRows>());
  kernels.depthwise_pixels = depthwise_pixels;
  kernels.depthwise_row = depthwise_row;
  kernels.apply_post_ops = apply_post_ops;
  return kernels;
}

#undef CONVGEN_TARGET
#undef CONVGEN_LANES
#undef CONVGEN_TILE_ROWS
