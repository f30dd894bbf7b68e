// SPDX-License-Identifier: Apache-2.0
// The end of a tile: accumulators through the post-op chain into dst.
#pragma once

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

class EpilogueEmitter {
 public:
  EpilogueEmitter(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                  const ActivationStrides& dst, const KernelPointers& pointers)
      : b_(b), math_(b), conv_(conv), schedule_(schedule), dst_(dst), pointers_(pointers) {}

  // kInline: straight from registers to dst. kLoop: the accumulators pass through the stack and a
  // loop over pixels holds the chain once, for chains and stores that are long.
  void emit(const TileOutputs& outputs, const Values& acc);

 private:
  // What one vector of channels needs for all pixels.
  struct ChannelOperands {
    llvm::Value* bias = nullptr;
    llvm::Value* scale = nullptr;
    int lanes = 0;
  };
  llvm::SmallVector<ChannelOperands, 4> load_channel_operands(const TileOutputs& outputs);
  void emit_looped(const TileOutputs& outputs, const Values& acc,
                   llvm::ArrayRef<ChannelOperands> operands);
  void emit_vector(llvm::Value* x, const ChannelOperands& operands, llvm::Value* offset);
  llvm::Value* apply(const ir::PostOp& op, llvm::Value* x, const ChannelOperands& operands,
                     llvm::Value* add);

  KernelBuilder& b_;
  VectorMath math_;
  const ir::Conv& conv_;
  const Schedule& schedule_;
  ActivationStrides dst_;
  const KernelPointers& pointers_;
};

}  // namespace convgen::codegen
