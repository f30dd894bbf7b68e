// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_epilogue.h"

#include "codegen/loop_nest.h"

namespace convgen::codegen {

using ir::PostOp;
using ir::PostOpKind;

llvm::SmallVector<EpilogueEmitter::ChannelOperands, 4> EpilogueEmitter::load_channel_operands(
    const TileOutputs& outputs) {
  llvm::SmallVector<ChannelOperands, 4> operands;
  for (int v = 0; v < outputs.vectors; ++v) {
    ChannelOperands here;
    here.lanes = v + 1 == outputs.vectors ? outputs.last_lanes : schedule_.lanes;
    llvm::Value* channel = b_.add_index(outputs.channel, b_.index(int64_t{v} * schedule_.lanes));
    if (conv_.uses(PostOpKind::kBias))
      here.bias = b_.load_lanes(b_.at(pointers_.bias, channel), here.lanes, "bias");
    if (conv_.uses(PostOpKind::kScale))
      here.scale = b_.load_lanes(b_.at(pointers_.scale, channel), here.lanes, "scale");
    operands.push_back(here);
  }
  return operands;
}

void EpilogueEmitter::emit(const TileOutputs& outputs, const Values& acc) {
  const auto operands = load_channel_operands(outputs);
  if (schedule_.epilogue == Epilogue::kLoop) return emit_looped(outputs, acc, operands);
  for (int p = 0; p < outputs.pixels; ++p)
    for (int v = 0; v < outputs.vectors; ++v)
      emit_vector(acc[p * outputs.vectors + v], operands[v],
                  b_.add_index(outputs.dst, b_.index(p * dst_.w + v * schedule_.lanes * dst_.c)));
}

void EpilogueEmitter::emit_looped(const TileOutputs& outputs, const Values& acc,
                                  llvm::ArrayRef<ChannelOperands> operands) {
  // Allocated in the entry block: once, however often the tile runs.
  llvm::Function* function = b_.GetInsertBlock()->getParent();
  llvm::BasicBlock& entry = function->getEntryBlock();
  llvm::IRBuilder<> at_entry(&entry, entry.begin());
  auto* stage = at_entry.CreateAlloca(llvm::ArrayType::get(b_.vector_type(), acc.size()));
  const llvm::Align align(schedule_.lanes * sizeof(float));
  stage->setAlignment(align);
  for (size_t i = 0; i < acc.size(); ++i)
    b_.CreateAlignedStore(acc[i], b_.at(stage, i * schedule_.lanes), align);
  const int64_t pixel_step = int64_t{outputs.vectors} * schedule_.lanes;
  const LoopRange range{b_.index(0), b_.index(outputs.pixels), 1,
                        schedule_.unroll == Unroll::kFull};
  emit_for(b_, range, "pixel", {}, [&](llvm::Value* p, Values) {
    llvm::Value* row = b_.at(stage, b_.scale_index(p, pixel_step));
    llvm::Value* dst = b_.add_index(outputs.dst, b_.scale_index(p, dst_.w));
    for (int v = 0; v < outputs.vectors; ++v)
      emit_vector(b_.load_packed(b_.at(row, int64_t{v} * schedule_.lanes)), operands[v],
                  b_.add_index(dst, b_.index(v * schedule_.lanes * dst_.c)));
    return Values();
  });
}

void EpilogueEmitter::emit_vector(llvm::Value* x, const ChannelOperands& operands,
                                  llvm::Value* offset) {
  llvm::Value* add = nullptr;
  if (conv_.uses(PostOpKind::kAdd))
    add = b_.gather_lanes(b_.at(pointers_.add, offset), dst_.c, operands.lanes);
  for (const PostOp& op : conv_.post) x = apply(op, x, operands, add);
  b_.scatter_lanes(x, b_.at(pointers_.dst, offset), dst_.c, operands.lanes);
}

llvm::Value* EpilogueEmitter::apply(const PostOp& op, llvm::Value* x,
                                    const ChannelOperands& operands, llvm::Value* add) {
  switch (op.kind) {
    case PostOpKind::kBias:
      return b_.CreateFAdd(x, operands.bias);
    case PostOpKind::kAdd:
      return b_.CreateFAdd(x, add);
    case PostOpKind::kScale:
      return b_.CreateFMul(x, operands.scale);
    case PostOpKind::kRelu:
      return math_.max(x, 0);
    case PostOpKind::kLeakyRelu:
      return math_.leaky_relu(x, op.a);
    case PostOpKind::kElu:
      return math_.elu(x, op.a);
    case PostOpKind::kClamp:
      return math_.min(math_.max(x, op.a), op.b);
    case PostOpKind::kMin:
      return math_.min(x, op.a);
    case PostOpKind::kMax:
      return math_.max(x, op.a);
    case PostOpKind::kSigmoid:
      return math_.sigmoid(x);
    case PostOpKind::kTanh:
      return math_.tanh(x);
    case PostOpKind::kGelu:
      return math_.gelu(x);
    case PostOpKind::kGeluTanh:
      return math_.gelu_tanh(x);
    case PostOpKind::kSilu:
      return b_.CreateFMul(x, math_.sigmoid(x));
    case PostOpKind::kHardSwish:
      return b_.CreateFMul(x, math_.hard_sigmoid(x));
    case PostOpKind::kHardSigmoid:
      return math_.hard_sigmoid(x);
    case PostOpKind::kAbs:
      return math_.abs(x);
    case PostOpKind::kSquare:
      return b_.CreateFMul(x, x);
  }
  return x;
}

}  // namespace convgen::codegen
