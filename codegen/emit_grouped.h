// SPDX-License-Identifier: Apache-2.0
// Groups of few channels: a vector holds the outputs of several whole groups, and the sources of
// the same groups. Depthwise is the plainest case, one channel in and one out a group.
#pragma once

#include "codegen/emit_nest.h"

namespace convgen::codegen {

// Emits, for one row of taps and a tile of P pixels x V vectors,
//   for each column of src the tile reads, from left to right
//     x[v] = the channels of vector v's groups    one vector load
//     for ic                                      of a group
//       s = x[v], lane by lane the channel ic of the lane's own group     one permute
//       acc[p][v] += s * w[kw, ic, v]             for each pixel p and tap kw that meet here
// so that neighbouring pixels share loads and permutes. An output still sees kw, then ic, in order.
// Where the taps of a row are not unrolled, each is a run of its own and nothing is shared.
class GroupedTapEmitter : public TapEmitter {
 public:
  GroupedTapEmitter(KernelBuilder& b, const Schedule& schedule, const NestShape& shape)
      : b_(b), schedule_(schedule), shape_(shape) {}
  Values emit_taps(const TileSite& site, const TapRow& row, Values acc) override;

 private:
  // Where a row of `taps` taps begins.
  struct TapRun {
    llvm::Value* src;
    llvm::Value* weights;
    int64_t taps;
  };
  TapRun run_at(const TileSite& site, llvm::Value* kw, int64_t taps);
  Values emit_run(const TileSite& site, const TapRow& row, const TapRun& run, Values acc);
  llvm::Value* load_groups(const TileSite& site, const TapRun& run, int64_t column, int v);
  llvm::Value* spread(llvm::Value* groups, int64_t ic);

  KernelBuilder& b_;
  const Schedule& schedule_;
  const NestShape& shape_;
};

}  // namespace convgen::codegen
