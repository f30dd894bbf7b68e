// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_c_interface.h"

#include <utility>

#include "codegen/emit_function.h"
#include "codegen/emit_kernel.h"
#include "codegen/emit_pack.h"
#include "codegen/kernel_abi.h"
#include "codegen/loop_nest.h"
#include "codegen/packed_layout.h"

namespace convgen::codegen {
namespace {

llvm::Function* declare_hidden(llvm::Module& module, const std::string& name,
                               llvm::FunctionType* type) {
  auto* function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
  function->setVisibility(llvm::GlobalValue::HiddenVisibility);
  function->setDoesNotThrow();
  return function;
}

llvm::FunctionType* function_type(llvm::Type* result, llvm::ArrayRef<llvm::Type*> parameters) {
  return llvm::FunctionType::get(result, parameters, /*isVarArg=*/false);
}

class CInterfaceEmitter {
 public:
  CInterfaceEmitter(llvm::Module& module, const Target& target, const CFunction& function,
                    llvm::ArrayRef<LevelCode> levels, llvm::Function* level)
      : b_(module, target, /*lanes=*/4),
        module_(module),
        target_(target),
        function_(function),
        levels_(levels),
        level_(level),
        parameters_(c_parameters(function)) {
    if (level_ != nullptr) table_ = make_table();
  }

  void emit() {
    emit_run("", /*range=*/false);
    emit_run("_run_tasks", /*range=*/true);
    emit_size("_tasks", kTasks);
    emit_size("_scratch_bytes", kScratchBytes);
    if (function_.constants) return;
    emit_size("_packed_weights_bytes", kPackedBytes);
    emit_pack();
  }

 private:
  // Of a level, in the order of the table's rows.
  enum Field { kKernel, kPack, kTasks, kPackedBytes, kScratchBytes, kFields };

  llvm::Constant* constant_field(const LevelCode& level, Field field) {
    switch (field) {
      case kKernel:
        return level.kernel;
      case kPack:
        if (level.pack != nullptr) return level.pack;
        return llvm::ConstantPointerNull::get(b_.getPtrTy());
      case kTasks:
        return b_.getInt64(static_cast<uint64_t>(level.sizes.tasks));
      case kPackedBytes:
        return b_.getInt64(static_cast<uint64_t>(level.sizes.packed_elements) * sizeof(float));
      case kScratchBytes:
        return b_.getInt64(static_cast<uint64_t>(level.sizes.scratch_bytes));
      case kFields:
        break;
    }
    return nullptr;
  }

  llvm::GlobalVariable* make_table() {
    llvm::SmallVector<llvm::Constant*, 4> rows;
    for (const LevelCode& level : levels_) {
      llvm::SmallVector<llvm::Constant*, kFields> row;
      for (int field = 0; field < kFields; ++field)
        row.push_back(constant_field(level, static_cast<Field>(field)));
      rows.push_back(llvm::ConstantStruct::getAnon(row));
    }
    auto* type = llvm::ArrayType::get(rows[0]->getType(), rows.size());
    return new llvm::GlobalVariable(module_, type, /*isConstant=*/true,
                                    llvm::GlobalValue::PrivateLinkage,
                                    llvm::ConstantArray::get(type, rows), "levels");
  }

  // Field of the level in use.
  llvm::Value* field(llvm::Value* level, Field field) {
    if (table_ == nullptr) return constant_field(levels_[0], field);
    auto* row = llvm::cast<llvm::ArrayType>(table_->getValueType())->getElementType();
    llvm::Value* address =
        b_.CreateGEP(row, table_, {b_.CreateSExt(level, b_.getInt64Ty()), b_.getInt32(field)});
    return b_.CreateLoad(llvm::cast<llvm::StructType>(row)->getElementType(field), address);
  }

  llvm::Function* begin(const char* suffix, llvm::Type* result,
                        llvm::ArrayRef<llvm::Type*> parameters) {
    return begin_function(b_, module_, target_, function_.name + suffix,
                          function_type(result, parameters));
  }

  // `otherwise` where no level runs here, else what body returns.
  void finish(llvm::ConstantInt* otherwise, llvm::function_ref<llvm::Value*(llvm::Value*)> body) {
    llvm::Value* level =
        level_ == nullptr ? b_.getInt32(0) : static_cast<llvm::Value*>(b_.CreateCall(level_));
    llvm::Value* runs = b_.CreateICmpSGE(level, b_.getInt32(0));
    const Values result = emit_if(
        b_, runs, "runs", {otherwise}, [&](Values) { return Values{body(level)}; },
        [](Values none) { return none; });
    b_.CreateRet(result[0]);
  }

