// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_direct.h"

#include "codegen/loop_nest.h"

namespace convgen::codegen {

// The channels of neighbouring taps follow each other in memory, in src and in packed weights, so
// kw x ic steps are one loop. Not where taps are asked for one by one.
bool DirectTapEmitter::taps_are_contiguous(const TapRow& row) const {
  return schedule_.unroll == Unroll::kTile && constant_index(row.begin) &&
         constant_index(row.end) && shape_.dilations.w == 1 && shape_.src.c == 1 &&
         shape_.src.w == shape_.ic;
}

llvm::Value* DirectTapEmitter::tap_offset(llvm::Value* kw) {
  return b_.scale_index(kw, wrapping_offset(shape_.dilations.w, shape_.src.w));
}

DirectTapEmitter::Pointers DirectTapEmitter::pointers_at(const TileSite& site, llvm::Value* kw) {
  const int64_t weights_step = shape_.ic * site.vectors * schedule_.channel_lanes();
  Pointers at;
  at.src = b_.at(site.src_row, tap_offset(kw));
  at.weights = b_.at(site.weights_row, b_.scale_index(kw, weights_step));
  at.prefetch = site.prefetch_row == nullptr
                    ? nullptr
                    : b_.at(site.prefetch_row,
                            b_.scale_index(kw, prefetch_floats_per_tap(schedule_, shape_)));
  return at;
}

Values DirectTapEmitter::emit_taps(const TileSite& site, const TapRow& row, Values acc) {
  if (taps_are_contiguous(row)) {
    const int64_t taps = *constant_index(row.end) - *constant_index(row.begin);
    return emit_channels(site, row, pointers_at(site, row.begin), taps * shape_.ic, acc);
  }
  const bool unroll =
      schedule_.unroll >= Unroll::kRow && constant_index(row.begin) && constant_index(row.end);
  return emit_for(b_, {row.begin, row.end, 1, unroll}, "kw", acc,
                  [&](llvm::Value* kw, Values at_kw) {
                    return emit_channels(site, row, pointers_at(site, kw), shape_.ic, at_kw);
                  });
}

// A loop of ic_unroll steps, fenced off from the taps before, its pointers carried along so that
// offsets stay constant, and the steps that are left.
Values DirectTapEmitter::emit_channels(const TileSite& site, const TapRow& row, Pointers at,
                                       int64_t count, Values acc) {
  b_.fence();
  const int64_t unroll = schedule_.unroll == Unroll::kFull ? count : schedule_.ic_unroll;
  const int64_t looped = count / unroll * unroll;
  const int64_t weights_step = unroll * site.vectors * schedule_.channel_lanes();
  const auto push = [&](Values values, const Pointers& p) {
    values.append({p.src, p.weights});
    if (p.prefetch != nullptr) values.push_back(p.prefetch);
    return values;
  };
  const auto pop = [&](Values& values) {
    Pointers p = at;
    if (at.prefetch != nullptr) p.prefetch = values.pop_back_val();
    p.weights = values.pop_back_val();
    p.src = values.pop_back_val();
    return p;
  };
  const LoopRange range{b_.index(0), b_.index(looped), unroll};
  acc = emit_for(b_, range, "ic", push(acc, at), [&](llvm::Value*, Values at_ic) {
    const Pointers p = pop(at_ic);
    for (int64_t ic = 0; ic < unroll; ++ic) at_ic = emit_step(site, row, p, ic, at_ic);
    Pointers next{b_.at(p.src, unroll * shape_.src.c), b_.at(p.weights, weights_step), nullptr};
    if (p.prefetch != nullptr) {
      for (int line = 0; line < schedule_.prefetch; ++line)
        b_.prefetch(b_.at(p.prefetch, line * kLineFloats));
      next.prefetch = b_.at(p.prefetch, schedule_.prefetch * kLineFloats);
    }
    return push(at_ic, next);
  });
  at = pop(acc);
  for (int64_t ic = 0; ic < count - looped; ++ic) acc = emit_step(site, row, at, ic, acc);
  return acc;
}

Values DirectTapEmitter::emit_step(const TileSite& site, const TapRow& row, Pointers at, int64_t ic,
                                   Values acc) {
  Values w;
  for (int v = 0; v < site.vectors; ++v)
    w.push_back(b_.load_packed(b_.at(at.weights, (ic * site.vectors + v) * schedule_.lanes),
                               "w" + llvm::Twine(v)));
  for (int p = 0; p < site.pixels; ++p) {
    const bool inside = p >= row.first_pixel && p < row.last_pixel;
    if (!inside && shape_.pad_value == 0) continue;
    const int64_t offset = wrapping_offset(p * shape_.strides.w, shape_.src.w, ic * shape_.src.c);
    llvm::Value* x = inside ? b_.load_splat(b_.at(at.src, offset), "x" + llvm::Twine(p))
                            : b_.splat(shape_.pad_value);
    for (int v = 0; v < site.vectors; ++v) {
      llvm::Value*& sum = acc[p * site.vectors + v];
      sum = b_.fma(x, w[v], sum);
    }
  }
  return acc;
}

}  // namespace convgen::codegen
