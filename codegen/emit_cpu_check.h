// SPDX-License-Identifier: Apache-2.0
// Which level of a bundle this CPU runs, found out at the first call: CPUID and XCR0 against the
// features of each level's target, never the name of a CPU.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/IR/Module.h>

#include <string>

#include "codegen/target.h"

namespace convgen::codegen {

// The first of the functions below, which the other objects of the bundle call.
llvm::Function* declare_cpu_check(llvm::Module& module, const std::string& library);

// Adds to module:
//   i32 LIBRARY__level()         index in `levels` of the first that runs here, -1 for none
//   const char* LIBRARY_level()  its name; null for none
// The answer is kept in one word, written whole: threads may ask at once, all find the same.
// Targets that are not x86-64 are not looked at: their one level runs.
void emit_cpu_check(llvm::Module& module, const Target& baseline, const std::string& library,
                    llvm::ArrayRef<Target> levels, llvm::ArrayRef<std::string> names);

}  // namespace convgen::codegen
