// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_stage.h"

#include <llvm/ADT/STLFunctionalExtras.h>

#include <algorithm>

#include "codegen/loop_nest.h"

namespace convgen::codegen {
namespace {

class StageEmitter {
 public:
  StageEmitter(KernelBuilder& b, const NestShape& shape, const StagedRows& rows)
      : b_(b), shape_(shape), rows_(rows) {}

  void emit(llvm::Value* src, llvm::Value* scratch);

 private:
  // Floats between the pixels of one channel that share a vector: what a run is taken apart into.
  int64_t step() const { return stage().phases * (channels_last() ? shape_.ic : 1); }
  bool channels_last() const { return shape_.tensor.w != 1; }
  const StageShape& stage() const { return *shape_.stage; }

  // for (i = begin; i < end; ++i) body(i)
  void for_each(llvm::Value* begin, llvm::Value* end, llvm::StringRef name,
                llvm::function_ref<void(llvm::Value* i)> body) {
    emit_for(b_, {begin, end, 1, rows_.unroll}, name, {},
             [&](llvm::Value* i, Values) { return body(i), Values(); });
  }
  void for_each(int64_t count, llvm::StringRef name,
                llvm::function_ref<void(llvm::Value* i)> body) {
    for_each(b_.index(0), b_.index(count), name, body);
  }

  void emit_row(llvm::Value* src, llvm::Value* dst);
  void emit_runs(llvm::Value* src, llvm::Value* dst, int64_t floats);
  void emit_run(llvm::Value* src, llvm::Value* dst, int64_t floats);
  void emit_transposed_runs(llvm::Value* src, llvm::Value* dst);
  void emit_transposed(llvm::Value* src, llvm::Value* dst, int lanes, bool last_run,
                       llvm::Value* run, llvm::Value* phase);

