// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_function.h"

namespace convgen::codegen {

std::unique_ptr<llvm::Module> make_module(llvm::LLVMContext& context, const Target& target) {
  auto module = std::make_unique<llvm::Module>("convgen", context);
  module->setTargetTriple(target.triple);
  module->setPICLevel(llvm::PICLevel::SmallPIC);
  return module;
}

llvm::Function* begin_function(KernelBuilder& b, llvm::Module& module, const Target& target,
                               const std::string& name, llvm::FunctionType* type) {
  auto* function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
  function->setDoesNotThrow();  // with no uwtable attribute: there is no .eh_frame
  // Profilers and debuggers walk the stack by them, for want of the .eh_frame.
  function->addFnAttr("frame-pointer", "all");
  function->addFnAttr("target-cpu", target.cpu);
  function->addFnAttr("tune-cpu", target.tune_cpu);
  function->addFnAttr("target-features", target.feature_string());
  // LLVM prefers 256-bit vectors on many AVX-512 CPUs and would split ours.
  const std::string vector_bits = std::to_string(b.lanes() * 32);
  function->addFnAttr("prefer-vector-width", vector_bits);
  function->addFnAttr("min-legal-vector-width", vector_bits);
  b.SetInsertPoint(llvm::BasicBlock::Create(b.getContext(), "entry", function));
  return function;
}

}  // namespace convgen::codegen
