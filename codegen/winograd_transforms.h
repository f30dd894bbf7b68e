// SPDX-License-Identifier: Apache-2.0
// The emitted transforms of Winograd convolution: B^T d B of sources, A^T x A of products. Adds,
// subtractions and multiplications by small constants, on one vector of channels.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>

#include "codegen/ir_builder.h"
#include "codegen/winograd.h"

namespace convgen::codegen {

// Of a tile's value at (row, column).
using LoadValue = llvm::function_ref<llvm::Value*(int64_t row, int64_t column)>;
using StoreValue = llvm::function_ref<void(int64_t row, int64_t column, llvm::Value* value)>;

// B^T d B of h.alpha x w.alpha sources; store gets the points one by one. Sources are loaded more
// than once, since 36 of them would not stay in 32 registers.
void emit_input_transform(KernelBuilder& b, const WinogradAxis& h, const WinogradAxis& w,
                          LoadValue load, StoreValue store);

// A^T x A of h.alpha x w.alpha products: h.m x w.m outputs, by rows.
Values emit_output_transform(KernelBuilder& b, const WinogradAxis& h, const WinogradAxis& w,
                             LoadValue load);

}  // namespace convgen::codegen
