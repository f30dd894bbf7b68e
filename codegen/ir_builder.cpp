// SPDX-License-Identifier: Apache-2.0
#include "codegen/ir_builder.h"

#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/Intrinsics.h>

#include <bit>

namespace convgen::codegen {
namespace {

constexpr llvm::Align kFloatAlign = llvm::Align::Constant<alignof(float)>();

}  // namespace

KernelBuilder::KernelBuilder(llvm::Module& module, const Target& target, int lanes)
    : IRBuilder(module.getContext()),
      lanes_(lanes),
      has_fma_(target.has_fma),
      has_lane_masks_(target.has_lane_masks) {}

llvm::Value* KernelBuilder::min_index(llvm::Value* a, llvm::Value* b) {
  return CreateSelect(CreateICmpSLT(a, b), a, b);
}

llvm::Value* KernelBuilder::max_index(llvm::Value* a, llvm::Value* b) {
  return CreateSelect(CreateICmpSGT(a, b), a, b);
}

llvm::Value* KernelBuilder::at(llvm::Value* base, llvm::Value* elements) {
  if (auto* constant = llvm::dyn_cast<llvm::ConstantInt>(elements); constant && constant->isZero())
    return base;
  return CreateGEP(getFloatTy(), base, elements);
}

llvm::Value* KernelBuilder::splat(float value) {
  return llvm::ConstantFP::get(vector_type(), llvm::APFloat(value));
}

llvm::Value* KernelBuilder::load_splat(llvm::Value* address, const llvm::Twine& name) {
  return CreateVectorSplat(lanes_, CreateAlignedLoad(getFloatTy(), address, kFloatAlign), name);
}

llvm::Value* KernelBuilder::lane_mask(int first, int last) {
  llvm::SmallVector<llvm::Constant*, 16> bits;
  for (int lane = 0; lane < lanes_; ++lane) bits.push_back(getInt1(lane >= first && lane < last));
  return llvm::ConstantVector::get(bits);
}

llvm::Value* KernelBuilder::select_lanes(int first, int last, llvm::Value* a, llvm::Value* b) {
  return CreateSelect(lane_mask(first, last), a, b);
}

llvm::Value* KernelBuilder::load_lanes(llvm::Value* address, int count, const llvm::Twine& name) {
  return load_lanes_between(address, 0, count, name);
}

// Without lane masks a partial vector is put together from power-of-two pieces: 7 = 4 + 2 + 1.
llvm::Value* KernelBuilder::load_lanes_between(llvm::Value* address, int first, int last,
                                               const llvm::Twine& name) {
  if (first == 0 && last == lanes_)
    return CreateAlignedLoad(vector_type(), address, kFloatAlign, name);
  if (has_lane_masks_)
    return CreateMaskedLoad(vector_type(), address, kFloatAlign, lane_mask(first, last), zero(),
                            name);
  llvm::Value* result = zero();
  for (int lane = first; lane < last;) {
    const int piece = static_cast<int>(std::bit_floor(static_cast<unsigned>(last - lane)));
    auto* type = llvm::FixedVectorType::get(getFloatTy(), piece);
    llvm::Value* part = CreateAlignedLoad(type, at(address, lane), kFloatAlign);
    llvm::SmallVector<int, 16> widen(lanes_, piece), merge;
    for (int i = 0; i < piece; ++i) widen[i] = i;
    part = CreateShuffleVector(part, llvm::Constant::getNullValue(type), widen);
    for (int i = 0; i < lanes_; ++i)
      merge.push_back(i >= lane && i < lane + piece ? lanes_ + i - lane : i);
    result = CreateShuffleVector(result, part, merge);
    lane += piece;
  }
  return result;
}

void KernelBuilder::store_lanes(llvm::Value* value, llvm::Value* address, int count) {
  if (count == lanes_) {
    CreateAlignedStore(value, address, kFloatAlign);
    return;
  }
  if (has_lane_masks_) {
    CreateMaskedStore(value, address, kFloatAlign, lane_mask(0, count));
    return;
  }
  for (int lane = 0; lane < count;) {
    const int piece = static_cast<int>(std::bit_floor(static_cast<unsigned>(count - lane)));
    llvm::SmallVector<int, 16> lanes;
    for (int i = 0; i < piece; ++i) lanes.push_back(lane + i);
    CreateAlignedStore(CreateShuffleVector(value, lanes), at(address, lane), kFloatAlign);
    lane += piece;
  }
}

// Swaps off-diagonal blocks of 1, 2, 4, ... lanes (Eklundh, "A Fast Computer Method for Matrix
// Transposing", 1972): log2(lanes) shuffles a vector.
Values KernelBuilder::transpose(Values rows) {
  for (int distance = 1; distance < lanes_; distance *= 2) {
    llvm::SmallVector<int, 16> upper, lower;
    for (int lane = 0; lane < lanes_; ++lane) {
      const bool high = (lane & distance) != 0;
      upper.push_back(high ? lanes_ + lane - distance : lane);
      lower.push_back(high ? lanes_ + lane : lane + distance);
    }
    for (int i = 0; i < lanes_; ++i) {
      if ((i & distance) != 0) continue;
      llvm::Value* a = rows[i];
      llvm::Value* c = rows[i + distance];
      rows[i] = CreateShuffleVector(a, c, upper);
      rows[i + distance] = CreateShuffleVector(a, c, lower);
    }
  }
  return rows;
}

// Packed rows are whole vectors in a 64-byte aligned buffer, so a vector's own size is its
// alignment.
llvm::Value* KernelBuilder::load_packed(llvm::Value* address, const llvm::Twine& name) {
  return CreateAlignedLoad(vector_type(), address, llvm::Align(lanes_ * sizeof(float)), name);
}

void KernelBuilder::store_packed(llvm::Value* value, llvm::Value* address) {
  CreateAlignedStore(value, address, llvm::Align(lanes_ * sizeof(float)));
}

void KernelBuilder::prefetch(llvm::Value* address) {
  constexpr int kRead = 0, kToL2 = 2, kData = 1;
  CreateIntrinsic(llvm::Intrinsic::prefetch, {getPtrTy()},
                  {address, getInt32(kRead), getInt32(kToL2), getInt32(kData)});
}

llvm::Value* KernelBuilder::fma(llvm::Value* a, llvm::Value* b, llvm::Value* c) {
  if (has_fma_) return CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
  return CreateFAdd(CreateFMul(a, b), c);
}

void KernelBuilder::fence() {
  auto* type = llvm::FunctionType::get(getVoidTy(), false);
  CreateCall(llvm::InlineAsm::get(type, "", "~{memory}", /*hasSideEffects=*/true));
}

}  // namespace convgen::codegen
