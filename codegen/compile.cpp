// SPDX-License-Identifier: Apache-2.0
#include "codegen/compile.h"

#include <llvm/Config/llvm-config.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/Instructions.h>

#include <mutex>

#include "codegen/compile_module.h"
#include "codegen/cpu_stopwatch.h"
#include "codegen/emit_function.h"
#include "codegen/emit_kernel.h"
#include "codegen/filter_plan.h"
#include "codegen/nest_shape.h"
#include "codegen/target_machines.h"
#include "codegen/winograd.h"

namespace convgen::codegen {
Result<std::string> compile(Stage stage, const ir::Conv& conv, const Schedule& schedule,
                            const Target& target, const CodeOptions& options, CompileTimes* times) {
  if (Status status = check_schedule(schedule, conv, target, options.constants); !status.ok())
    return status;
  CpuStopwatch watch;
  llvm::LLVMContext context;
  context.setDiscardValueNames(stage == Stage::kObject);
  auto module = make_module(context, target);
  emit_kernel(*module, conv, schedule, target, options.function_name, options.constants);
  CompileTimes measured;
  measured.emit_ms = watch.lap_ms();
  Result<std::string> result =
      compile_module(stage, *module, target, options.machines, watch, measured, options.instrument);
  if (times != nullptr) *times = measured;
  return result;
}

Result<std::string> compile_peak_loop(const Target& target, int64_t* flops) {
  llvm::LLVMContext context;
  auto module = emit_peak_loop(context, target, kDefaultFunctionName, flops);
  CpuStopwatch watch;
  CompileTimes times;
  return compile_module(Stage::kObject, *module, target, /*machines=*/nullptr, watch, times);
}

void warm_up(const Target& target) {
  static std::once_flag once;
  std::call_once(once, [&] {
    llvm::LLVMContext context;
    llvm::Module module("warm_up", context);
    module.setTargetTriple(target.triple);
    auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), false);
    auto* function =
        llvm::Function::Create(type, llvm::Function::ExternalLinkage, "warm_up", module);
    llvm::ReturnInst::Create(context, llvm::BasicBlock::Create(context, "entry", function));
    CpuStopwatch watch;
    CompileTimes times;
    // Whatever is wrong with the target, the first kernel will tell.
    static_cast<void>(
        compile_module(Stage::kObject, module, target, /*machines=*/nullptr, watch, times));
  });
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
