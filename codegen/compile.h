// SPDX-License-Identifier: Apache-2.0
// From a Schedule to text or bytes: builds the module, verifies it, runs LLVM's code generator.
// One LLVMContext per call and one TargetMachine at a time, so calls may run in parallel.
#pragma once

#include <cstdint>
#include <string>

#include "codegen/schedule.h"
#include "codegen/target.h"
#include "ir/conv.h"
#include "ir/export.h"
#include "ir/status.h"

namespace convgen::codegen {

class TargetMachines;

// Raised whenever emitted bytes may change for the same conv and schedule: part of cache keys.
inline constexpr int kCodeGeneratorVersion = 8;

enum class Stage {
  kLlvm,      // the module as emitted, as text, with names
  kLlvmOpt,   // the module as the code generator receives it, as text
  kAssembly,  // text
  kObject,    // relocatable, position-independent, without external symbols but a sanitizer's
  kBitcode,
};

// CPU time of the calling thread.
struct CompileTimes {
  double emit_ms = 0;     // the module
  double passes_ms = 0;   // verification, and LLVM's passes ahead of instruction selection
  double codegen_ms = 0;  // from instruction selection to bytes
};

inline constexpr const char* kDefaultFunctionName = "convgen_kernel";

// What code tells a sanitizer of the process that runs it.
enum class Instrument {
  kNothing,
  kAddresses,  // AddressSanitizer, of every load and store
};

// What else a compilation may be told.
struct CodeOptions {
  std::string function_name = kDefaultFunctionName;  // the one exported symbol, a KernelFunction
  const ConstantWeights* constants = nullptr;        // the code holds the weights, and reads none
  TargetMachines* machines = nullptr;                // those that earlier calls left
  Instrument instrument = Instrument::kNothing;      // in all stages but kLlvm
};

// Emits conv by schedule for target as `stage`. Same input, same bytes. Thread-safe. Errors: what
// check_schedule says; compile_failed where LLVM refuses.
CONVGEN_API Result<std::string> compile(Stage stage, const ir::Conv& conv, const Schedule& schedule,
                                        const Target& target, const CodeOptions& options = {},
                                        CompileTimes* times = nullptr);

// A relocatable object whose function, called as a kernel, spends each iteration of [begin, end)
// on `flops` register-only floating-point operations. args: src two floats, dst 32 vectors.
Result<std::string> compile_peak_loop(const Target& target, int64_t* flops);

// Once a process, by the first caller's target: has LLVM fill the tables that it makes on first
// use. exit() destroys the last made first, so who may compile until it is destroyed must be made
// after this. Thread-safe.
void warm_up(const Target& target);

// Pieces of work in the kernel's task range.
CONVGEN_API int64_t count_tasks(const ir::Conv& conv, const Schedule& schedule);

// Bytes of scratch one call of the function needs, 64-byte aligned; calls side by side need one
// each.
CONVGEN_API size_t scratch_bytes(const ir::Conv& conv, const Schedule& schedule);

// "19.1.7"
CONVGEN_API std::string llvm_version();

}  // namespace convgen::codegen
