// SPDX-License-Identifier: Apache-2.0
#include "codegen/compile_module.h"

#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include "codegen/code_generator.h"
#include "codegen/instrument.h"

namespace convgen::codegen {
namespace {

Status verify_module(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (!llvm::verifyModule(module, &stream)) return Status();
  return internal_error("the emitted module is malformed: " + text);
}

// Verified, and verified again where passes have changed it.
Status finish_module(llvm::Module& module, const llvm::TargetMachine& machine,
                     Instrument instrument) {
  module.setDataLayout(machine.createDataLayout());
  Status status = verify_module(module);
  if (!status.ok() || instrument == Instrument::kNothing) return status;
  instrument_module(module, instrument);
  return verify_module(module);
}

Result<std::string> print_stage(Stage stage, llvm::Module& module, llvm::TargetMachine& machine,
                                CpuStopwatch& watch, CompileTimes& times) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  switch (stage) {
    case Stage::kLlvm:
    case Stage::kLlvmOpt:
      module.print(stream, nullptr);
      return text;
    case Stage::kBitcode:
      llvm::WriteBitcodeToFile(module, stream);
      return text;
    case Stage::kAssembly:
      return generate_code(module, machine, llvm::CodeGenFileType::AssemblyFile, watch, times);
    case Stage::kObject:
      return generate_code(module, machine, llvm::CodeGenFileType::ObjectFile, watch, times);
  }
  return internal_error("unknown stage");
}

}  // namespace

Result<std::string> compile_module(Stage stage, llvm::Module& module, const Target& target,
                                   TargetMachines* machines, CpuStopwatch& watch,
                                   CompileTimes& times, Instrument instrument) {
  TargetMachines own;
  if (machines == nullptr) machines = &own;
  auto machine = machines->take(target);
  if (!machine) return machine.status();
  if (stage == Stage::kLlvm) instrument = Instrument::kNothing;
  const Status status = finish_module(module, **machine, instrument);
  auto result = status.ok() ? print_stage(stage, module, **machine, watch, times) : status;
  machines->give_back(target, std::move(*machine));
  return result;
}

}  // namespace convgen::codegen