  // int NAME(tensors) or, with a range, int NAME_run_tasks(tensors, i64 begin, i64 end).
  void emit_run(const char* suffix, bool range) {
    llvm::SmallVector<llvm::Type*, 12> types(parameters_.size(), b_.getPtrTy());
    if (range) types.append(2, b_.getInt64Ty());
    llvm::Function* run = begin(suffix, b_.getInt32Ty(), types);
    auto* args_type = llvm::ArrayType::get(b_.getPtrTy(), sizeof(KernelArgs) / sizeof(void*));
    llvm::Value* args = b_.CreateAlloca(args_type, nullptr, "args");
    finish(b_.getInt32(kCNoLevel), [&](llvm::Value* level) {
      store_args(args, args_type, run);
      const auto last = static_cast<unsigned>(parameters_.size());
      llvm::Value* begin = range ? run->getArg(last) : static_cast<llvm::Value*>(b_.getInt64(0));
      llvm::Value* end = range ? run->getArg(last + 1) : field(level, kTasks);
      b_.CreateCall(kernel_type(), field(level, kKernel), {args, begin, end});
      return b_.getInt32(kCDone);
    });
  }

  void store_args(llvm::Value* args, llvm::ArrayType* type, llvm::Function* run) {
    llvm::SmallVector<llvm::Value*, 8> pointers(type->getNumElements(),
                                                llvm::ConstantPointerNull::get(b_.getPtrTy()));
    for (unsigned i = 0; i < parameters_.size(); ++i) {
      run->getArg(i)->setName(llvm::StringRef(parameters_[i].name));
      pointers[parameters_[i].offset_bytes / sizeof(void*)] = run->getArg(i);
    }
    for (unsigned i = 0; i < pointers.size(); ++i)
      b_.CreateStore(pointers[i], b_.CreateConstGEP2_32(type, args, 0, i));
  }

  void emit_size(const char* suffix, Field size) {
    begin(suffix, b_.getInt64Ty(), {});
    finish(b_.getInt64(0), [&](llvm::Value* level) { return field(level, size); });
  }

  void emit_pack() {
    llvm::Function* pack = begin("_pack_weights", b_.getInt32Ty(), {b_.getPtrTy(), b_.getPtrTy()});
    finish(b_.getInt32(kCNoLevel), [&](llvm::Value* level) {
      b_.CreateCall(pack_type(), field(level, kPack), {pack->getArg(0), pack->getArg(1)});
      return b_.getInt32(kCDone);
    });
  }

  llvm::FunctionType* kernel_type() {
    return function_type(b_.getVoidTy(), {b_.getPtrTy(), b_.getInt64Ty(), b_.getInt64Ty()});
  }
  llvm::FunctionType* pack_type() {
    return function_type(b_.getVoidTy(), {b_.getPtrTy(), b_.getPtrTy()});
  }

  KernelBuilder b_;
  llvm::Module& module_;
  const Target& target_;
  const CFunction& function_;
  llvm::ArrayRef<LevelCode> levels_;
  llvm::Function* level_;
  std::vector<CParameter> parameters_;
  llvm::GlobalVariable* table_ = nullptr;
};

}  // namespace

LevelCode emit_level(llvm::Module& module, const CFunction& function, const Schedule& schedule,
                     const Target& target, const std::string& symbol) {
  LevelCode code = {};
  code.sizes = kernel_sizes(function, schedule);
  code.kernel =
      emit_kernel(module, function.conv, schedule, target, symbol, function.constant_weights());
  code.kernel->setVisibility(llvm::GlobalValue::HiddenVisibility);
  if (function.constants) return code;
  code.pack = emit_pack(module, function.conv, packed_layout(function.conv, schedule), target,
                        symbol + "_pack");
  code.pack->setVisibility(llvm::GlobalValue::HiddenVisibility);
  return code;
}

LevelCode declare_level(llvm::Module& module, const CFunction& function, const Schedule& schedule,
                        const std::string& symbol) {
  llvm::LLVMContext& context = module.getContext();
  auto* nothing = llvm::Type::getVoidTy(context);
  auto* pointer = llvm::PointerType::get(context, 0);
  auto* index = llvm::Type::getInt64Ty(context);
  LevelCode code = {};
  code.sizes = kernel_sizes(function, schedule);
  code.kernel = declare_hidden(module, symbol, function_type(nothing, {pointer, index, index}));
  if (!function.constants)
    code.pack =
        declare_hidden(module, symbol + "_pack", function_type(nothing, {pointer, pointer}));
  return code;
}

void emit_c_interface(llvm::Module& module, const Target& target, const CFunction& function,
                      llvm::ArrayRef<LevelCode> levels, llvm::Function* level) {
  CInterfaceEmitter(module, target, function, levels, level).emit();
}

}  // namespace convgen::codegen
