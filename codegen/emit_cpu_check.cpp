// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_cpu_check.h"

#include <llvm/IR/InlineAsm.h>
#include <llvm/TargetParser/Triple.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "codegen/emit_function.h"
#include "codegen/loop_nest.h"
#include "codegen/x86_features.h"

namespace convgen::codegen {
namespace {

std::string cpu_check_name(const std::string& library) { return library + "__level"; }

using Leaf = std::pair<uint32_t, uint32_t>;  // leaf, subleaf

// The bits that must all be set.
struct Required {
  std::map<Leaf, std::array<uint32_t, 4>> cpuid;
  uint32_t xcr0 = 0;
};

constexpr X86Feature kOsxsave = {"osxsave", 1, 0, 2, 27, 0};

void require(Required& required, const X86Feature& feature) {
  required.cpuid[{feature.leaf, feature.subleaf}][static_cast<size_t>(feature.word)] |=
      uint32_t{1} << feature.bit;
  required.xcr0 |= feature.xcr0;
}

Required required_by(const Target& target) {
  Required required;
  for (const X86Feature& feature : x86_features())
    if (std::ranges::binary_search(target.features, "+" + std::string(feature.name)))
      require(required, feature);
  if (required.xcr0 != 0) require(required, kOsxsave);
  return required;
}

class CpuCheckEmitter {
 public:
  CpuCheckEmitter(KernelBuilder& b, llvm::ArrayRef<Target> levels) : b_(b) {
    for (const Target& level : levels) levels_.push_back(required_by(level));
  }

  // i32: the first level all of whose bits are set, -1 for none.
  llvm::Value* emit() {
    llvm::Value* last_basic = word(cpuid({0, 0}), 0);
    llvm::Value* last_extended = word(cpuid({0x80000000, 0}), 0);
    for (const Required& level : levels_)
      for (const auto& [leaf, bits] : level.cpuid)
        if (!words_.contains(leaf)) words_[leaf] = read(leaf, last_basic, last_extended);
    llvm::Value* xcr0 = emit_xcr0();
    llvm::Value* found = b_.getInt32(static_cast<uint32_t>(-1));
    for (size_t i = levels_.size(); i-- > 0;)
      found = b_.CreateSelect(emit_runs(levels_[i], xcr0), b_.getInt32(static_cast<uint32_t>(i)),
                              found);
    return found;
  }

 private:
  using Words = std::array<llvm::Value*, 4>;

  llvm::Value* cpuid(const Leaf& leaf) {
    llvm::Type* word = b_.getInt32Ty();
    auto* result = llvm::StructType::get(b_.getContext(), {word, word, word, word});
    auto* type = llvm::FunctionType::get(result, {word, word}, false);
    auto* code = llvm::InlineAsm::get(type, "cpuid", "={ax},={bx},={cx},={dx},{ax},{cx}",
                                      /*hasSideEffects=*/true);
    return b_.CreateCall(code, {b_.getInt32(leaf.first), b_.getInt32(leaf.second)});
  }
  llvm::Value* word(llvm::Value* words, unsigned i) { return b_.CreateExtractValue(words, i); }

  // Zeros for a leaf that the CPU does not have: Intel's answer to those with the last one's words.
  // The leaves with a subleaf 1 answer zeros themselves where they lack it.
  Words read(const Leaf& leaf, llvm::Value* last_basic, llvm::Value* last_extended) {
    llvm::Value* last = leaf.first >= 0x80000000 ? last_extended : last_basic;
    llvm::Value* known = b_.CreateICmpUGE(last, b_.getInt32(leaf.first));
    llvm::Value* words = cpuid(leaf);
    Words result;
    for (unsigned i = 0; i < 4; ++i)
      result[i] = b_.CreateSelect(known, word(words, i), b_.getInt32(0));
    return result;
  }

