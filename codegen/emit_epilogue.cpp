// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_epilogue.h"

#include <algorithm>

#include "codegen/loop_nest.h"

namespace convgen::codegen {

using ir::PostOp;
using ir::PostOpKind;

void EpilogueEmitter::emit(const TileOutputs& outputs, const Values& acc) {
  // One output pixel makes the channels neighbours in either layout.
  if (dst_.c == 1 && schedule_.algorithm != Algorithm::kPlanar)
    return emit_channels_last(outputs, acc);
  emit_channels_first(outputs, acc);
}

EpilogueEmitter::OperandsList EpilogueEmitter::load_channel_operands(const TileOutputs& outputs) {
  OperandsList list;
  for (int v = 0; v < outputs.vectors; ++v) {
    Operands operands;
    operands.lanes = v + 1 == outputs.vectors ? outputs.last_lanes : schedule_.lanes;
    llvm::Value* channel = b_.add_index(outputs.channel, b_.index(int64_t{v} * schedule_.lanes));
    if (conv_.uses(PostOpKind::kBias))
      operands.bias = b_.load_lanes(b_.at(pointers_.bias, channel), operands.lanes, "bias");
    if (conv_.uses(PostOpKind::kScale))
      operands.scale = b_.load_lanes(b_.at(pointers_.scale, channel), operands.lanes, "scale");
    list.push_back(operands);
  }
  return list;
}

void EpilogueEmitter::emit_channels_last(const TileOutputs& outputs, const Values& acc) {
  const OperandsList operands = load_channel_operands(outputs);
  const auto vector_offset = [&](llvm::Value* pixel, int v) {
    llvm::Value* offset = b_.add_index(outputs.dst, b_.scale_index(pixel, dst_.w));
    return b_.add_index(offset, b_.index(int64_t{v} * schedule_.lanes));
  };
  if (schedule_.epilogue == Epilogue::kInline) {
    for (int p = 0; p < outputs.pixels; ++p)
      for (int v = 0; v < outputs.vectors; ++v)
        emit_vector(acc[p * outputs.vectors + v], operands[v], vector_offset(b_.index(p), v));
    return;
  }
  llvm::Value* stage = stage_on_stack(acc);
  const int64_t pixel_step = int64_t{outputs.vectors} * schedule_.lanes;
  emit_for(b_, {b_.index(0), b_.index(outputs.pixels)}, "pixel", {}, [&](llvm::Value* p, Values) {
    llvm::Value* row = b_.at(stage, b_.scale_index(p, pixel_step));
    for (int v = 0; v < outputs.vectors; ++v)
      emit_vector(b_.load_packed(b_.at(row, int64_t{v} * schedule_.lanes)), operands[v],
                  vector_offset(p, v));
    return Values();
  });
}

EpilogueEmitter::Operands EpilogueEmitter::load_pixel_operands(const TileOutputs& outputs,
                                                               llvm::Value* channel, int lanes) {
  llvm::Value* oc = b_.add_index(outputs.channel, channel);
  Operands operands;
  operands.lanes = lanes;
  if (conv_.uses(PostOpKind::kBias))
    operands.bias = b_.load_splat(b_.at(pointers_.bias, oc), "bias");
  if (conv_.uses(PostOpKind::kScale))
    operands.scale = b_.load_splat(b_.at(pointers_.scale, oc), "scale");
  return operands;
}

// Runs of pixels by channel, rows[channel * runs + run]: what a planar tile computes, and what
// other tiles become by transposing.
Values EpilogueEmitter::rows_of_channels(const TileOutputs& outputs, const Values& acc, int runs) {
  const int lanes = schedule_.lanes;
  if (schedule_.algorithm == Algorithm::kPlanar) {
    Values rows(acc.size());
    for (int c = 0; c < outputs.vectors; ++c)
      for (int run = 0; run < runs; ++run) rows[c * runs + run] = acc[run * outputs.vectors + c];
    return rows;
  }
  Values rows(int64_t{outputs.vectors} * lanes * runs);
  for (int v = 0; v < outputs.vectors; ++v) {
    for (int run = 0; run < runs; ++run) {
      Values tile(lanes, b_.zero());
      for (int p = run * lanes; p < std::min(outputs.pixels, (run + 1) * lanes); ++p)
        tile[p - run * lanes] = acc[p * outputs.vectors + v];
      tile = b_.transpose(tile);
      for (int c = 0; c < lanes; ++c) rows[(v * lanes + c) * runs + run] = tile[c];
    }
  }
  return rows;
}

void EpilogueEmitter::emit_channels_first(const TileOutputs& outputs, const Values& acc) {
  const int lanes = schedule_.lanes;
  const int runs = (outputs.pixels + lanes - 1) / lanes;
  const int channels = (outputs.vectors - 1) * schedule_.channel_lanes() + outputs.last_lanes;
  const Values rows = rows_of_channels(outputs, acc, runs);
  const auto emit_run = [&](llvm::Value* x, llvm::Value* channel, int run) {
    const int pixels = std::min(lanes, outputs.pixels - run * lanes);
    llvm::Value* offset = b_.add_index(outputs.dst, b_.scale_index(channel, dst_.c));
    emit_vector(x, load_pixel_operands(outputs, channel, pixels),
                b_.add_index(offset, b_.index(int64_t{run} * lanes)));
  };
  if (schedule_.epilogue == Epilogue::kInline) {
    for (int c = 0; c < channels; ++c)
      for (int run = 0; run < runs; ++run) emit_run(rows[c * runs + run], b_.index(c), run);
    return;
  }
  llvm::Value* stage = stage_on_stack(rows);
  emit_for(b_, {b_.index(0), b_.index(channels)}, "channel", {}, [&](llvm::Value* c, Values) {
    llvm::Value* row = b_.at(stage, b_.scale_index(c, int64_t{runs} * lanes));
    for (int run = 0; run < runs; ++run)
      emit_run(b_.load_packed(b_.at(row, int64_t{run} * lanes)), c, run);
    return Values();
  });
}

// Vectors behind each other in a slot of the stack, which is allocated in the entry block: once,
// however often the tile runs.
llvm::Value* EpilogueEmitter::stage_on_stack(const Values& vectors) {
  llvm::BasicBlock& entry = b_.GetInsertBlock()->getParent()->getEntryBlock();
  llvm::IRBuilder<> at_entry(&entry, entry.begin());
  auto* stage = at_entry.CreateAlloca(llvm::ArrayType::get(b_.vector_type(), vectors.size()));
  const llvm::Align align(schedule_.lanes * sizeof(float));
  stage->setAlignment(align);
  for (size_t i = 0; i < vectors.size(); ++i)
    b_.CreateAlignedStore(vectors[i], b_.at(stage, i * schedule_.lanes), align);
  return stage;
}

void EpilogueEmitter::emit_vector(llvm::Value* x, const Operands& operands, llvm::Value* offset) {
  llvm::Value* add = nullptr;
  if (conv_.uses(PostOpKind::kAdd))
    add = b_.load_lanes(b_.at(pointers_.add, offset), operands.lanes);
  for (const PostOp& op : conv_.post) x = apply(op, x, operands, add);
  b_.store_lanes(x, b_.at(pointers_.dst, offset), operands.lanes);
}

llvm::Value* EpilogueEmitter::apply(const PostOp& op, llvm::Value* x, const Operands& operands,
                                    llvm::Value* add) {
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
