// SPDX-License-Identifier: Apache-2.0
#include "codegen/target_machines.h"

#include <llvm/MC/TargetRegistry.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Target/TargetOptions.h>

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "codegen/llvm_targets.h"

namespace convgen::codegen {
namespace {

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

}  // namespace

struct TargetMachines::Idle {
  std::mutex mutex;
  std::multimap<std::string, std::unique_ptr<llvm::TargetMachine>> machines;  // by Target::key()
};

TargetMachines::TargetMachines() : idle_(std::make_unique<Idle>()) {}
TargetMachines::~TargetMachines() = default;

Result<std::unique_ptr<llvm::TargetMachine>> TargetMachines::take(const Target& target) {
  {
    const std::lock_guard lock(idle_->mutex);
    if (auto node = idle_->machines.extract(target.key())) return std::move(node.mapped());
  }
  return make_target_machine(target);
}

void TargetMachines::give_back(const Target& target, std::unique_ptr<llvm::TargetMachine> machine) {
  const std::lock_guard lock(idle_->mutex);
  idle_->machines.emplace(target.key(), std::move(machine));
}

}  // namespace convgen::codegen
