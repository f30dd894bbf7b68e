// SPDX-License-Identifier: Apache-2.0
#include "codegen/llvm_targets.h"

#include <llvm/Support/TargetSelect.h>

#include <mutex>

namespace convgen::codegen {

void initialize_llvm_targets() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();  // of inline assembly
  });
}

}  // namespace convgen::codegen
