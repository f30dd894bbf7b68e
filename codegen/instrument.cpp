// SPDX-License-Identifier: Apache-2.0
#include "codegen/instrument.h"

#include <llvm/Passes/PassBuilder.h>
#include <llvm/Transforms/Instrumentation/AddressSanitizer.h>

namespace convgen::codegen {
namespace {

// Without a constructor, which nobody would run: the process has a runtime already. Constant
// weights get no red zones, since those would have to be registered.
llvm::AddressSanitizerPass make_address_sanitizer() {
  llvm::AddressSanitizerOptions options;
  options.UseAfterReturn = llvm::AsanDetectStackUseAfterReturnMode::Never;
  options.InsertVersionCheck = false;
  // Calls alone: checks in line cut code into so many blocks that a kernel takes seven times as
  // long to compile, not one and a half.
  options.InstrumentationWithCallsThreshold = 0;
  return llvm::AddressSanitizerPass(options, /*UseGlobalGC=*/false, /*UseOdrIndicator=*/false,
                                    llvm::AsanDtorKind::None, llvm::AsanCtorKind::None);
}

void run_on(llvm::Module& module, llvm::AddressSanitizerPass pass) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  pass.run(module, modules);
}

void instrument_addresses(llvm::Module& module) {
  for (llvm::Function& function : module)
    if (!function.isDeclaration()) function.addFnAttr(llvm::Attribute::SanitizeAddress);
  for (llvm::GlobalVariable& global : module.globals()) {
    llvm::GlobalValue::SanitizerMetadata metadata;
    metadata.NoAddress = true;
    global.setSanitizerMetadata(metadata);
  }
  run_on(module, make_address_sanitizer());
}

}  // namespace

void instrument_module(llvm::Module& module, Instrument instrument) {
  switch (instrument) {
    case Instrument::kNothing:
      return;
    case Instrument::kAddresses:
      return instrument_addresses(module);
  }
}

}  // namespace convgen::codegen
