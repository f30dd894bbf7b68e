// SPDX-License-Identifier: Apache-2.0
#include "codegen/code_size.h"

#include <algorithm>
#include <cmath>

#include "codegen/nest_shape.h"
#include "codegen/packed_layout.h"
#include "codegen/row_plan.h"
#include "codegen/winograd.h"

namespace convgen::codegen {
namespace {

using ir::PostOpKind;

double ops_of(PostOpKind kind) {
  switch (kind) {
    case PostOpKind::kElu:
    case PostOpKind::kSigmoid:
    case PostOpKind::kSilu:
      return 30;
    case PostOpKind::kTanh:
    case PostOpKind::kGeluTanh:
      return 45;
    case PostOpKind::kGelu:
      return 55;
    case PostOpKind::kHardSigmoid:
    case PostOpKind::kHardSwish:
      return 4;
    default:
      return 1.5;
  }
}

// Additions and multiply-adds of winograd_transforms.cpp along one axis: of a row of the matrix one
// for each factor that is not zero, but for the first.
template <typename Factor>
double sums_of_rows(int64_t rows, int64_t columns, Factor factor) {
  double ops = 0;
  for (int64_t row = 0; row < rows; ++row) {
    double terms = 0;
    for (int64_t column = 0; column < columns; ++column) terms += factor(row, column) != 0;
    ops += terms - 1;
  }
  return ops;
}
double input_transform_ops(const WinogradAxis& axis) {
  if (axis.taps == 1) return 0;
  const WinogradMatrices matrices(axis);
  return sums_of_rows(axis.alpha, axis.alpha,
                      [&](int64_t point, int64_t source) { return matrices.input(point, source); });
}
double output_transform_ops(const WinogradAxis& axis) {
  if (axis.taps == 1) return 0;
  const WinogradMatrices matrices(axis);
  return sums_of_rows(axis.m, axis.alpha, [&](int64_t output, int64_t point) {
    return matrices.output(output, point);
  });
}

class Estimator {
 public:
  Estimator(const ir::Conv& conv, const Schedule& schedule)
      : conv_(conv),
        schedule_(schedule),
        shape_(nest_shape(conv, schedule)),
        plan_(has_row_plan() ? plan_row(shape_, schedule) : RowPlan()) {}

  CodeSize estimate() const {
    CodeSize size = has_row_plan() ? nest_size() : winograd_size();
    // The same once more for a dst that is not aligned; a filter has two of its inner tiles alone.
    if (schedule_.stores == Stores::kStreaming && schedule_.algorithm != Algorithm::kFilter)
      size.total *= 2;
    return size;
  }

 private:
  CodeSize nest_size() const {
    CodeSize size;
    const PackedLayout layout = packed_layout(conv_, schedule_);
    const double full = static_cast<double>(layout.full_blocks());
    if (full > 0) add_block(size, schedule_.tile_vectors, full);
    if (layout.tail_width() > 0)
      add_block(size, static_cast<int>(layout.tail_width() / layout.lanes), 1);
    size.total += stage_ops();
    if (schedule_.unroll == Unroll::kFull) size.longest_block = size.total;
    return size;
  }

  // Its tiles lie otherwise, and their number has no limit as border columns have.
  bool has_row_plan() const { return schedule_.algorithm != Algorithm::kWinograd; }
  bool unrolls(Unroll at_least) const { return schedule_.unroll >= at_least; }

  // The code of all tiles of one width in output channels; `copies` of it where all is unrolled.
  void add_block(CodeSize& size, int vectors, double copies) const {
    if (!unrolls(Unroll::kFull)) copies = 1;
    double images = 1;
    if (unrolls(Unroll::kFull))
      images = static_cast<double>(shape_.n) * static_cast<double>(shape_.groups) *
               static_cast<double>(shape_.out.d) * static_cast<double>(shape_.out.h);
    for (const RowSegment& segment : plan_) {
      const double tiles = unrolls(Unroll::kFull) ? static_cast<double>(segment.tiles) : 1;
      const double tile = tile_ops(segment, vectors, size.longest_block);
      size.total += copies * images * tiles * tile;
    }
  }

