// SPDX-License-Identifier: Apache-2.0
// The C functions of one convolution (c_interface.h) around its kernels: arguments into KernelArgs,
// and which of several levels this CPU runs.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/IR/Module.h>

#include "codegen/c_interface.h"
#include "codegen/target.h"

namespace convgen::codegen {

// One convolution at one level, in this module or another.
struct LevelCode {
  llvm::Function* kernel;  // a KernelFunction
  llvm::Function* pack;    // void(const float* weights, float* packed); null: constant weights
  KernelSizes sizes;
};

// Adds kernel and pack to module, as SYMBOL and SYMBOL_pack, both hidden. The schedule is one that
// check_schedule has passed.
LevelCode emit_level(llvm::Module& module, const CFunction& function, const Schedule& schedule,
                     const Target& target, const std::string& symbol);

// The same as declarations of what another module holds.
LevelCode declare_level(llvm::Module& module, const CFunction& function, const Schedule& schedule,
                        const std::string& symbol);

// Adds the functions. level: i32(), the index in `levels` of the one to run, negative for none;
// null: there is one, and it runs.
void emit_c_interface(llvm::Module& module, const Target& target, const CFunction& function,
                      llvm::ArrayRef<LevelCode> levels, llvm::Function* level);

}  // namespace convgen::codegen
