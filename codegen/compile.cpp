// SPDX-License-Identifier: Apache-2.0
#include "codegen/compile.h"

#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Pass.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Target/TargetOptions.h>

#include <chrono>

#include "codegen/emit_kernel.h"
#include "codegen/filter_plan.h"
#include "codegen/llvm_targets.h"
#include "codegen/nest_shape.h"
#include "codegen/winograd.h"

namespace convgen::codegen {
namespace {

class Stopwatch {
 public:
  double lap_ms() {
    const auto now = std::chrono::steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    return ms;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

Result<std::unique_ptr<llvm::TargetMachine>> make_target_machine(const Target& target) {
  initialize_llvm_targets();
  std::string message;
  const llvm::Target* llvm_target = llvm::TargetRegistry::lookupTarget(target.triple, message);
  if (llvm_target == nullptr) return compile_failed("target: " + message);
  llvm::TargetOptions options;
  options.MCOptions.AsmVerbose = true;  // names loops and spills in the assembly
  std::unique_ptr<llvm::TargetMachine> machine(llvm_target->createTargetMachine(
      target.triple, target.cpu, target.feature_string(), options, llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Less));
  if (!machine) return compile_failed("target: LLVM has no code generator for " + target.triple);
  return machine;
}

Status verify_module(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (!llvm::verifyModule(module, &stream)) return Status();
  return internal_error("the emitted module is malformed: " + text);
}

// LLVM's code generation pipeline without the passes that cost and bring nothing here. Pointers
// advance by constants already, so loop strength reduction finds nothing to do, and takes 70 % of
// the time finding it out: 61 of 86 ms for a 3x3 kernel with borders. Left out by name, since LLVM
// offers but a process-wide switch.
class LeanPassManager : public llvm::legacy::PassManager {
 public:
  void add(llvm::Pass* pass) override {
    const llvm::StringRef name = pass->getPassName();
    if (name == "Loop Strength Reduction" || name == "Canonicalize Freeze Instructions in Loops")
      delete pass;
    else
      PassManager::add(pass);
  }
};

// No IR optimisation pipeline runs before: the emitters write what it would leave behind.
Result<std::string> generate(llvm::Module& module, llvm::TargetMachine& machine,
                             llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  LeanPassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type, /*DisableVerify=*/true))
    return compile_failed("LLVM cannot emit this kind of file for " + module.getTargetTriple());
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}

Result<std::string> print_stage(Stage stage, llvm::Module& module, llvm::TargetMachine& machine) {
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
      return generate(module, machine, llvm::CodeGenFileType::AssemblyFile);
    case Stage::kObject:
      return generate(module, machine, llvm::CodeGenFileType::ObjectFile);
  }
  return internal_error("unknown stage");
}

// What every module goes through once it is built.
Result<std::string> finish(Stage stage, llvm::Module& module, const Target& target) {
  auto machine = make_target_machine(target);
  if (!machine) return machine.status();
  module.setDataLayout((*machine)->createDataLayout());
  if (Status status = verify_module(module); !status.ok()) return status;
  return print_stage(stage, module, **machine);
}

}  // namespace

Result<std::string> compile(Stage stage, const ir::Conv& conv, const Schedule& schedule,
                            const Target& target, const std::string& function_name,
                            CompileTimes* times, const ConstantWeights* constants) {
  if (Status status = check_schedule(schedule, conv, target, constants); !status.ok())
    return status;
  Stopwatch watch;
  llvm::LLVMContext context;
  context.setDiscardValueNames(stage == Stage::kObject);
  auto module = emit_kernel(context, conv, schedule, target, function_name, constants);
  CompileTimes measured;
  measured.emit_ms = watch.lap_ms();
  Result<std::string> result = finish(stage, *module, target);
  measured.codegen_ms = watch.lap_ms();
  if (times != nullptr) *times = measured;
  return result;
}

Result<std::string> compile_peak_loop(const Target& target, int64_t* flops) {
  llvm::LLVMContext context;
  auto module = emit_peak_loop(context, target, kDefaultFunctionName, flops);
  return finish(Stage::kObject, *module, target);
}

int64_t count_tasks(const ir::Conv& conv, const Schedule& schedule) {
  if (schedule.algorithm == Algorithm::kWinograd) return winograd_shape(conv, schedule).tasks();
  if (schedule.algorithm == Algorithm::kFilter)
    return conv.n * ((conv.out.h + schedule.rows_per_task - 1) / schedule.rows_per_task);
  const int64_t tasks = nest_shape(conv, schedule).tasks();
  return schedule.unroll == Unroll::kFull ? std::min<int64_t>(tasks, 1) : tasks;
}

size_t scratch_bytes(const ir::Conv& conv, const Schedule& schedule) {
  const auto floats = [&]() -> double {
    switch (schedule.algorithm) {
      case Algorithm::kWinograd:
        return winograd_shape(conv, schedule).scratch_floats;
      case Algorithm::kFilter:
        return filter_scratch(conv, *filter_geometry(conv), schedule).floats;
      default:
        return stage_floats(conv, schedule);
    }
  };
  return static_cast<size_t>(floats()) * sizeof(float);
}

std::string llvm_version() { return LLVM_VERSION_STRING; }

}  // namespace convgen::codegen
