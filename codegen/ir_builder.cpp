// SPDX-License-Identifier: Apache-2.0
#include "codegen/ir_builder.h"

#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>

#include <bit>
#include <utility>

namespace convgen::codegen {
namespace {

constexpr llvm::Align kFloatAlign = llvm::Align::Constant<alignof(float)>();

bool is_zero(llvm::Value* value) {
  auto* constant = llvm::dyn_cast<llvm::ConstantInt>(value);
  return constant != nullptr && constant->isZero();
}

}  // namespace

KernelBuilder::KernelBuilder(llvm::Module& module, const Target& target, int lanes)
    : IRBuilder(module.getContext()),
      lanes_(lanes),
      has_fma_(target.has_fma),
      has_lane_masks_(target.has_lane_masks) {}

void KernelBuilder::with_lanes(int lanes, llvm::function_ref<void()> body) {
  const int before = std::exchange(lanes_, lanes);
  body();
  lanes_ = before;
}

llvm::Value* KernelBuilder::add_index(llvm::Value* a, llvm::Value* b) {
  if (is_zero(a)) return b;
  return is_zero(b) ? a : CreateAdd(a, b);
}

llvm::Value* KernelBuilder::sub_index(llvm::Value* a, llvm::Value* b) {
  return is_zero(b) ? a : CreateSub(a, b);
}

llvm::Value* KernelBuilder::scale_index(llvm::Value* a, int64_t factor) {
  if (factor == 0) return index(0);
  return factor == 1 ? a : CreateMul(a, index(factor));
}

llvm::Value* KernelBuilder::min_index(llvm::Value* a, llvm::Value* b) {
  return CreateSelect(CreateICmpSLT(a, b), a, b);
}

llvm::Value* KernelBuilder::max_index(llvm::Value* a, llvm::Value* b) {
  return CreateSelect(CreateICmpSGT(a, b), a, b);
}

llvm::Value* KernelBuilder::take_factor(llvm::Value*& linear, int64_t count) {
  if (count == 1) return index(0);
  llvm::Value* factor = CreateURem(linear, index(count));
  linear = CreateUDiv(linear, index(count));
  return factor;
}

llvm::Value* KernelBuilder::at(llvm::Value* base, llvm::Value* elements) {
  return is_zero(elements) ? base : CreateGEP(getFloatTy(), base, elements);
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

llvm::Value* KernelBuilder::constant_lanes(llvm::function_ref<float(int lane)> value) {
  llvm::SmallVector<float, 16> values;
  for (int lane = 0; lane < lanes_; ++lane) values.push_back(value(lane));
  return llvm::ConstantDataVector::get(getContext(), values);
}

llvm::Value* KernelBuilder::select_where(llvm::function_ref<bool(int lane)> from_a, llvm::Value* a,
                                         llvm::Value* b) {
  llvm::SmallVector<llvm::Constant*, 16> bits;
  for (int lane = 0; lane < lanes_; ++lane) bits.push_back(getInt1(from_a(lane)));
  return CreateSelect(llvm::ConstantVector::get(bits), a, b);
}

llvm::Value* KernelBuilder::any_nan(llvm::Value* value) {
  llvm::Value* bits = CreateBitCast(CreateFCmpUNO(value, value), getIntNTy(lanes_));
  return CreateICmpNE(bits, llvm::ConstantInt::get(bits->getType(), 0));
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

void KernelBuilder::stream(llvm::Value* value, llvm::Value* address) {
  llvm::StoreInst* store = CreateAlignedStore(value, address, llvm::Align(lanes_ * sizeof(float)));
  store->setMetadata(llvm::LLVMContext::MD_nontemporal,
                     llvm::MDNode::get(getContext(), llvm::ConstantAsMetadata::get(getInt32(1))));
}

void KernelBuilder::order_streams() { CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {}, {}); }

llvm::Value* KernelBuilder::is_aligned(llvm::Value* address) {
  const auto bytes = lanes_ * static_cast<int64_t>(sizeof(float));
  llvm::Value* rest = CreateAnd(CreatePtrToInt(address, getInt64Ty()), index(bytes - 1));
  return CreateICmpEQ(rest, index(0));
}

llvm::Value* KernelBuilder::load_strided(llvm::Value* address, int64_t step, int count) {
  if (step == 1) return load_lanes(address, count);
  llvm::Value* result = zero();
  for (int lane = 0; lane < count; ++lane) {
    llvm::Value* value = CreateAlignedLoad(getFloatTy(), at(address, lane * step), kFloatAlign);
    result = CreateInsertElement(result, value, static_cast<uint64_t>(lane));
  }
  return result;
}

void KernelBuilder::store_strided(llvm::Value* value, llvm::Value* address, int64_t step,
                                  int count) {
  if (step == 1) return store_lanes(value, address, count);
  for (int lane = 0; lane < count; ++lane)
    CreateAlignedStore(CreateExtractElement(value, static_cast<uint64_t>(lane)),
                       at(address, lane * step), kFloatAlign);
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

// One two-source shuffle for each vector but the first, however the lanes are spread.
llvm::Value* KernelBuilder::gather_lanes(const Values& from,
                                         llvm::function_ref<LaneOf(int lane)> lane_of) {
  llvm::Value* result = nullptr;
  for (int v = 0; v < static_cast<int>(from.size()); ++v) {
    llvm::SmallVector<int, 16> lanes;
    bool any = false;
    for (int lane = 0; lane < lanes_; ++lane) {
      const LaneOf source = lane_of(lane);
      any |= source.vector == v;
      lanes.push_back(source.vector == v ? lanes_ + source.lane : lane);
    }
    if (!any) continue;
    if (result == nullptr) result = llvm::PoisonValue::get(vector_type());
    result = CreateShuffleVector(result, from[v], lanes);
  }
  return result;
}

// By halves as long as they are even, K log2(K) shuffles; by K (K - 1) where K is odd.
Values KernelBuilder::deinterleave(const Values& memory) {
  const int step = static_cast<int>(memory.size());
  if (step > 2 && step % 2 == 0) {
    Values even, odd;
    for (int i = 0; i < step; i += 2) {
      const Values pair = deinterleave({memory[i], memory[i + 1]});
      even.push_back(pair[0]);
      odd.push_back(pair[1]);
    }
    even = deinterleave(even);
    odd = deinterleave(odd);
    Values result;
    for (int i = 0; i < step; ++i) result.push_back(i % 2 == 0 ? even[i / 2] : odd[i / 2]);
    return result;
  }
  Values result;
  for (int k = 0; k < step; ++k)
    result.push_back(gather_lanes(memory, [&](int lane) {
      return LaneOf{(lane * step + k) / lanes_, (lane * step + k) % lanes_};
    }));
  return result;
}

Values KernelBuilder::interleave(const Values& every_kth) {
  const int step = static_cast<int>(every_kth.size());
  if (step > 2 && step % 2 == 0) {
    Values even, odd, result;
    for (int i = 0; i < step; i += 2) {
      even.push_back(every_kth[i]);
      odd.push_back(every_kth[i + 1]);
    }
    even = interleave(even);
    odd = interleave(odd);
    for (int i = 0; i < step / 2; ++i) result.append(interleave({even[i], odd[i]}));
    return result;
  }
  Values result;
  for (int v = 0; v < step; ++v)
    result.push_back(gather_lanes(every_kth, [&](int lane) {
      return LaneOf{(v * lanes_ + lane) % step, (v * lanes_ + lane) / step};
    }));
  return result;
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