  // xgetbv faults where the system has not turned it on.
  llvm::Value* emit_xcr0() {
    const bool asked = llvm::any_of(levels_, [](const Required& r) { return r.xcr0 != 0; });
    if (!asked) return b_.getInt32(0);
    const Words& features = words_.at({kOsxsave.leaf, kOsxsave.subleaf});
    llvm::Value* on =
        all_set(features[static_cast<size_t>(kOsxsave.word)], uint32_t{1} << kOsxsave.bit);
    llvm::Type* word = b_.getInt32Ty();
    auto* result = llvm::StructType::get(b_.getContext(), {word, word});
    auto* type = llvm::FunctionType::get(result, {word}, false);
    auto* code = llvm::InlineAsm::get(type, "xgetbv", "={ax},={dx},{cx}", /*hasSideEffects=*/true);
    const Values xcr0 = emit_if(
        b_, on, "xgetbv", {b_.getInt32(0)},
        [&](Values) {
          return Values{b_.CreateExtractValue(b_.CreateCall(code, {b_.getInt32(0)}), 0)};
        },
        [](Values none) { return none; });
    return xcr0[0];
  }

  llvm::Value* all_set(llvm::Value* value, uint32_t bits) {
    return b_.CreateICmpEQ(b_.CreateAnd(value, b_.getInt32(bits)), b_.getInt32(bits));
  }

  llvm::Value* emit_runs(const Required& level, llvm::Value* xcr0) {
    llvm::Value* runs = b_.getTrue();
    for (const auto& [leaf, bits] : level.cpuid)
      for (size_t i = 0; i < bits.size(); ++i)
        if (bits[i] != 0) runs = b_.CreateAnd(runs, all_set(words_.at(leaf)[i], bits[i]));
    return level.xcr0 == 0 ? runs : b_.CreateAnd(runs, all_set(xcr0, level.xcr0));
  }

  KernelBuilder& b_;
  std::vector<Required> levels_;
  std::map<Leaf, Words> words_;
};

// A word that holds 0 until it is known, then the level's index + 2.
llvm::Value* emit_once(KernelBuilder& b, llvm::Module& module,
                       llvm::function_ref<llvm::Value*()> find) {
  auto* cache = new llvm::GlobalVariable(module, b.getInt32Ty(), /*isConstant=*/false,
                                         llvm::GlobalValue::PrivateLinkage, b.getInt32(0), "level");
  llvm::LoadInst* known = b.CreateAlignedLoad(b.getInt32Ty(), cache, llvm::Align(4), "known");
  known->setAtomic(llvm::AtomicOrdering::Monotonic);
  const Values found = emit_if(
      b, b.CreateICmpEQ(known, b.getInt32(0)), "first", {known},
      [&](Values) {
        llvm::Value* level = b.CreateAdd(find(), b.getInt32(2));
        b.CreateAlignedStore(level, cache, llvm::Align(4))
            ->setAtomic(llvm::AtomicOrdering::Monotonic);
        return Values{level};
      },
      [](Values before) { return before; });
  return b.CreateSub(found[0], b.getInt32(2));
}

}  // namespace

llvm::Function* declare_cpu_check(llvm::Module& module, const std::string& library) {
  auto* type = llvm::FunctionType::get(llvm::Type::getInt32Ty(module.getContext()), false);
  auto* check = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage,
                                       cpu_check_name(library), module);
  check->setVisibility(llvm::GlobalValue::HiddenVisibility);
  check->setDoesNotThrow();
  return check;
}

void emit_cpu_check(llvm::Module& module, const Target& baseline, const std::string& library,
                    llvm::ArrayRef<Target> levels, llvm::ArrayRef<std::string> names) {
  KernelBuilder b(module, baseline, /*lanes=*/4);
  auto* index_type = llvm::FunctionType::get(b.getInt32Ty(), false);
  llvm::Function* index = begin_function(b, module, baseline, cpu_check_name(library), index_type);
  index->setVisibility(llvm::GlobalValue::HiddenVisibility);
  const bool x86 = llvm::Triple(baseline.triple).isX86();
  b.CreateRet(x86 ? emit_once(b, module, [&] { return CpuCheckEmitter(b, levels).emit(); })
                  : b.getInt32(0));

  begin_function(b, module, baseline, library + "_level",
                 llvm::FunctionType::get(b.getPtrTy(), false));
  llvm::Value* level = b.CreateCall(index);
  llvm::Value* name = llvm::ConstantPointerNull::get(b.getPtrTy());
  for (size_t i = 0; i < names.size(); ++i)
    name = b.CreateSelect(b.CreateICmpEQ(level, b.getInt32(static_cast<uint32_t>(i))),
                          b.CreateGlobalString(names[i], "name", 0, &module), name);
  b.CreateRet(name);
}

}  // namespace convgen::codegen