  double tile_ops(const RowSegment& segment, int vectors, double& longest_block) const {
    const double rows = unrolls(Unroll::kTaps) ? static_cast<double>(shape_.kernel.d) *
                                                     static_cast<double>(shape_.kernel.h)
                                               : 1;
    double row = 0;
    if (segment.ranged) {
      row = vectors * steps(1, false) * (shape_.pad_value != 0 ? 3 : 1);
    } else {
      for (const TapSpan& span : segment.spans)
        row += steps(static_cast<double>(span.kw_end - span.kw_begin), true) *
               sums(shape_.pad_value != 0 ? segment.pixels : span.last_pixel - span.first_pixel,
                    vectors);
    }
    if (shape_.pad_value != 0)
      row += steps(static_cast<double>(shape_.kernel.w), true) * sums(segment.pixels, vectors);
    // Sums that are rotated into place: a permute and an addition each.
    const double finish =
        2.0 * static_cast<double>(shape_.rotations - 1) * sums(segment.pixels, vectors);
    CodeSize epilogue = epilogue_size(segment.pixels, vectors);
    epilogue.total += finish;
    epilogue.longest_block += finish;
    longest_block = std::max({longest_block, rows_in_a_block() * row, epilogue.longest_block});
    return rows * row + epilogue.total;
  }

  // Unrolled rows of taps follow each other without a branch where no loop over channels stands
  // between them and nothing has to ask, at run time, whether a row lies inside the image.
  double rows_in_a_block() const {
    const bool loops_channels =
        !lanes_span_groups(schedule_.algorithm) && shape_.ic >= 2 * int64_t{schedule_.ic_unroll};
    if (!unrolls(Unroll::kTaps) || loops_channels || asks_at_run_time(1)) return 1;
    return static_cast<double>(shape_.kernel.h) *
           (asks_at_run_time(0) ? 1 : static_cast<double>(shape_.kernel.d));
  }

  bool asks_at_run_time(int axis) const {
    const int64_t last = (shape_.out[axis] - 1) * shape_.strides[axis] +
                         (shape_.kernel[axis] - 1) * shape_.dilations[axis] -
                         shape_.pads_begin[axis];
    const bool reaches_outside = shape_.pads_begin[axis] > 0 || last >= shape_.in[axis];
    return reaches_outside && shape_.out[axis] > 1;
  }

  double sums(int pixels, int vectors) const { return schedule_.accumulators(pixels, vectors); }

  // Emitted steps of the loop over channels, for `taps` taps of a row.
  double steps(double taps, bool known) const {
    const double ic = static_cast<double>(shape_.ic);
    if (unrolls(Unroll::kFull)) return taps * ic;
    const double unrolled_taps = known && unrolls(Unroll::kRow) ? taps : 1;
    if (lanes_span_groups(schedule_.algorithm)) return unrolled_taps * ic;
    const bool contiguous = known && !unrolls(Unroll::kRow) && shape_.dilations.w == 1 &&
                            shape_.src.c == 1 && shape_.src.w == shape_.ic;
    const double count = contiguous ? taps * ic : ic;
    const double unroll = schedule_.ic_unroll;
    const double emitted =
        std::min(unroll, count) + (count > unroll ? std::fmod(count, unroll) : 0);
    return unrolled_taps * emitted;
  }

  CodeSize epilogue_size(int pixels, int vectors) const {
    // Channels first: runs of pixels of each channel, after log2(lanes) shuffles a vector where the
    // tile has to be transposed.
    if (lanes_are_pixels(schedule_.algorithm) && shape_.dst.w != 1)
      return scattered_size(pixels, vectors);
    const bool rows = shape_.dst.c != 1;
    const double runs = std::ceil(static_cast<double>(pixels) / schedule_.lanes);
    const double stores = rows ? vectors * runs * schedule_.channel_lanes() : vectors * pixels;
    const double shuffles =
        rows && !lanes_are_pixels(schedule_.algorithm) ? stores * std::log2(schedule_.lanes) : 0;
    double chain = 1;
    for (const ir::PostOp& op : conv_.post) chain += ops_of(op.kind);
    if (schedule_.epilogue == Epilogue::kInline || unrolls(Unroll::kFull)) {
      const double total = shuffles + chain * stores;
      return {total, total};
    }
    const double per_item = rows ? runs : vectors;
    const double pass = std::min(chain, kMaxPassOps);
    return {shuffles + stores + per_item * chain, std::max(shuffles + stores, per_item * pass)};
  }

  // Pixels with other channels between them: every vector goes through a chain of its own, and is
  // shuffled with those of all channels or stored lane by lane.
  CodeSize scattered_size(int pixels, int channels) const {
    double chain = 1;
    for (const ir::PostOp& op : conv_.post) chain += ops_of(op.kind);
    const double vectors = sums(pixels, channels);
    const double shuffles = vectors * (channels == shape_.dst.w ? channels : 4 * schedule_.lanes);
    const double operands = vectors * channels * (conv_.post.empty() ? 0 : 2);
    const double total = shuffles + operands + vectors * chain;
    if (schedule_.epilogue == Epilogue::kInline) return {total, total};
    return {total + vectors, shuffles + operands + vectors * std::min(chain, kMaxPassOps)};
  }

