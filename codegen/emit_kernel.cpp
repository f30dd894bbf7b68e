// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_kernel.h"

#include "codegen/emit_direct.h"
#include "codegen/emit_filter.h"
#include "codegen/emit_function.h"
#include "codegen/emit_grouped.h"
#include "codegen/emit_planar.h"
#include "codegen/emit_rotated.h"
#include "codegen/emit_winograd.h"
#include "codegen/kernel_abi.h"
#include "codegen/loop_nest.h"
#include "codegen/packed_layout.h"

namespace convgen::codegen {
namespace {

// void NAME(const KernelArgs* args, i64 begin, i64 end), the builder in its entry block.
llvm::Function* begin_kernel(KernelBuilder& b, llvm::Module& module, const Target& target,
                             const std::string& name) {
  auto* type = llvm::FunctionType::get(
      b.getVoidTy(), {b.getPtrTy(), b.getInt64Ty(), b.getInt64Ty()}, /*isVarArg=*/false);
  llvm::Function* function = begin_function(b, module, target, name, type);
  function->addParamAttr(0, llvm::Attribute::NoAlias);
  function->addParamAttr(0, llvm::Attribute::ReadOnly);
  const char* names[] = {"args", "begin", "end"};
  for (int i = 0; i < 3; ++i) function->getArg(i)->setName(names[i]);
  return function;
}

llvm::Value* load_pointer(KernelBuilder& b, llvm::Value* args, size_t offset_bytes,
                          const char* name) {
  llvm::Value* field = b.CreateConstGEP1_64(b.getInt8Ty(), args, offset_bytes);
  return b.CreateLoad(b.getPtrTy(), field, name);
}

KernelPointers load_pointers(KernelBuilder& b, llvm::Value* args) {
  return {load_pointer(b, args, offsetof(KernelArgs, src), "src"),
          load_pointer(b, args, offsetof(KernelArgs, weights), "weights"),
          load_pointer(b, args, offsetof(KernelArgs, bias), "bias"),
          load_pointer(b, args, offsetof(KernelArgs, add), "add"),
          load_pointer(b, args, offsetof(KernelArgs, scale), "scale"),
          load_pointer(b, args, offsetof(KernelArgs, dst), "dst"),
          load_pointer(b, args, offsetof(KernelArgs, scratch), "scratch")};
}

std::unique_ptr<TapEmitter> make_tap_emitter(KernelBuilder& b, const Schedule& schedule,
                                             const NestShape& shape) {
  switch (schedule.algorithm) {
    case Algorithm::kDirect:
      return std::make_unique<DirectTapEmitter>(b, schedule, shape);
    case Algorithm::kDepthwise:
    case Algorithm::kGrouped:
      return std::make_unique<GroupedTapEmitter>(b, schedule, shape);
    case Algorithm::kRotated:
      return std::make_unique<RotatedTapEmitter>(b, schedule, shape);
    case Algorithm::kPlanar:
    case Algorithm::kStaged:
      return std::make_unique<PlanarTapEmitter>(b, schedule, shape);
    case Algorithm::kWinograd:
    case Algorithm::kFilter:
      break;  // no nest
  }
  return nullptr;
}

// Weights known beforehand, packed, as data of the module.
llvm::GlobalVariable* add_packed_constants(llvm::Module& module, const ir::Conv& conv,
                                           const Schedule& schedule,
                                           const ConstantWeights& constants) {
  const PackedLayout layout = packed_layout(conv, schedule);
  std::vector<float> packed(static_cast<size_t>(layout.elements()));
  pack_weights(conv, layout, constants.values.data(), packed.data());
  llvm::Constant* data = llvm::ConstantDataArray::get(module.getContext(), packed);
  auto* global = new llvm::GlobalVariable(module, data->getType(), /*isConstant=*/true,
                                          llvm::GlobalValue::PrivateLinkage, data, "weights");
  global->setAlignment(llvm::Align(64));
  return global;
}

// Tasks [begin, end) of any algorithm but the filter, which has more than one to a kernel.
void emit_tasks(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                const KernelPointers& pointers, llvm::Value* begin, llvm::Value* end) {
  if (schedule.algorithm == Algorithm::kWinograd)
    return emit_winograd(b, conv, schedule, pointers, begin, end);
  const NestShape shape = nest_shape(conv, schedule);
  const auto taps = make_tap_emitter(b, schedule, shape);
  emit_nest(b, conv, schedule, shape, pointers, begin, end, *taps);
}

// Whether dst is aligned shows when the kernel runs: where it is not, the same through the caches.
void emit_streaming_tasks(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                          const KernelPointers& pointers, llvm::Value* begin, llvm::Value* end) {
  Schedule cached = schedule;
  cached.stores = Stores::kCached;
  emit_if(
      b, b.is_aligned(pointers.dst), "stream", {},
      [&](Values) {
        emit_tasks(b, conv, schedule, pointers, begin, end);
        b.order_streams();
        return Values();
      },
      [&](Values) {
        emit_tasks(b, conv, cached, pointers, begin, end);
        return Values();
      });
}

}  // namespace

llvm::Function* emit_kernel(llvm::Module& module, const ir::Conv& conv, const Schedule& schedule,
                            const Target& target, const std::string& function_name,
                            const ConstantWeights* constants) {
  KernelBuilder b(module, target, schedule.lanes);
  llvm::Function* function = begin_kernel(b, module, target, function_name);
  if (conv.dst_elements() == 0) {
    b.CreateRetVoid();
    return function;
  }
  KernelPointers pointers = load_pointers(b, function->getArg(0));
  llvm::Value* begin = function->getArg(1);
  llvm::Value* end = function->getArg(2);
  const bool filter = schedule.algorithm == Algorithm::kFilter;
  if (constants != nullptr && !filter)
    pointers.weights = add_packed_constants(module, conv, schedule, *constants);
  if (filter) {
    emit_filter(b, conv, schedule, *plan_filter(conv, *constants), constants->assume_finite,
                pointers, begin, end);
  } else if (schedule.stores == Stores::kStreaming) {
    emit_streaming_tasks(b, conv, schedule, pointers, begin, end);
  } else {
    emit_tasks(b, conv, schedule, pointers, begin, end);
  }
  b.CreateRetVoid();
  return function;
}

// Twelve chains on 16 registers, 24 on 32: more than latency 4 x 2 ports, and no spill.
std::unique_ptr<llvm::Module> emit_peak_loop(llvm::LLVMContext& context, const Target& target,
                                             const std::string& function_name, int64_t* flops) {
  const int chains = target.vector_registers >= 32 ? 24 : target.has_fma ? 12 : 6;
  *flops = int64_t{2} * chains * target.max_lanes;
  auto module = make_module(context, target);
  KernelBuilder b(*module, target, target.max_lanes);
  llvm::Function* function = begin_kernel(b, *module, target, function_name);
  const KernelPointers pointers = load_pointers(b, function->getArg(0));
  llvm::Value* x = b.load_splat(pointers.src, "x");
  llvm::Value* w = b.load_splat(b.at(pointers.src, 1), "w");
  Values acc;
  for (int i = 0; i < chains; ++i) acc.push_back(b.splat(static_cast<float>(i)));
  acc = emit_for(b, {function->getArg(1), function->getArg(2)}, "chain", acc,
                 [&](llvm::Value*, Values at) {
                   for (llvm::Value*& sum : at) sum = b.fma(x, w, sum);
                   return at;
                 });
  for (int i = 0; i < chains; ++i)
    b.store_lanes(acc[i], b.at(pointers.dst, i * target.max_lanes), target.max_lanes);
  b.CreateRetVoid();
  return module;
}

}  // namespace convgen::codegen
