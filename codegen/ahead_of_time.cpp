// SPDX-License-Identifier: Apache-2.0
#include "codegen/ahead_of_time.h"

#include <llvm/IR/LLVMContext.h>

#include "codegen/compile_module.h"
#include "codegen/emit_c_interface.h"
#include "codegen/emit_function.h"

namespace convgen::codegen {

Result<std::string> compile_c_functions(Stage stage, const CFunction& function,
                                        const Schedule& schedule, const Target& target) {
  const Status status =
      check_schedule(schedule, function.conv, target, function.constant_weights());
  if (!status.ok()) return status;
  llvm::LLVMContext context;
  context.setDiscardValueNames(stage == Stage::kObject);
  auto module = make_module(context, target);
  const LevelCode code = emit_level(*module, function, schedule, target, function.name + "_kernel");
  for (llvm::Function* own : {code.kernel, code.pack}) {
    if (own == nullptr) continue;
    own->setVisibility(llvm::GlobalValue::DefaultVisibility);
    own->setLinkage(llvm::GlobalValue::InternalLinkage);
  }
  emit_c_interface(*module, target, function, code, /*level=*/nullptr);
  CpuStopwatch watch;
  CompileTimes times;
  return compile_module(stage, *module, target, /*machines=*/nullptr, watch, times);
}

}  // namespace convgen::codegen
