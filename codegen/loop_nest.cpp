// SPDX-License-Identifier: Apache-2.0
#include "codegen/loop_nest.h"

#include <algorithm>
#include <cassert>
#include <optional>

namespace convgen::codegen {
namespace {

llvm::BasicBlock* new_block(KernelBuilder& b, const llvm::Twine& name) {
  return llvm::BasicBlock::Create(b.getContext(), name, b.GetInsertBlock()->getParent());
}

// Phis in the block at hand, one per carried value that differs.
Values merge(KernelBuilder& b, const Values& a, llvm::BasicBlock* a_block, const Values& c,
             llvm::BasicBlock* c_block) {
  Values merged;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == c[i]) {
      merged.push_back(a[i]);
      continue;
    }
    llvm::PHINode* phi = b.CreatePHI(a[i]->getType(), 2);
    phi->addIncoming(a[i], a_block);
    phi->addIncoming(c[i], c_block);
    merged.push_back(phi);
  }
  return merged;
}

// NAME.loop, entered with at least one iteration to do; leaves the builder in `done`.
Values emit_rotated_loop(KernelBuilder& b, const LoopRange& range, llvm::StringRef name,
                         const Values& carried, llvm::BasicBlock* done, LoopBody body) {
  llvm::BasicBlock* entry = b.GetInsertBlock();
  llvm::BasicBlock* loop = new_block(b, name + ".loop");
  b.CreateBr(loop);
  b.SetInsertPoint(loop);
  llvm::PHINode* i = b.CreatePHI(b.getInt64Ty(), 2, name);
  i->addIncoming(range.begin, entry);
  Values phis;
  for (llvm::Value* value : carried) {
    llvm::PHINode* phi = b.CreatePHI(value->getType(), 2);
    phi->addIncoming(value, entry);
    phis.push_back(phi);
  }
  Values next = body(i, phis);
  llvm::Value* next_i = b.CreateAdd(i, b.index(range.step), name + ".next", true, true);
  llvm::BasicBlock* latch = b.GetInsertBlock();
  i->addIncoming(next_i, latch);
  for (size_t k = 0; k < phis.size(); ++k) {
    auto* phi = llvm::cast<llvm::PHINode>(phis[k]);
    if (next[k] == phi) {  // the body leaves it alone
      std::replace(next.begin(), next.end(), phis[k], carried[k]);
      phi->replaceAllUsesWith(carried[k]);
      phi->eraseFromParent();
    } else {
      phi->addIncoming(next[k], latch);
    }
  }
  b.CreateCondBr(b.CreateICmpSLT(next_i, range.end), loop, done);
  done->moveAfter(latch);
  b.SetInsertPoint(done);
  return next;
}

}  // namespace

std::optional<int64_t> constant_index(llvm::Value* value) {
  if (auto* constant = llvm::dyn_cast<llvm::ConstantInt>(value)) return constant->getSExtValue();
  return std::nullopt;
}

Values emit_for(KernelBuilder& b, const LoopRange& range, llvm::StringRef name, Values carried,
                LoopBody body) {
  const auto begin = constant_index(range.begin);
  const auto end = constant_index(range.end);
  if (begin && end) {
    if (*begin >= *end) return carried;
    const bool once = *end - *begin <= range.step;
    if (range.unroll || once) {
      for (int64_t i = *begin; i < *end; i += range.step) carried = body(b.index(i), carried);
      return carried;
    }
  }
  if (range.enters || (begin && end))
    return emit_rotated_loop(b, range, name, carried, new_block(b, name + ".done"), body);
  assert(!range.unroll && "an unrolled loop needs constant bounds");
  llvm::BasicBlock* enter = new_block(b, name + ".enter");
  llvm::BasicBlock* leave = new_block(b, name + ".leave");
  llvm::BasicBlock* skip = b.GetInsertBlock();
  b.CreateCondBr(b.CreateICmpSLT(range.begin, range.end), enter, leave);
  b.SetInsertPoint(enter);
  Values last = emit_rotated_loop(b, range, name, carried, new_block(b, name + ".done"), body);
  llvm::BasicBlock* done = b.GetInsertBlock();
  b.CreateBr(leave);
  leave->moveAfter(done);
  b.SetInsertPoint(leave);
  return merge(b, carried, skip, last, done);
}

Values emit_if(KernelBuilder& b, llvm::Value* condition, llvm::StringRef name, Values carried,
               llvm::function_ref<Values(Values)> then_body,
               llvm::function_ref<Values(Values)> else_body) {
  if (auto* constant = llvm::dyn_cast<llvm::ConstantInt>(condition))
    return constant->isOne() ? then_body(carried) : else_body(carried);
  llvm::BasicBlock* then_block = new_block(b, name + ".then");
  llvm::BasicBlock* else_block = new_block(b, name + ".else");
  llvm::BasicBlock* join = new_block(b, name + ".join");
  b.CreateCondBr(condition, then_block, else_block);
  b.SetInsertPoint(then_block);
  Values then_values = then_body(carried);
  then_block = b.GetInsertBlock();
  b.CreateBr(join);
  else_block->moveAfter(then_block);
  b.SetInsertPoint(else_block);
  Values else_values = else_body(carried);
  else_block = b.GetInsertBlock();
  b.CreateBr(join);
  join->moveAfter(else_block);
  b.SetInsertPoint(join);
  return merge(b, then_values, then_block, else_values, else_block);
}

}  // namespace convgen::codegen
