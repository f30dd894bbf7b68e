// SPDX-License-Identifier: Apache-2.0
// KernelBuilder: the small vocabulary every emitter speaks. Raw LLVM Create* calls live here and in
// loop_nest; constant operands fold, so an index known at emission costs nothing in the code.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <cstdint>

#include "codegen/target.h"

namespace convgen::codegen {

using Values = llvm::SmallVector<llvm::Value*, 40>;

class KernelBuilder : public llvm::IRBuilder<> {
 public:
  // lanes: floats a vector. All floating-point arithmetic is emitted without fast-math flags:
  // fused multiply-adds are asked for by name, and nothing may be reordered.
  KernelBuilder(llvm::Module& module, const Target& target, int lanes);

  int lanes() const { return lanes_; }
  // Emits what body does with vectors of so many lanes.
  void with_lanes(int lanes, llvm::function_ref<void()> body);
  llvm::FixedVectorType* vector_type() { return llvm::FixedVectorType::get(getFloatTy(), lanes_); }
  llvm::FixedVectorType* int_vector_type() {
    return llvm::FixedVectorType::get(getInt32Ty(), lanes_);
  }

  // i64 arithmetic on indices, without what adds zero or multiplies by one: LLVM would take each
  // such instruction through all of instruction selection.
  llvm::Value* index(int64_t value) { return getInt64(value); }
  llvm::Value* add_index(llvm::Value* a, llvm::Value* b);
  llvm::Value* sub_index(llvm::Value* a, llvm::Value* b);
  llvm::Value* scale_index(llvm::Value* a, int64_t factor);
  llvm::Value* min_index(llvm::Value* a, llvm::Value* b);
  llvm::Value* max_index(llvm::Value* a, llvm::Value* b);
  // Splits a linear index into its innermost factor, which is returned, and the rest.
  llvm::Value* take_factor(llvm::Value*& linear, int64_t count);

  // &base[elements], in floats. Never inbounds: rows may begin left of their image.
  llvm::Value* at(llvm::Value* base, llvm::Value* elements);
  llvm::Value* at(llvm::Value* base, int64_t elements) { return at(base, index(elements)); }

  // A float constant in all lanes.
  llvm::Value* splat(float value);
  llvm::Value* zero() { return llvm::ConstantFP::getZero(vector_type()); }
  // One float from memory in all lanes.
  llvm::Value* load_splat(llvm::Value* address, const llvm::Twine& name = "");
  // The first `count` lanes from memory, the others zero; touches no byte beyond them.
  llvm::Value* load_lanes(llvm::Value* address, int count, const llvm::Twine& name = "");
  // Lanes [first, last) from address + first on, the others zero; touches no byte beyond them.
  llvm::Value* load_lanes_between(llvm::Value* address, int first, int last,
                                  const llvm::Twine& name = "");
  // Lanes [first, last) of a, the others of b.
  llvm::Value* select_lanes(int first, int last, llvm::Value* a, llvm::Value* b);
  // Constants by lane, and a where `from_a` says so of a lane, else b.
  llvm::Value* constant_lanes(llvm::function_ref<float(int lane)> value);
  llvm::Value* select_where(llvm::function_ref<bool(int lane)> from_a, llvm::Value* a,
                            llvm::Value* b);
  // True if a lane is NaN.
  llvm::Value* any_nan(llvm::Value* value);
  // The first `count` lanes to memory; touches no byte beyond them.
  void store_lanes(llvm::Value* value, llvm::Value* address, int count);
  // A whole vector to memory aligned to vectors, past the caches. Other threads may see it late:
  // order_streams() comes before they are told.
  void stream(llvm::Value* value, llvm::Value* address);
  void order_streams();
  // True where address is aligned to vectors.
  llvm::Value* is_aligned(llvm::Value* address);
  // The first `count` lanes `step` floats apart; one by one where that is not 1.
  llvm::Value* load_strided(llvm::Value* address, int64_t step, int count);
  void store_strided(llvm::Value* value, llvm::Value* address, int64_t step, int count);
  // As many vectors as lanes: lane j of vector i becomes lane i of vector j.
  Values transpose(Values rows);
  // K vectors that hold lanes x K floats in the order of memory <-> K vectors, the k-th of which
  // holds every K-th float from k on.
  Values deinterleave(const Values& memory);
  Values interleave(const Values& every_kth);
  // A whole vector from packed memory, aligned as packed rows are.
  llvm::Value* load_packed(llvm::Value* address, const llvm::Twine& name = "");
  void store_packed(llvm::Value* value, llvm::Value* address);

  // Asks for the line at address to come to L2. Never faults, so address may lie anywhere.
  void prefetch(llvm::Value* address);

  // a * b + c, in one rounding where the target has FMA.
  llvm::Value* fma(llvm::Value* a, llvm::Value* b, llvm::Value* c);

  // Keeps equal loads of neighbouring taps from being merged across this point, which would make
  // dozens of values live at once and spill the accumulators (SelectionDAG works block by block).
  void fence();

 private:
  struct LaneOf {
    int vector;
    int lane;
  };
  llvm::Value* lane_mask(int first, int last);
  llvm::Value* gather_lanes(const Values& from, llvm::function_ref<LaneOf(int lane)> lane_of);

  int lanes_;
  bool has_fma_;
  bool has_lane_masks_;
};

}  // namespace convgen::codegen
