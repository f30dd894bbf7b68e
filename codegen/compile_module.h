// SPDX-License-Identifier: Apache-2.0
// From a finished module to text or bytes: verification, then LLVM's code generator.
#pragma once

#include <llvm/IR/Module.h>

#include <string>

#include "codegen/compile.h"
#include "codegen/cpu_stopwatch.h"
#include "codegen/target.h"
#include "codegen/target_machines.h"
#include "ir/status.h"

namespace convgen::codegen {

// machines: null for none kept. instrument: of all functions, in every stage but kLlvm. Adds the
// laps of `watch` to times. Errors: internal for a module that does not verify, compile_failed.
Result<std::string> compile_module(Stage stage, llvm::Module& module, const Target& target,
                                   TargetMachines* machines, CpuStopwatch& watch,
                                   CompileTimes& times,
                                   Instrument instrument = Instrument::kNothing);

}  // namespace convgen::codegen
