// SPDX-License-Identifier: Apache-2.0
// LLVM's code generator as kernels need it: which options, and which of its passes run. No IR
// optimisation comes before, since emitters write what it would leave behind.
#pragma once

#include <llvm/IR/Module.h>
#include <llvm/Support/CodeGen.h>
#include <llvm/Target/TargetMachine.h>

#include <string>

#include "codegen/compile.h"
#include "codegen/cpu_stopwatch.h"
#include "ir/status.h"

namespace convgen::codegen {

// Turns module into a file of assembly or an object. Adds the laps of `watch` to passes_ms and
// codegen_ms. Errors: compile_failed.
Result<std::string> generate_code(llvm::Module& module, llvm::TargetMachine& machine,
                                  llvm::CodeGenFileType type, CpuStopwatch& watch,
                                  CompileTimes& times);

}  // namespace convgen::codegen
