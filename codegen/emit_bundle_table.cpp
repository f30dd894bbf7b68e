// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_bundle_table.h"

#include <llvm/IR/Constants.h>

#include <map>

#include "codegen/bundle_abi.h"
#include "codegen/emit_cpu_check.h"
#include "codegen/packed_layout.h"
#include "ir/text.h"

namespace convgen::codegen {
namespace {

class BundleTableEmitter {
 public:
  explicit BundleTableEmitter(llvm::Module& module)
      : module_(module),
        pointer_(llvm::PointerType::get(module.getContext(), 0)),
        null_(llvm::ConstantPointerNull::get(pointer_)) {}

  void emit(const std::string& library, llvm::ArrayRef<BundleRow> rows, size_t levels) {
    llvm::SmallVector<llvm::Constant*, 32> entries;
    for (const BundleRow& row : rows) entries.push_back(entry(row));
    auto* type = llvm::ArrayType::get(entries[0]->getType(), entries.size());
    llvm::Constant* table = add_data(llvm::ConstantArray::get(type, entries), "entries");
    const auto convs = static_cast<int64_t>(rows.size() / levels);
    llvm::Constant* bundle = llvm::ConstantStruct::getAnon(
        {number(kConvgenBundleAbi), number(static_cast<int64_t>(levels)), number(convs), table,
         declare_cpu_check(module_, library)});
    new llvm::GlobalVariable(module_, bundle->getType(), /*isConstant=*/true,
                             llvm::GlobalValue::ExternalLinkage, bundle, library + "_bundle");
  }

 private:
  // The fields of convgen_bundle_entry, in its order.
  llvm::Constant* entry(const BundleRow& row) {
    const ir::Conv& conv = row.function->conv;
    const Schedule& schedule = *row.schedule;
    const ConstantWeights* constants = row.function->constant_weights();
    const bool winograd = schedule.algorithm == Algorithm::kWinograd;
    const KernelSizes& sizes = row.code.sizes;
    return llvm::ConstantStruct::getAnon(
        {text(ir::print_conv(conv)), constants == nullptr ? null_ : values(*constants),
         number(constants != nullptr && constants->assume_finite), text(row.level),
         text(row.target), text(print_schedule(schedule)), text(packed_tag(conv, schedule)),
         row.code.kernel, row.code.pack == nullptr ? null_ : row.code.pack, number(sizes.tasks),
         number(sizes.packed_elements), number(sizes.scratch_bytes),
         number(winograd ? schedule.output_tile : 0)});
  }

  llvm::Constant* number(int64_t value) {
    return llvm::ConstantInt::get(llvm::Type::getInt64Ty(module_.getContext()),
                                  static_cast<uint64_t>(value));
  }
  llvm::Constant* text(const std::string& value) {
    llvm::Constant*& data = texts_[value];
    if (data == nullptr)
      data = add_data(llvm::ConstantDataArray::getString(module_.getContext(), value), "text");
    return data;
  }
  llvm::Constant* values(const ConstantWeights& constants) {
    llvm::Constant*& data = weights_[&constants];
    if (data == nullptr)
      data = add_data(llvm::ConstantDataArray::get(module_.getContext(),
                                                   llvm::ArrayRef<float>(constants.values)),
                      "weights");
    return data;
  }
  llvm::Constant* add_data(llvm::Constant* data, const char* name) {
    return new llvm::GlobalVariable(module_, data->getType(), /*isConstant=*/true,
                                    llvm::GlobalValue::PrivateLinkage, data, name);
  }

  llvm::Module& module_;
  llvm::PointerType* pointer_;
  llvm::Constant* null_;
  std::map<std::string, llvm::Constant*> texts_;
  std::map<const ConstantWeights*, llvm::Constant*> weights_;
};

}  // namespace

void emit_bundle_table(llvm::Module& module, const std::string& library,
                       llvm::ArrayRef<BundleRow> rows, size_t levels) {
  BundleTableEmitter(module).emit(library, rows, levels);
}

}  // namespace convgen::codegen
