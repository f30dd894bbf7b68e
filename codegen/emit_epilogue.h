// SPDX-License-Identifier: Apache-2.0
// The end of a tile: accumulators through the post-op chain into dst.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/ADT/StringRef.h>

#include <span>

#include "codegen/emit_nest.h"
#include "codegen/vector_math.h"

namespace convgen::codegen {

// The outputs of a tile. dst: offset of pixel 0, first channel, in floats; `add` lies alike.
struct TileOutputs {
  int pixels;
  int vectors;
  int last_lanes;
  llvm::Value* channel;  // first output channel, for bias and scale
  llvm::Value* dst;
};

// Every store is a run of neighbours in dst. Where the channels come last, that is an accumulator
// as it is; where they come first, tiles of lanes x lanes are transposed in registers, after which
// a vector holds pixels of one channel; where lanes are pixels and channels come last, the vectors
// of all channels are interleaved. With stores=streaming pointers.dst is aligned to vectors, and
// whole ones go past the caches.
class EpilogueEmitter {
 public:
  EpilogueEmitter(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                  const ActivationStrides& dst, const KernelPointers& pointers)
      : b_(b), math_(b), conv_(conv), schedule_(schedule), dst_(dst), pointers_(pointers) {}

  // kInline: straight from registers to dst. kLoop: through the stack, a loop over pixels (over
  // channels, where they come first) holding the chain once, in several passes where it is long.
  void emit(const TileOutputs& outputs, const Values& acc);

  // What the chain needs beside one vector of outputs.
  struct Operands {
    llvm::Value* bias = nullptr;
    llvm::Value* scale = nullptr;
    int lanes = 0;
  };
  using OperandsList = llvm::SmallVector<Operands, 4>;

  // Of floats `first` and on of a row in which `channels` channels repeat, the first of them
  // first_channel.
  Operands load_repeating(int64_t first_channel, int64_t channels, int64_t first);

  // Vectors that lie behind each other from dst on, so many floats of them. Asks for the operands
  // of each as it comes to it: loaded all at once they would push sums out of their registers.
  // kStreaming: dst aligned to vectors.
  using OperandsOf = llvm::function_ref<Operands(int64_t vector)>;
  void emit_side_by_side(const Values& vectors, int64_t floats, llvm::Value* dst,
                         OperandsOf operands, Stores stores = Stores::kCached);

 private:
  // One vector of outputs: its operands and where it lies in dst.
  struct VectorSite {
    Operands operands;
    llvm::Value* offset;
    bool interleaved = false;
    Stores stores = Stores::kCached;
  };
  using SiteOf = llvm::function_ref<VectorSite(llvm::Value* item, int k)>;

  void emit_channels_last(const TileOutputs& outputs, const Values& acc);
  void emit_interleaved(const TileOutputs& outputs, const Values& acc);
  Values rows_of_channels(const TileOutputs& outputs, const Values& acc, int runs);
  void emit_channels_first(const TileOutputs& outputs, const Values& acc);
  OperandsList load_channel_operands(const TileOutputs& outputs);
  Operands load_pixel_operands(const TileOutputs& outputs, llvm::Value* channel, int lanes);
  llvm::Value* stage_on_stack(const Values& vectors);
  void emit_vectors(const Values& vectors, int items, int per_item, llvm::StringRef name,
                    SiteOf site);
  llvm::Value* apply_chain(std::span<const ir::PostOp> chain, llvm::Value* x,
                           const VectorSite& site);
  int64_t lane_step(const VectorSite& site) const;
  llvm::Value* load(const VectorSite& site);
  void store(llvm::Value* x, const VectorSite& site);
  llvm::Value* apply(const ir::PostOp& op, llvm::Value* x, const Operands& operands,
                     llvm::Value* add);

  KernelBuilder& b_;
  VectorMath math_;
  const ir::Conv& conv_;
  const Schedule& schedule_;
  ActivationStrides dst_;
  const KernelPointers& pointers_;
};

}  // namespace convgen::codegen