  // Everything of Winograd, of each kind of tiles the transforms and their ways in and out, of each
  // run of points the products of full blocks of output channels and of a narrower one.
  CodeSize winograd_size() const {
    const WinogradShape shape = winograd_shape(conv_, schedule_);
    const PackedLayout layout = packed_layout(conv_, schedule_);
    CodeSize size;
    const auto add = [&](const CodeSize& part) {
      size.total += part.total;
      size.longest_block = std::max(size.longest_block, part.longest_block);
    };
    for (const WinogradTiles& kind : shape.kinds) {
      add(winograd_sources(kind));
      add(winograd_outputs(kind));
    }
    for (const WinogradPointRows& rows : shape.point_rows)
      for (const WinogradPoints& run : rows.runs)
        for (const int64_t width :
             {layout.full_blocks() > 0 ? layout.oc_block : 0, layout.tail_width()})
          if (width > 0) add(winograd_products(run, static_cast<int>(width / schedule_.lanes)));
    return size;
  }

  // The transform, and a row of the copy at the border. Lanes that are not all there may be loaded
  // in three pieces, each of which is widened and merged.
  CodeSize winograd_sources(const WinogradTiles& kind) const {
    const auto rows = static_cast<double>(kind.h.alpha);
    const auto columns = static_cast<double>(kind.w.alpha);
    const double points = rows * columns;
    // Six rows are loaded as ten.
    const double loads = kind.h.alpha == 6 ? points * 10 / 6 : points;
    const double transform =
        loads + points + columns * input_transform_ops(kind.h) + rows * input_transform_ops(kind.w);
    const double copy = (conv_.ic % schedule_.lanes > 0 ? 14 : 3) * columns;
    return {transform + copy, std::max(transform, copy)};
  }

  // The products of a tile, which leave for scratch.
  CodeSize winograd_products(const WinogradPoints& run, int vectors) const {
    const double ic = static_cast<double>(conv_.ic), unroll = schedule_.ic_unroll;
    const double steps = std::min(unroll, ic) + (ic > unroll ? std::fmod(ic, unroll) : 0);
    const double products = (steps + 1) * sums(run.tile_pixels, vectors);
    return {products, products};
  }

  // The outputs of a tile: by rows inside the image, pixel by pixel at its border, and for a vector
  // whose last lanes are not there.
  CodeSize winograd_outputs(const WinogradTiles& kind) const {
    const auto m_h = static_cast<double>(kind.h.m), m_w = static_cast<double>(kind.w.m);
    const double transform = static_cast<double>(kind.h.alpha * kind.w.alpha) +
                             static_cast<double>(kind.w.alpha) * output_transform_ops(kind.h) +
                             m_h * output_transform_ops(kind.w);
    const CodeSize row = epilogue_size(static_cast<int>(kind.w.m), 1);
    const CodeSize pixel = epilogue_size(1, 1);
    const double pixels = (conv_.oc % schedule_.lanes > 0 ? 2 : 1) * (pixel.total + 1);
    // Rows inside follow each other without a branch, but for loops over pixels.
    const double rows = schedule_.epilogue == Epilogue::kLoop ? row.longest_block : m_h * row.total;
    return {transform + m_h * row.total + m_h * m_w + pixels,
            std::max({transform, rows, m_h * m_w, pixel.longest_block})};
  }

  // A run of columns twice, the last one shorter: loads, shuffles, stores of `lanes` vectors at
  // most. All runs of all rows where no loop is left.
  double stage_ops() const {
    if (!shape_.stage) return 0;
    const double lanes = schedule_.lanes;
    const double run = 2 * lanes * (2 + std::log2(lanes));
    if (!unrolls(Unroll::kFull)) return 2 * run;
    const double floats = stage_floats(conv_, schedule_);
    return static_cast<double>(shape_.tasks()) * (run + floats / lanes * (2 + std::log2(lanes)));
  }

  const ir::Conv& conv_;
  const Schedule& schedule_;
  const NestShape shape_;
  const RowPlan plan_;
};

}  // namespace

std::vector<std::span<const ir::PostOp>> split_chain(const std::vector<ir::PostOp>& post) {
  const std::span<const ir::PostOp> all(post);
  std::vector<std::span<const ir::PostOp>> passes;
  size_t first = 0;
  double ops = 0;
  for (size_t i = 0; i < post.size(); ++i) {
    const double here = ops_of(post[i].kind);
    if (ops + here > kMaxPassOps) {
      passes.push_back(all.subspan(first, i - first));
      first = i;
      ops = 0;
    }
    ops += here;
  }
  passes.push_back(all.subspan(first));
  return passes;
}

CodeSize estimate_code_size(const ir::Conv& conv, const Schedule& schedule) {
  return Estimator(conv, schedule).estimate();
}

}  // namespace convgen::codegen
