// SPDX-License-Identifier: Apache-2.0
// Modules and functions as convgen emits them: position-independent, without unwinding, for the
// instructions of one target. What the functions do is up to the emitters.
#pragma once

#include <llvm/IR/Module.h>

#include <memory>
#include <string>

#include "codegen/ir_builder.h"
#include "codegen/target.h"

namespace convgen::codegen {

std::unique_ptr<llvm::Module> make_module(llvm::LLVMContext& context, const Target& target);

// An external function, the builder in its entry block.
llvm::Function* begin_function(KernelBuilder& b, llvm::Module& module, const Target& target,
                               const std::string& name, llvm::FunctionType* type);

}  // namespace convgen::codegen
