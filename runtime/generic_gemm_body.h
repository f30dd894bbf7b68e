// SPDX-License-Identifier: Apache-2.0
// The register tile of the matrix product; part of generic_kernels_body.h.

// for k: for v: load cols[k][v]; for i: broadcast row(i, k); for v: acc[i][v] += row * cols.
// All sums stay in registers for the whole depth, so each output is summed in one fixed order,
// k rising, whatever the blocking around. Per k: kRows + kVectors loads, kRows * kVectors FMAs.
template <int kRows, int kVectors, bool kPacked>
CONVGEN_TARGET void multiply_tile(const TileArgs& args) {
  Vector acc[kRows][kVectors] = {};
  const float* row = args.rows;
  const float* cols = args.cols;
  const int64_t row_stride = kPacked ? 1 : args.row_stride;
  for (int64_t k = 0; k < args.depth; ++k) {
    Vector col[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      col[v] = *reinterpret_cast<const VectorInMemory*>(cols + v * kLanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const float value = row[i * row_stride];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[i][v] += value * col[v];
    }
    row += kPacked ? kRows : 1;
    cols += kVectors * kLanes;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    float* out = args.out + i * args.out_stride;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      *reinterpret_cast<VectorInMemory*>(out + v * kLanes) = acc[i][v];
    }
  }
}
