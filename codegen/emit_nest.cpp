// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_nest.h"

#include <algorithm>
#include <span>

#include "codegen/emit_epilogue.h"
#include "codegen/emit_stage.h"
#include "codegen/loop_nest.h"
#include "codegen/packed_layout.h"
#include "codegen/row_plan.h"

namespace convgen::codegen {
namespace {

// One block of output channels of one image and group.
struct BlockSite {
  int vectors;
  int last_lanes;
  llvm::Value* channel;  // first output channel, counted over all groups
  llvm::Value* src;      // image and input channels chosen, d = h = w = 0
  llvm::Value* weights;  // the block's packed rows
  llvm::Value* dst;      // offset of image and channel in dst, in floats
};

// Segments of a row that follow each other and whose tiles are alike but for the taps they reach.
struct SegmentRun {
  std::span<const RowSegment> segments;
  int64_t tiles_before = 0;  // of the row
  // The first output of tile 0, if all tiles of the row were like these.
  int64_t origin() const { return segments[0].first_ow - tiles_before * segments[0].pixels; }
};

// The first output of a tile within its image. number: how many of the task's tiles come before,
// known where weights are prefetched.
struct PixelSite {
  llvm::Value* od;
  llvm::Value* oh;
  llvm::Value* row;  // of the task
  llvm::Value* ow;
  llvm::Value* number;
  llvm::Value* tile;  // of the row
  SegmentRun run;
};

// Rows and tiles of a task.
struct TaskRange {
  llvm::Value* od;
  llvm::Value* oh_begin;
  llvm::Value* oh_end;
  llvm::Value* tile_begin;
  llvm::Value* tile_end;
  int64_t tiles;  // of a row, in a full task
};

class NestEmitter {
 public:
  NestEmitter(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
              const NestShape& shape, const KernelPointers& pointers, TapEmitter& taps)
      : b_(b),
        schedule_(schedule),
        shape_(shape),
        plan_(plan_row(shape, schedule)),
        layout_(packed_layout(conv, schedule)),
        pointers_(pointers),
        taps_(taps),
        epilogue_(b, conv, schedule, shape.dst, pointers) {}

  void emit_task(llvm::Value* task);

 private:
  bool unrolls(Unroll at_least) const { return schedule_.unroll >= at_least; }
  void emit_oc_blocks(llvm::Value* n, llvm::Value* g, llvm::Value* oc_block,
                      llvm::function_ref<void(const BlockSite&)> body);
  BlockSite block_site(llvm::Value* n, llvm::Value* g, llvm::Value* oc_block, bool tail);
  llvm::Value* group_src(llvm::Value* n, llvm::Value* channel);
  TaskRange task_range(llvm::Value* od, llvm::Value* oh_block, llvm::Value* tile_block);
  void emit_pixels(const TaskRange& range, llvm::function_ref<void(const PixelSite&)> body);
  llvm::Value* tile_number(const TaskRange& range, const PixelSite& at, llvm::Value* tile);
  SegmentRun run_from(size_t segment, int64_t tiles_before) const;
  void emit_runs(PixelSite at, size_t segment, int64_t tiles_before,
                 llvm::function_ref<void(const PixelSite&)> body);
  void emit_tile(const BlockSite& block, const PixelSite& at);
  Values emit_segments(const BlockSite& block, const PixelSite& at, llvm::Value* origin,
                       SegmentRun run, Values acc);
  Values emit_taps(const BlockSite& block, const PixelSite& at, llvm::Value* origin,
                   const RowSegment& segment, Values acc);
  llvm::Value* tile_origin(const BlockSite& block, const PixelSite& at);
  llvm::Value* staged_origin(const BlockSite& block, const PixelSite& at);
  llvm::Value* prefetch_origin(const BlockSite& block, const PixelSite& at);

