// SPDX-License-Identifier: Apache-2.0
// Functions of type KernelFunction, ready for LLVM's code generator.
#pragma once

#include <llvm/IR/Module.h>

#include <memory>
#include <string>

#include "codegen/schedule.h"
#include "codegen/target.h"
#include "ir/conv.h"

namespace convgen::codegen {

// Adds to module the kernel of conv by schedule, which check_schedule has passed. constants: the
// weights, where they are known.
llvm::Function* emit_kernel(llvm::Module& module, const ir::Conv& conv, const Schedule& schedule,
                            const Target& target, const std::string& function_name,
                            const ConstantWeights* constants = nullptr);

// A loop of register-only FMAs: each iteration of [begin, end) does `flops` floating-point
// operations. Measures what the target can do at best.
std::unique_ptr<llvm::Module> emit_peak_loop(llvm::LLVMContext& context, const Target& target,
                                             const std::string& function_name, int64_t* flops);

}  // namespace convgen::codegen