  KernelBuilder& b_;
  const NestShape& shape_;
  const StagedRows& rows_;
};

void StageEmitter::emit(llvm::Value* src, llvm::Value* scratch) {
  if (shape_.in.w == 0) return;  // there are only pads
  const auto in_position = [&](llvm::Value* out_index, int axis) {
    return b_.sub_index(b_.scale_index(out_index, shape_.strides[axis]),
                        b_.index(shape_.pads_begin[axis]));
  };
  llvm::Value* first = in_position(rows_.oh_begin, 1);
  const int64_t below = (shape_.kernel.h - 1) * shape_.dilations.h - shape_.strides.h + 1;
  llvm::Value* last = b_.add_index(in_position(rows_.oh_end, 1), b_.index(below));
  llvm::Value* begin = b_.max_index(first, b_.index(0));
  llvm::Value* end = b_.min_index(last, b_.index(shape_.in.h));
  for_each(shape_.kernel.d, "stage.kd", [&](llvm::Value* kd) {
    llvm::Value* id =
        b_.add_index(in_position(rows_.od, 0), b_.scale_index(kd, shape_.dilations.d));
    llvm::Value* src_d = b_.at(src, b_.scale_index(id, shape_.tensor.d));
    llvm::Value* dst_d = b_.at(scratch, b_.scale_index(kd, shape_.src.d));
    // A depth outside the image has no rows.
    llvm::Value* inside = b_.CreateICmpULT(id, b_.index(shape_.in.d));
    for_each(begin, b_.CreateSelect(inside, end, begin), "stage.row", [&](llvm::Value* ih) {
      llvm::Value* row = b_.sub_index(ih, first);
      emit_row(b_.at(src_d, b_.scale_index(ih, shape_.tensor.h)),
               b_.at(dst_d, b_.scale_index(row, shape_.src.h)));
    });
  });
}

// All channels of a group, or each by itself; by shuffles where they are few.
void StageEmitter::emit_row(llvm::Value* src, llvm::Value* dst) {
  const bool whole_pixels = channels_last() && shape_.tensor.w == shape_.ic;
  if (channels_last() && !(whole_pixels && step() <= kMaxInterleave))
    return emit_transposed_runs(src, dst);
  if (channels_last()) return emit_runs(src, dst, shape_.in.w * shape_.ic);
  for_each(shape_.ic, "stage.ic", [&](llvm::Value* ic) {
    emit_runs(b_.at(src, b_.scale_index(ic, shape_.tensor.c)),
              b_.at(dst, b_.scale_index(ic, shape_.src.c)), shape_.in.w);
  });
}

// `floats` neighbours, `lanes` times step() of them a run.
void StageEmitter::emit_runs(llvm::Value* src, llvm::Value* dst, int64_t floats) {
  const int64_t run_floats = b_.lanes() * step();
  const int64_t runs = floats / run_floats;
  const auto emit_at = [&](llvm::Value* run, int64_t count) {
    emit_run(b_.at(src, b_.scale_index(run, run_floats)),
             b_.at(dst, b_.scale_index(run, b_.lanes())), count);
  };
  for_each(runs, "stage.run", [&](llvm::Value* run) { emit_at(run, run_floats); });
  if (floats > runs * run_floats) emit_at(b_.index(runs), floats - runs * run_floats);
}

// The k-th vector holds pixels of one phase and channel: k = phase * ic + ic, as they lie in
// memory.
void StageEmitter::emit_run(llvm::Value* src, llvm::Value* dst, int64_t floats) {
  const int64_t lanes = b_.lanes();
  Values memory;
  for (int64_t v = 0; v < step(); ++v) {
    const int64_t count = std::clamp<int64_t>(floats - v * lanes, 0, lanes);
    memory.push_back(count == 0 ? b_.zero()
                                : b_.load_lanes(b_.at(src, v * lanes), static_cast<int>(count)));
  }
  const Values planes = b_.deinterleave(memory);
  const int64_t channels = step() / stage().phases;
  for (int64_t k = 0; k < step(); ++k) {
    const int64_t offset = k % channels * shape_.src.c + k / channels * stage().plane;
    b_.store_packed(planes[k], b_.at(dst, offset));
  }
}

// Blocks of lanes pixels x lanes channels.
void StageEmitter::emit_transposed_runs(llvm::Value* src, llvm::Value* dst) {
  const int64_t lanes = b_.lanes();
  const int64_t columns = (shape_.in.w + stage().phases - 1) / stage().phases;
  const int64_t runs = (columns + lanes - 1) / lanes;
  const int64_t full_blocks = shape_.ic / lanes;
  const int rest = static_cast<int>(shape_.ic % lanes);
  const auto emit_blocks = [&](llvm::Value* run, llvm::Value* phase, bool last_run) {
    const auto emit_block = [&](llvm::Value* block, int channels) {
      llvm::Value* channel = b_.scale_index(block, lanes);
      emit_transposed(b_.at(src, channel), b_.at(dst, b_.scale_index(channel, shape_.src.c)),
                      channels, last_run, run, phase);
    };
    for_each(full_blocks, "stage.icb",
             [&](llvm::Value* block) { emit_block(block, static_cast<int>(lanes)); });
    if (rest > 0) emit_block(b_.index(full_blocks), rest);
  };
  for_each(stage().phases, "stage.phase", [&](llvm::Value* phase) {
    for_each(runs - 1, "stage.run", [&](llvm::Value* run) { emit_blocks(run, phase, false); });
    emit_blocks(b_.index(runs - 1), phase, true);
  });
}

// Pixels behind the row's last one, in its last run, are read as the last one and never used.
void StageEmitter::emit_transposed(llvm::Value* src, llvm::Value* dst, int channels, bool last_run,
                                   llvm::Value* run, llvm::Value* phase) {
  const int64_t lanes = b_.lanes();
  llvm::Value* first = b_.scale_index(run, lanes);
  Values rows;
  for (int64_t p = 0; p < lanes; ++p) {
    llvm::Value* column =
        b_.add_index(b_.scale_index(b_.add_index(first, b_.index(p)), stage().phases), phase);
    if (last_run) column = b_.min_index(column, b_.index(shape_.in.w - 1));
    rows.push_back(b_.load_lanes(b_.at(src, b_.scale_index(column, shape_.tensor.w)), channels));
  }
  rows = b_.transpose(rows);
  llvm::Value* plane = b_.at(dst, b_.add_index(b_.scale_index(phase, stage().plane), first));
  for (int c = 0; c < channels; ++c) b_.store_packed(rows[c], b_.at(plane, c * shape_.src.c));
}

}  // namespace

void emit_stage(KernelBuilder& b, const NestShape& shape, llvm::Value* src, llvm::Value* scratch,
                const StagedRows& rows) {
  StageEmitter(b, shape, rows).emit(src, scratch);
}

}  // namespace convgen::codegen