  struct AxisTaps;
  AxisTaps axis_taps(int axis, llvm::Value* out_index);
  Values emit_axis(int axis, llvm::Value* out_index, llvm::StringRef name, Values acc,
                   llvm::function_ref<Values(llvm::Value* k, llvm::Value* inside, Values)> body);
  Values emit_row_spans(const TileSite& site, const RowSegment& segment, llvm::Value* ow,
                        llvm::Value* inside, Values acc);
  Values emit_ranged_spans(const TileSite& site, llvm::Value* ow, Values acc);
  Values emit_outside_row(const TileSite& site, Values acc);

  KernelBuilder& b_;
  const Schedule& schedule_;
  const NestShape& shape_;
  const RowPlan plan_;
  const PackedLayout layout_;
  const KernelPointers& pointers_;
  TapEmitter& taps_;
  EpilogueEmitter epilogue_;
};

void NestEmitter::emit_task(llvm::Value* task) {
  llvm::Value* rest = task;
  llvm::Value* tile_block = b_.take_factor(rest, shape_.tile_blocks);
  llvm::Value* oh_block = b_.take_factor(rest, shape_.oh_blocks);
  llvm::Value* od = b_.take_factor(rest, shape_.out.d);
  llvm::Value* oc_block = shape_.oc_in_task ? b_.take_factor(rest, shape_.oc_blocks) : nullptr;
  llvm::Value* g = b_.take_factor(rest, shape_.groups);
  llvm::Value* n = shape_.n == 1 ? b_.index(0) : rest;

  const TaskRange range = task_range(od, oh_block, tile_block);
  if (shape_.stage)
    emit_stage(b_, shape_, group_src(n, b_.scale_index(g, shape_.ic)), pointers_.scratch,
               {od, range.oh_begin, range.oh_end, unrolls(Unroll::kFull)});
  if (schedule_.order == LoopOrder::kOcInner) {
    emit_pixels(range, [&](const PixelSite& at) {
      emit_oc_blocks(n, g, nullptr, [&](const BlockSite& block) { emit_tile(block, at); });
    });
    return;
  }
  emit_oc_blocks(n, g, oc_block, [&](const BlockSite& block) {
    emit_pixels(range, [&](const PixelSite& at) { emit_tile(block, at); });
  });
}

TaskRange NestEmitter::task_range(llvm::Value* od, llvm::Value* oh_block, llvm::Value* tile_block) {
  const auto end_of = [&](llvm::Value* begin, int64_t count, int64_t all) {
    return b_.min_index(b_.add_index(begin, b_.index(count)), b_.index(all));
  };
  const int64_t rows = schedule_.rows_per_task;
  TaskRange range;
  range.od = od;
  range.tiles = schedule_.tiles_per_task == 0 ? shape_.row_tiles : schedule_.tiles_per_task;
  range.oh_begin = b_.scale_index(oh_block, rows);
  range.oh_end = end_of(range.oh_begin, rows, shape_.out.h);
  range.tile_begin = b_.scale_index(tile_block, range.tiles);
  range.tile_end = end_of(range.tile_begin, range.tiles, shape_.row_tiles);
  return range;
}

// Full blocks are a loop or the task's own block; the narrower last one has code of its own.
void NestEmitter::emit_oc_blocks(llvm::Value* n, llvm::Value* g, llvm::Value* oc_block,
                                 llvm::function_ref<void(const BlockSite&)> body) {
  const int64_t full = layout_.full_blocks();
  const bool tail = layout_.tail_width() != 0;
  const auto emit_full = [&](llvm::Value* block) { body(block_site(n, g, block, false)); };
  const auto emit_tail = [&] { body(block_site(n, g, b_.index(full), true)); };
  if (!shape_.oc_in_task) {
    emit_for(b_, {b_.index(0), b_.index(full), 1, unrolls(Unroll::kFull)}, "ocb", {},
             [&](llvm::Value* block, Values) { return emit_full(block), Values(); });
    if (tail) emit_tail();
  } else if (tail && full == 0) {
    emit_tail();
  } else if (tail) {
    emit_if(
        b_, b_.CreateICmpSLT(oc_block, b_.index(full)), "ocb.full", {},
        [&](Values) { return emit_full(oc_block), Values(); },
        [&](Values) { return emit_tail(), Values(); });
  } else {
    emit_full(oc_block);
  }
}

llvm::Value* NestEmitter::group_src(llvm::Value* n, llvm::Value* channel) {
  return b_.at(pointers_.src, b_.add_index(b_.scale_index(n, shape_.tensor.n),
                                           b_.scale_index(channel, shape_.tensor.c)));
}

BlockSite NestEmitter::block_site(llvm::Value* n, llvm::Value* g, llvm::Value* oc_block,
                                  bool tail) {
  const int64_t width = tail ? layout_.tail_width() : layout_.oc_block;
  const int64_t real = tail ? layout_.oc_per_group % layout_.oc_block : layout_.oc_block;
  BlockSite site;
  site.vectors = static_cast<int>(width / layout_.lanes);
  site.last_lanes = static_cast<int>(real - (site.vectors - 1) * layout_.lanes);
  llvm::Value* channel_in_group = b_.scale_index(oc_block, layout_.oc_block);
  site.channel = b_.add_index(b_.scale_index(g, shape_.oc), channel_in_group);
  // A block of outputs that spans groups begins with one, and so do its sources.
  llvm::Value* src_channel =
      lanes_span_groups(schedule_.algorithm)
          ? b_.scale_index(oc_block, layout_.oc_block / shape_.oc_per_group * shape_.ic)
          : b_.scale_index(g, shape_.ic);
  site.src = shape_.stage ? pointers_.scratch : group_src(n, src_channel);
  site.weights = b_.at(pointers_.weights,
                       b_.add_index(b_.scale_index(g, layout_.group_elements()),
                                    b_.scale_index(oc_block, layout_.oc_block * layout_.steps)));
  site.dst =
      b_.add_index(b_.scale_index(n, shape_.dst.n), b_.scale_index(site.channel, shape_.dst.c));
  return site;
}

// The tiles of a task, row by row.
void NestEmitter::emit_pixels(const TaskRange& range,
                              llvm::function_ref<void(const PixelSite&)> body) {
  const bool unroll = unrolls(Unroll::kFull);
  const LoopRange rows{range.oh_begin, range.oh_end, 1, unroll, /*enters=*/true};
  const LoopRange tiles{range.tile_begin, range.tile_end, 1, unroll, /*enters=*/true};
  emit_for(b_, rows, "oh", {}, [&](llvm::Value* oh, Values) {
    return emit_for(b_, tiles, "tile", {}, [&](llvm::Value* tile, Values) {
      PixelSite at{};
      at.od = range.od;
      at.oh = oh;
      at.row = b_.sub_index(oh, range.oh_begin);
      at.tile = tile;
      if (schedule_.prefetch != 0) at.number = tile_number(range, at, tile);
      emit_runs(at, 0, 0, body);
      return Values();
    });
  });
}

llvm::Value* NestEmitter::tile_number(const TaskRange& range, const PixelSite& at,
                                      llvm::Value* tile) {
  llvm::Value* tiles_before = b_.scale_index(at.row, range.tiles);
  return b_.add_index(tiles_before, b_.sub_index(tile, range.tile_begin));
}

SegmentRun NestEmitter::run_from(size_t segment, int64_t tiles_before) const {
  const std::span<const RowSegment> rest = std::span(plan_).subspan(segment);
  return {rest.first(schedule_.edges == Edges::kShared ? count_alike(rest) : 1), tiles_before};
}

// A chain of branches over the runs of segments of the row: tile number -> run.
void NestEmitter::emit_runs(PixelSite at, size_t segment, int64_t tiles_before,
                            llvm::function_ref<void(const PixelSite&)> body) {
  at.run = run_from(segment, tiles_before);
  const auto emit_here = [&](Values) {
    at.ow =
        b_.add_index(b_.scale_index(at.tile, at.run.segments[0].pixels), b_.index(at.run.origin()));
    body(at);
    return Values();
  };
  const size_t next = segment + at.run.segments.size();
  if (next == plan_.size()) {
    emit_here({});
    return;
  }
  for (const RowSegment& here : at.run.segments) tiles_before += here.tiles;
  emit_if(b_, b_.CreateICmpSLT(at.tile, b_.index(tiles_before)), "run", {}, emit_here,
          [&](Values) { return emit_runs(at, next, tiles_before, body), Values(); });
}

// Each tile of a block fetches its share of the block behind: lines that would otherwise come from
// beyond L2 all at once, when the next block's first tile waits for them.
llvm::Value* NestEmitter::prefetch_origin(const BlockSite& block, const PixelSite& at) {
  if (schedule_.prefetch == 0) return nullptr;
  llvm::Value* next = b_.at(block.weights, layout_.oc_block * layout_.steps);
  return b_.at(next, b_.scale_index(at.number, shape_.kernel.product() *
                                                   prefetch_floats_per_tap(schedule_, shape_)));
}

// Sources of tap (0, 0, 0) of pixel 0; left of or above the image near borders.
llvm::Value* NestEmitter::tile_origin(const BlockSite& block, const PixelSite& at) {
  const auto in_position = [&](llvm::Value* out_index, int axis) {
    return b_.sub_index(b_.scale_index(out_index, shape_.strides[axis]),
                        b_.index(shape_.pads_begin[axis]));
  };
  return b_.at(block.src,
               b_.add_index(b_.add_index(b_.scale_index(in_position(at.od, 0), shape_.src.d),
                                         b_.scale_index(in_position(at.oh, 1), shape_.src.h)),
                            b_.scale_index(in_position(at.ow, 2), shape_.src.w)));
}

// A stage begins with the first row the task sees, and its columns are outputs: taps know their
// phase and how far they are from it.
llvm::Value* NestEmitter::staged_origin(const BlockSite& block, const PixelSite& at) {
  llvm::Value* row = b_.scale_index(at.row, wrapping_offset(shape_.strides.h, shape_.src.h));
  return b_.at(block.src, b_.add_index(row, at.ow));
}

void NestEmitter::emit_tile(const BlockSite& block, const PixelSite& at) {
  const int pixels = at.run.segments[0].pixels;
  Values acc(schedule_.accumulators(pixels, block.vectors) * shape_.rotations, b_.zero());
  llvm::Value* origin = shape_.stage ? staged_origin(block, at) : tile_origin(block, at);
  acc = emit_segments(block, at, origin, at.run, acc);
  llvm::Value* dst = b_.add_index(
      b_.add_index(block.dst, b_.scale_index(at.od, shape_.dst.d)),
      b_.add_index(b_.scale_index(at.oh, shape_.dst.h), b_.scale_index(at.ow, shape_.dst.w)));
  acc = taps_.finish({pixels, block.vectors, block.last_lanes}, acc);
  epilogue_.emit({pixels, block.vectors, block.last_lanes, block.channel, dst}, acc);
}

// A branch by segment around the products; what comes before and behind is the same for all.
Values NestEmitter::emit_segments(const BlockSite& block, const PixelSite& at, llvm::Value* origin,
                                  SegmentRun run, Values acc) {
  const RowSegment& here = run.segments[0];
  if (run.segments.size() == 1) return emit_taps(block, at, origin, here, acc);
  const SegmentRun rest{run.segments.subspan(1), run.tiles_before + here.tiles};
  return emit_if(
      b_, b_.CreateICmpSLT(at.tile, b_.index(rest.tiles_before)), "segment", acc,
      [&](Values at_here) { return emit_taps(block, at, origin, here, at_here); },
      [&](Values at_rest) { return emit_segments(block, at, origin, rest, at_rest); });
}

// The products of a tile with all taps it reaches.
Values NestEmitter::emit_taps(const BlockSite& block, const PixelSite& at, llvm::Value* origin,
                              const RowSegment& segment, Values acc) {
  const int64_t kd_step =
      shape_.stage ? shape_.src.d : wrapping_offset(shape_.dilations.d, shape_.src.d);
  llvm::Value* prefetch = prefetch_origin(block, at);
  const int64_t prefetch_row = shape_.kernel.w * prefetch_floats_per_tap(schedule_, shape_);
  const int64_t kw_row = shape_.kernel.w * shape_.ic * block.vectors * schedule_.channel_lanes();
  return emit_axis(0, at.od, "kd", acc, [&](llvm::Value* kd, llvm::Value* kd_inside, Values at_kd) {
    return emit_axis(
        1, at.oh, "kh", at_kd, [&](llvm::Value* kh, llvm::Value* kh_inside, Values at_kh) {
          TileSite site{segment.pixels, block.vectors, block.last_lanes};
          site.src_row = b_.at(
              origin,
              b_.add_index(b_.scale_index(kd, kd_step),
                           b_.scale_index(kh, wrapping_offset(shape_.dilations.h, shape_.src.h))));
          llvm::Value* tap_row = b_.add_index(b_.scale_index(kd, shape_.kernel.h), kh);
          site.weights_row = b_.at(block.weights, b_.scale_index(tap_row, kw_row));
          if (prefetch != nullptr)
            site.prefetch_row = b_.at(prefetch, b_.scale_index(tap_row, prefetch_row));
          return emit_row_spans(site, segment, at.ow, b_.CreateAnd(kd_inside, kh_inside), at_kh);
        });
  });
}

// Taps [begin, end) of an axis lie inside the image for one output index.
struct NestEmitter::AxisTaps {
  llvm::Value* begin;
  llvm::Value* end;
};

// begin = ceil(max(pad - out * stride, 0) / dilation); end likewise from the other border.
NestEmitter::AxisTaps NestEmitter::axis_taps(int axis, llvm::Value* out_index) {
  const int64_t dilation = shape_.dilations[axis];
  const auto ceil_div = [&](llvm::Value* distance) {
    distance = b_.max_index(distance, b_.index(0));
    if (dilation == 1) return distance;
    return b_.CreateUDiv(b_.add_index(distance, b_.index(dilation - 1)), b_.index(dilation));
  };
  llvm::Value* before = b_.sub_index(b_.index(shape_.pads_begin[axis]),
                                     b_.scale_index(out_index, shape_.strides[axis]));
  llvm::Value* kernel = b_.index(shape_.kernel[axis]);
  return {ceil_div(before),
          b_.min_index(ceil_div(b_.add_index(before, b_.index(shape_.in[axis]))), kernel)};
}

// True where some output of the axis has a tap outside the image.
bool reaches_outside(const NestShape& shape, int axis) {
  const int64_t last = (shape.out[axis] - 1) * shape.strides[axis] - shape.pads_begin[axis] +
                       (shape.kernel[axis] - 1) * shape.dilations[axis];
  return shape.pads_begin[axis] > 0 || last >= shape.in[axis];
}

// True where every output of the axis has a tap inside the image: one whose first tap lies before
// it has another inside, and the last one's first tap does not lie behind.
bool always_meets_image(const NestShape& shape, int axis) {
  constexpr int64_t kMostBefore = 1024;  // outputs looked at
  const int64_t stride = shape.strides[axis], dilation = shape.dilations[axis];
  const int64_t before = shape.pads_begin[axis];
  if ((shape.out[axis] - 1) * stride - before >= shape.in[axis] || before > kMostBefore)
    return false;
  for (int64_t first = -before; first < 0; first += stride) {
    const int64_t k = (-first - 1) / dilation + 1;
    if (k >= shape.kernel[axis] || first + k * dilation >= shape.in[axis]) return false;
  }
  return true;
}

// Loops over the taps of depth or height. Unrolled taps, and taps that must see pad_value, run
// over the whole axis and are told whether they lie inside; else the loop's bounds tell.
Values NestEmitter::emit_axis(
    int axis, llvm::Value* out_index, llvm::StringRef name, Values acc,
    llvm::function_ref<Values(llvm::Value* k, llvm::Value* inside, Values)> body) {
  const bool unroll = unrolls(Unroll::kTaps);
  const bool whole = !reaches_outside(shape_, axis);
  if (whole || unroll || shape_.pad_value != 0) {
    const LoopRange range{b_.index(0), b_.index(shape_.kernel[axis]), 1, unroll};
    return emit_for(b_, range, name, acc, [&](llvm::Value* k, Values at_k) {
      if (whole) return body(k, b_.getTrue(), at_k);
      llvm::Value* position =
          b_.sub_index(b_.add_index(b_.scale_index(out_index, shape_.strides[axis]),
                                    b_.scale_index(k, shape_.dilations[axis])),
                       b_.index(shape_.pads_begin[axis]));
      return body(k, b_.CreateICmpULT(position, b_.index(shape_.in[axis])), at_k);
    });
  }
  const AxisTaps taps = axis_taps(axis, out_index);
  // Without the test the largest tiles of pixels spill.
  const bool enters = !lanes_are_pixels(schedule_.algorithm) && always_meets_image(shape_, axis);
  const LoopRange inside{taps.begin, taps.end, 1, false, enters};
  return emit_for(b_, inside, name, acc,
                  [&](llvm::Value* k, Values at_k) { return body(k, b_.getTrue(), at_k); });
}

Values NestEmitter::emit_row_spans(const TileSite& site, const RowSegment& segment, llvm::Value* ow,
                                   llvm::Value* inside, Values acc) {
  return emit_if(
      b_, inside, "row.inside", acc,
      [&](Values at) {
        if (segment.ranged) return emit_ranged_spans(site, ow, at);
        for (const TapSpan& span : segment.spans)
          at = taps_.emit_taps(
              site,
              {b_.index(span.kw_begin), b_.index(span.kw_end), span.first_pixel, span.last_pixel},
              at);
        return at;
      },
      [&](Values at) { return emit_outside_row(site, at); });
}

// One pixel: taps before the image, inside, behind it.
Values NestEmitter::emit_ranged_spans(const TileSite& site, llvm::Value* ow, Values acc) {
  const AxisTaps taps = axis_taps(2, ow);
  llvm::Value* begin = b_.min_index(taps.begin, b_.index(shape_.kernel.w));
  llvm::Value* end = b_.max_index(begin, taps.end);
  if (shape_.pad_value != 0) acc = taps_.emit_taps(site, {b_.index(0), begin, 0, 0}, acc);
  acc = taps_.emit_taps(site, {begin, end, 0, 1}, acc);
  if (shape_.pad_value != 0)
    acc = taps_.emit_taps(site, {end, b_.index(shape_.kernel.w), 0, 0}, acc);
  return acc;
}

Values NestEmitter::emit_outside_row(const TileSite& site, Values acc) {
  if (shape_.pad_value == 0) return acc;
  return taps_.emit_taps(site, {b_.index(0), b_.index(shape_.kernel.w), 0, 0}, acc);
}

}  // namespace

void emit_nest(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
               const NestShape& shape, const KernelPointers& pointers, llvm::Value* begin,
               llvm::Value* end, TapEmitter& taps) {
  NestEmitter nest(b, conv, schedule, shape, pointers, taps);
  if (schedule.unroll == Unroll::kFull) {
    // To the caller all of it is one task, so its range only says whether to run.
    emit_if(
        b, b.CreateICmpSLT(begin, end), "run", {},
        [&](Values) {
          for (int64_t task = 0; task < shape.tasks(); ++task) nest.emit_task(b.index(task));
          return Values();
        },
        [](Values) { return Values(); });
    return;
  }
  emit_for(b, {begin, end}, "task", {},
           [&](llvm::Value* task, Values) { return nest.emit_task(task), Values(); });
}

}  // namespace convgen::codegen
