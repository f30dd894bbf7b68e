// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_epilogue.h"

#include <algorithm>

#include "codegen/code_size.h"
#include "codegen/loop_nest.h"

namespace convgen::codegen {

using ir::PostOp;
using ir::PostOpKind;

void EpilogueEmitter::emit(const TileOutputs& outputs, const Values& acc) {
  // One output pixel makes the channels neighbours in either layout.
  if (lanes_are_pixels(schedule_.algorithm) && dst_.w == outputs.vectors && dst_.w != 1)
    return emit_interleaved(outputs, acc);
  if (dst_.c == 1 && !lanes_are_pixels(schedule_.algorithm))
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
  const auto site = [&](llvm::Value* pixel, int v) {
    llvm::Value* offset = b_.add_index(outputs.dst, b_.scale_index(pixel, dst_.w));
    return VectorSite{operands[v], b_.add_index(offset, b_.index(int64_t{v} * schedule_.lanes)),
                      false, schedule_.stores};
  };
  emit_vectors(acc, outputs.pixels, outputs.vectors, "pixel", site);
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
  if (lanes_are_pixels(schedule_.algorithm)) {
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
  const auto site = [&](llvm::Value* channel, int run) {
    const int pixels = std::min(lanes, outputs.pixels - run * lanes);
    llvm::Value* offset = b_.add_index(outputs.dst, b_.scale_index(channel, dst_.c));
    return VectorSite{load_pixel_operands(outputs, channel, pixels),
                      b_.add_index(offset, b_.index(run * lanes * dst_.w)), false,
                      schedule_.stores};
  };
  emit_vectors(rows, channels, runs, "channel", site);
}

// Runs of pixels of all channels -> vectors as they lie in dst, with the channels between.
void EpilogueEmitter::emit_interleaved(const TileOutputs& outputs, const Values& acc) {
  const int64_t channels = outputs.vectors;
  const int64_t lanes = schedule_.lanes;
  Values vectors;
  for (int64_t run = 0; run * lanes < outputs.pixels; ++run)
    vectors.append(
        b_.interleave(Values(acc.begin() + run * channels, acc.begin() + (run + 1) * channels)));
  const int64_t floats = outputs.pixels * channels;
  const auto operands = [&](int64_t k) { return load_repeating(0, channels, k * lanes); };
  emit_side_by_side(vectors, floats, outputs.dst, operands, schedule_.stores);
}

void EpilogueEmitter::emit_side_by_side(const Values& vectors, int64_t floats, llvm::Value* dst,
                                        OperandsOf operands, Stores stores) {
  const int64_t lanes = schedule_.lanes;
  const int64_t count = (floats + lanes - 1) / lanes;
  const auto site = [&](llvm::Value*, int64_t k) {
    VectorSite at{operands(k), b_.add_index(dst, b_.index(k * lanes)), true, stores};
    at.operands.lanes = static_cast<int>(std::min(lanes, floats - k * lanes));
    return at;
  };
  emit_vectors(Values(vectors.begin(), vectors.begin() + count), 1, static_cast<int>(count),
               "vector", site);
}

EpilogueEmitter::Operands EpilogueEmitter::load_repeating(int64_t first_channel, int64_t channels,
                                                          int64_t first) {
  const auto spread = [&](llvm::Value* tensor, const char* name) {
    llvm::Value* vector = llvm::PoisonValue::get(b_.vector_type());
    for (int64_t c = 0; c < channels; ++c) {
      llvm::Value* value = b_.load_splat(b_.at(tensor, first_channel + c), name);
      vector =
          b_.select_where([&](int lane) { return (first + lane) % channels == c; }, value, vector);
    }
    return vector;
  };
  Operands operands;
  operands.lanes = schedule_.lanes;
  if (conv_.uses(PostOpKind::kBias)) operands.bias = spread(pointers_.bias, "bias");
  if (conv_.uses(PostOpKind::kScale)) operands.scale = spread(pointers_.scale, "scale");
  return operands;
}

// vectors[item * per_item + k] through the chain into dst, for items [0, items).
void EpilogueEmitter::emit_vectors(const Values& vectors, int items, int per_item,
                                   llvm::StringRef name, SiteOf site) {
  if (schedule_.epilogue == Epilogue::kInline) {
    for (int item = 0; item < items; ++item)
      for (int k = 0; k < per_item; ++k) {
        const VectorSite at = site(b_.index(item), k);
        store(apply_chain(conv_.post, vectors[item * per_item + k], at), at);
      }
    return;
  }
  llvm::Value* stage = stage_on_stack(vectors);
  const auto passes = split_chain(conv_.post);
  for (size_t pass = 0; pass < passes.size(); ++pass) {
    emit_for(b_, {b_.index(0), b_.index(items)}, name, {}, [&](llvm::Value* item, Values) {
      llvm::Value* row = b_.at(stage, b_.scale_index(item, int64_t{per_item} * schedule_.lanes));
      for (int k = 0; k < per_item; ++k) {
        const VectorSite at = site(item, k);
        llvm::Value* slot = b_.at(row, int64_t{k} * schedule_.lanes);
        llvm::Value* x = apply_chain(passes[pass], b_.load_packed(slot), at);
        if (pass + 1 == passes.size())
          store(x, at);
        else
          b_.store_packed(x, slot);
      }
      return Values();
    });
  }
}

// Vectors behind each other in a slot of the stack, which is allocated in the entry block: once,
// however often the tile runs.
llvm::Value* EpilogueEmitter::stage_on_stack(const Values& vectors) {
  llvm::BasicBlock& entry = b_.GetInsertBlock()->getParent()->getEntryBlock();
  llvm::IRBuilder<> at_entry(&entry, entry.begin());
  auto* stage = at_entry.CreateAlloca(llvm::ArrayType::get(b_.vector_type(), vectors.size()));
  stage->setAlignment(llvm::Align(schedule_.lanes * sizeof(float)));
  for (size_t i = 0; i < vectors.size(); ++i)
    b_.store_packed(vectors[i], b_.at(stage, i * schedule_.lanes));
  return stage;
}

llvm::Value* EpilogueEmitter::apply_chain(std::span<const PostOp> chain, llvm::Value* x,
                                          const VectorSite& site) {
  llvm::Value* add = nullptr;
  for (const PostOp& op : chain) {
    if (op.kind == PostOpKind::kAdd && add == nullptr) add = load(site);
    x = apply(op, x, site.operands, add);
  }
  return x;
}

// Neighbours in dst, but for lanes that are pixels with channels of other tiles between them.
int64_t EpilogueEmitter::lane_step(const VectorSite& site) const {
  return lanes_are_pixels(schedule_.algorithm) && !site.interleaved ? dst_.w : 1;
}

llvm::Value* EpilogueEmitter::load(const VectorSite& site) {
  return b_.load_strided(b_.at(pointers_.add, site.offset), lane_step(site), site.operands.lanes);
}

void EpilogueEmitter::store(llvm::Value* x, const VectorSite& site) {
  llvm::Value* address = b_.at(pointers_.dst, site.offset);
  const bool whole = site.operands.lanes == schedule_.lanes && lane_step(site) == 1;
  if (site.stores == Stores::kStreaming && whole) return b_.stream(x, address);
  b_.store_strided(x, address, lane_step(site), site.operands.lanes);
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
