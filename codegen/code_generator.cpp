// SPDX-License-Identifier: Apache-2.0
#include "codegen/code_generator.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Pass.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetOptions.h>

#include <algorithm>
#include <string_view>

#include "codegen/llvm_targets.h"

namespace convgen::codegen {
namespace {

// Passes that cost and bring nothing here. Pointers advance by constants already, so loop strength
// reduction finds nothing to do, and takes 70 % of the time finding it out: 61 of 86 ms for a 3x3
// kernel with borders.
constexpr std::string_view kLeftOut[] = {
    "Canonicalize Freeze Instructions in Loops",
    "Loop Strength Reduction",
};

// Adds what the stopwatch shows when a function comes by.
class PhaseMark : public llvm::FunctionPass {
 public:
  PhaseMark(CpuStopwatch& watch, double& ms) : FunctionPass(kId), watch_(watch), ms_(ms) {}
  llvm::StringRef getPassName() const override { return "Phase Mark"; }
  bool runOnFunction(llvm::Function&) override {
    ms_ += watch_.lap_ms();
    return false;
  }
  void getAnalysisUsage(llvm::AnalysisUsage& usage) const override { usage.setPreservesAll(); }

 private:
  static inline char kId = 0;  // its address is what counts
  CpuStopwatch& watch_;
  double& ms_;
};

// LLVM's pipeline less what is left out. By name, since LLVM offers but a process-wide switch.
class LeanPassManager : public llvm::legacy::PassManager {
 public:
  LeanPassManager(CpuStopwatch& watch, CompileTimes& times) : watch_(watch), times_(times) {}
  void add(llvm::Pass* pass) override {
    const llvm::StringRef name = pass->getPassName();
    if (std::ranges::find(kLeftOut, std::string_view(name)) != std::end(kLeftOut)) {
      delete pass;
      return;
    }
    if (name.ends_with("Instruction Selection"))
      PassManager::add(new PhaseMark(watch_, times_.passes_ms));
    PassManager::add(pass);
  }

 private:
  CpuStopwatch& watch_;
  CompileTimes& times_;
};

}  // namespace

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

Result<std::string> generate_code(llvm::Module& module, llvm::TargetMachine& machine,
                                  llvm::CodeGenFileType type, CpuStopwatch& watch,
                                  CompileTimes& times) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  LeanPassManager passes(watch, times);
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type, /*DisableVerify=*/true))
    return compile_failed("LLVM cannot emit this kind of file for " + module.getTargetTriple());
  passes.run(module);
  times.codegen_ms += watch.lap_ms();
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace convgen::codegen
