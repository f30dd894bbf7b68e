// SPDX-License-Identifier: Apache-2.0
// Loops and branches as functions that take their body: C++ scopes mirror emitted scopes, values
// that change go in as a list and come back changed. A loop may instead be unrolled at emission.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/ADT/StringRef.h>

#include <optional>

#include "codegen/ir_builder.h"

namespace convgen::codegen {

// The constant behind an index, if there is one.
std::optional<int64_t> constant_index(llvm::Value* value);

struct LoopRange {
  llvm::Value* begin;
  llvm::Value* end;
  int64_t step = 1;
  bool unroll = false;  // demands constant bounds
  bool enters = false;  // begin < end whatever they are
};

using LoopBody = llvm::function_ref<Values(llvm::Value* i, Values carried)>;

// for (i = begin; i < end; i += step) carried = body(i, carried); returns the last carried.
// Emits the rotated form, the entry test left out where it is known; what the body returns as it
// was is not carried:
//   NAME.loop: i, carried = phi ... body ... ; br i + step < end, NAME.loop, NAME.done
Values emit_for(KernelBuilder& b, const LoopRange& range, llvm::StringRef name, Values carried,
                LoopBody body);

// if (condition) carried = then_body(carried) else carried = else_body(carried). A constant
// condition emits one side only.
Values emit_if(KernelBuilder& b, llvm::Value* condition, llvm::StringRef name, Values carried,
               llvm::function_ref<Values(Values)> then_body,
               llvm::function_ref<Values(Values)> else_body);

}  // namespace convgen::codegen
