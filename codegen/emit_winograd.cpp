// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_winograd.h"

#include <algorithm>

#include "codegen/emit_direct.h"
#include "codegen/emit_epilogue.h"
#include "codegen/loop_nest.h"
#include "codegen/packed_layout.h"
#include "codegen/winograd.h"
#include "codegen/winograd_transforms.h"

namespace convgen::codegen {
namespace {

// Images lie n x depth behind each other.
ActivationStrides strides_of(ir::ActivationLayout layout, int64_t channels,
                             const ir::Extent3& size) {
  ActivationStrides s = dense_strides(layout, channels, size);
  s.n /= size.d;
  return s;
}

// A row of T tiles as the direct emitter sees it: a 1x1 convolution.
NestShape product_shape(const ir::Conv& conv, const WinogradShape& shape) {
  NestShape products;
  products.ic = conv.ic;
  products.src.c = 1;
  products.src.w = shape.channels;
  return products;
}

class WinogradEmitter {
 public:
  WinogradEmitter(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                  const KernelPointers& pointers)
      : b_(b),
        conv_(conv),
        schedule_(schedule),
        pointers_(pointers),
        shape_(winograd_shape(conv, schedule)),
        layout_(packed_layout(conv, schedule)),
        products_(product_shape(conv, shape_)),
        taps_(b, schedule_, products_),
        src_(strides_of(conv.src_layout, conv.ic, conv.in)),
        dst_(strides_of(conv.dst_layout, conv.oc, conv.out)),
        phase_dst_(phase_strides(dst_, conv.dilations)),
        epilogue_(b, conv, schedule_, phase_dst_, pointers_) {}

  void emit_task(llvm::Value* task);

 private:
  // A tile: its image, and output (0, 0) of it.
  struct Site {
    llvm::Value* n;
    llvm::Value* oh;
    llvm::Value* ow;
  };
  // A task's runs.
  struct Run {
    llvm::Value* first;
    llvm::Value* count;
  };
  // A block of output channels: so many vectors of them, the last one of all perhaps with fewer
  // lanes. place: how many of the task's come before.
  struct Block {
    llvm::Value* number;
    llvm::Value* place;
    llvm::Value* vectors;
  };
  // Where element (0, 0) of a tile's sources lies, and how far apart its rows and columns are.
  struct Patch {
    llvm::Value* corner;
    llvm::Value* row;
    llvm::Value* column;
  };

  static ActivationStrides phase_strides(ActivationStrides s, const ir::Extent3& dilations) {
    s.h *= dilations.h;
    s.w *= dilations.w;
    return s;
  }
  void for_each(llvm::Value* count, llvm::StringRef name,
                llvm::function_ref<void(llvm::Value* i)> body) {
    emit_for(b_, {b_.index(0), count}, name, {},
             [&](llvm::Value* i, Values) { return body(i), Values(); });
  }
  void when(llvm::Value* condition, llvm::StringRef name, llvm::function_ref<void()> then_body,
            llvm::function_ref<void()> else_body) {
    emit_if(
        b_, condition, name, {}, [&](Values) { return then_body(), Values(); },
        [&](Values) { return else_body(), Values(); });
  }

  Run run_of(llvm::Value* number, int64_t each, int64_t all);
  Site site_of(const WinogradTiles& kind, llvm::Value* tile);
  void emit_sources(const WinogradTiles& kind, llvm::Value* tile_task);
  void emit_source_vector(const WinogradTiles& kind, const Site& site, llvm::Value* inside,
                          llvm::Value* block, llvm::Value* sources);
  Patch copy_patch(const WinogradTiles& kind, const Site& site, llvm::Value* corner,
                   llvm::Value* is_rest);
  void for_each_block(const Run& blocks, llvm::function_ref<void(const Block&)> body);
  using PointBody = llvm::function_ref<void(const WinogradPoints& run, llvm::Value* point)>;
  void for_each_point(PointBody body);
  void emit_products(const Block& block, const WinogradPoints& run, llvm::Value* point,
                     llvm::Value* tile_task);
  void emit_products(const Block& block, int vectors, const WinogradPoints& run, llvm::Value* point,
                     llvm::Value* groups);
  llvm::Value* groups_of(const WinogradPoints& run, llvm::Value* tile_task);
  void emit_outputs(const WinogradTiles& kind, const Block& block, llvm::Value* tile_task);
  void emit_output_vector(const WinogradTiles& kind, const Block& block, llvm::Value* vector,
                          const Site& site, llvm::Value* inside, llvm::Value* products);
  void store_tile(const WinogradTiles& kind, const Values& y, llvm::Value* channel,
                  llvm::Value* dst);
  void store_border_tile(const WinogradTiles& kind, const Values& y, const Site& site,
                         llvm::Value* is_rest, llvm::Value* channel, llvm::Value* dst);
  // Whether vector number `vector` is the one that holds what is left of `channels`.
  llvm::Value* is_rest(llvm::Value* vector, int64_t channels, int lanes) {
    return channels % lanes == 0 ? static_cast<llvm::Value*>(b_.getFalse())
                                 : b_.CreateICmpEQ(vector, b_.index(channels / lanes));
  }
  int64_t point_of(int64_t row, int64_t column) const { return row * shape_.w.alpha + column; }
  llvm::Value* patch() { return b_.at(pointers_.scratch, shape_.patch_offset); }
  llvm::Value* sources() { return b_.at(pointers_.scratch, shape_.sources_offset); }
  llvm::Value* products() { return b_.at(pointers_.scratch, shape_.products_offset); }
  // First channel of a block among those kept at once.
  llvm::Value* kept_channel(const Block& block) {
    return schedule_.order == LoopOrder::kOcOuter ? b_.index(0)
                                                  : b_.scale_index(block.place, layout_.oc_block);
  }

  KernelBuilder& b_;
  const ir::Conv& conv_;
  const Schedule& schedule_;
  const KernelPointers& pointers_;
  const WinogradShape shape_;
  const PackedLayout layout_;
  const NestShape products_;
  DirectTapEmitter taps_;
  const ActivationStrides src_, dst_, phase_dst_;
  EpilogueEmitter epilogue_;
};

void WinogradEmitter::emit_task(llvm::Value* task) {
  llvm::Value* tile_task = b_.take_factor(task, shape_.tile_tasks);
  const Run blocks = run_of(task, shape_.blocks_per_task, shape_.blocks);
  b_.store_packed(b_.splat(conv_.pad_value), pointers_.scratch);
  for (const WinogradTiles& kind : shape_.kinds) emit_sources(kind, tile_task);
  const auto emit_all_outputs = [&](const Block& block) {
    for (const WinogradTiles& kind : shape_.kinds) emit_outputs(kind, block, tile_task);
  };
  if (schedule_.order == LoopOrder::kOcOuter) {
    for_each_block(blocks, [&](const Block& block) {
      for_each_point([&](const WinogradPoints& run, llvm::Value* point) {
        emit_products(block, run, point, tile_task);
      });
      emit_all_outputs(block);
    });
    return;
  }
  for_each_point([&](const WinogradPoints& run, llvm::Value* point) {
    for_each_block(blocks,
                   [&](const Block& block) { emit_products(block, run, point, tile_task); });
  });
  for_each_block(blocks, emit_all_outputs);
}

// All points, in the order of the packed weights.
void WinogradEmitter::for_each_point(PointBody body) {
  int64_t first = 0;
  for (const WinogradPointRows& group : shape_.point_rows) {
    for_each(b_.index(group.rows), "point.row", [&](llvm::Value* row) {
      llvm::Value* begin = b_.add_index(b_.index(first), b_.scale_index(row, group.length));
      for (const WinogradPoints& run : group.runs)
        for_each(b_.index(run.count), "point", [&](llvm::Value* i) {
          body(run, b_.add_index(b_.add_index(begin, b_.index(run.first)), i));
        });
    });
    first += group.rows * group.length;
  }
}

// Run `number` of runs of `each`, the last one shorter; known where one run is all.
WinogradEmitter::Run WinogradEmitter::run_of(llvm::Value* number, int64_t each, int64_t all) {
  if (each >= all) return {b_.index(0), b_.index(all)};
  llvm::Value* first = b_.scale_index(number, each);
  return {first, b_.min_index(b_.index(each), b_.sub_index(b_.index(all), first))};
}

WinogradEmitter::Site WinogradEmitter::site_of(const WinogradTiles& kind, llvm::Value* tile) {
  llvm::Value* tw = b_.take_factor(tile, kind.w.tiles);
  tw = b_.add_index(tw, b_.index(kind.w.first));
  llvm::Value* th = b_.take_factor(tile, kind.h.tiles);
  th = b_.add_index(th, b_.index(kind.h.first));
  llvm::Value* pw = b_.take_factor(tile, shape_.w.phases);
  llvm::Value* ph = b_.take_factor(tile, shape_.h.phases);
  return {shape_.images == 1 ? b_.index(0) : tile,
          b_.add_index(b_.scale_index(th, shape_.h.m * conv_.dilations.h), ph),
          b_.add_index(b_.scale_index(tw, shape_.w.m * conv_.dilations.w), pw)};
}

void WinogradEmitter::emit_sources(const WinogradTiles& kind, llvm::Value* tile_task) {
  const Run tiles = run_of(tile_task, kind.per_task, kind.all);
  for_each(tiles.count, "source.tile", [&](llvm::Value* number) {
    const Site site = site_of(kind, b_.add_index(tiles.first, number));
    llvm::Value* at = b_.at(sources(), b_.add_index(b_.index(kind.place * shape_.channels),
                                                    b_.scale_index(number, shape_.channels)));
    const auto inside = [&](llvm::Value* out, const WinogradAxis& axis, int64_t pad,
                            int64_t dilation, int64_t extent) {
      // As an unsigned number a position left of the image is beyond its right end too.
      llvm::Value* position = b_.sub_index(out, b_.index(pad));
      const int64_t span = (axis.alpha - 1) * dilation;
      return span >= extent ? static_cast<llvm::Value*>(b_.getFalse())
                            : b_.CreateICmpULT(position, b_.index(extent - span));
    };
    llvm::Value* all =
        b_.CreateAnd(inside(site.oh, kind.h, conv_.pads_begin.h, conv_.dilations.h, conv_.in.h),
                     inside(site.ow, kind.w, conv_.pads_begin.w, conv_.dilations.w, conv_.in.w));
    const int64_t blocks = (conv_.ic + shape_.source_lanes - 1) / shape_.source_lanes;
    b_.with_lanes(shape_.source_lanes, [&] {
      for_each(b_.index(blocks), "source.ic",
               [&](llvm::Value* block) { emit_source_vector(kind, site, all, block, at); });
    });
  });
}

// Tiles inside the image are transformed where they lie, others from a copy.
void WinogradEmitter::emit_source_vector(const WinogradTiles& kind, const Site& site,
                                         llvm::Value* inside, llvm::Value* block,
                                         llvm::Value* sources) {
  const int lanes = shape_.source_lanes;
  llvm::Value* channel = b_.scale_index(block, lanes);
  llvm::Value* ih = b_.sub_index(site.oh, b_.index(conv_.pads_begin.h));
  llvm::Value* iw = b_.sub_index(site.ow, b_.index(conv_.pads_begin.w));
  llvm::Value* first =
      b_.add_index(b_.add_index(b_.scale_index(site.n, src_.n), channel),
                   b_.add_index(b_.scale_index(ih, src_.h), b_.scale_index(iw, src_.w)));
  llvm::Value* corner = b_.at(pointers_.src, first);
  const Values in_place{corner, b_.index(conv_.dilations.h * src_.h),
                        b_.index(conv_.dilations.w * src_.w)};
  // Lanes behind the last channel hold the next pixel's, which nobody reads; behind the last pixel
  // there is none.
  const int64_t reach = (kind.h.alpha - 1) * conv_.dilations.h * src_.h +
                        (kind.w.alpha - 1) * conv_.dilations.w * src_.w + lanes;
  if (conv_.ic % lanes != 0)
    inside = b_.CreateAnd(inside, b_.CreateICmpSLE(first, b_.index(conv_.src_elements() - reach)));
  const Values from = emit_if(
      b_, inside, "source.inside", in_place, [](Values values) { return values; },
      [&](Values) {
        const Patch copy = copy_patch(kind, site, corner, is_rest(block, conv_.ic, lanes));
        return Values{copy.corner, copy.row, copy.column};
      });
  llvm::Value* at = b_.at(sources, channel);
  Values rows, columns;
  for (int64_t i = 0; i < kind.h.alpha; ++i)
    rows.push_back(b_.at(from[0], b_.scale_index(from[1], i)));
  for (int64_t j = 0; j < kind.w.alpha; ++j) columns.push_back(b_.scale_index(from[2], j));
  emit_input_transform(
      b_, kind.h, kind.w,
      [&](int64_t row, int64_t column) {
        return b_.load_lanes(b_.at(rows[row], columns[column]), lanes);
      },
      [&](int64_t row, int64_t column, llvm::Value* value) {
        b_.store_packed(value, b_.at(at, point_of(row, column) * shape_.source_point));
      });
}

// Sources of a tile, pad_value outside the image, zero behind the last channel.
WinogradEmitter::Patch WinogradEmitter::copy_patch(const WinogradTiles& kind, const Site& site,
                                                   llvm::Value* corner, llvm::Value* is_rest) {
  const auto real = [&](llvm::Value* out, llvm::Value* number, int64_t pad, int64_t dilation,
                        int64_t extent) {
    llvm::Value* position =
        b_.add_index(b_.sub_index(out, b_.index(pad)), b_.scale_index(number, dilation));
    return b_.CreateICmpULT(position, b_.index(extent));
  };
  const int64_t lanes = shape_.source_lanes;
  Values real_columns;
  for (int64_t j = 0; j < kind.w.alpha; ++j)
    real_columns.push_back(
        real(site.ow, b_.index(j), conv_.pads_begin.w, conv_.dilations.w, conv_.in.w));
  const auto copy_row = [&](llvm::Value* i, int64_t count) {
    llvm::Value* real_row = real(site.oh, i, conv_.pads_begin.h, conv_.dilations.h, conv_.in.h);
    llvm::Value* row = b_.at(corner, b_.scale_index(i, conv_.dilations.h * src_.h));
    llvm::Value* copy = b_.at(patch(), b_.scale_index(i, kind.w.alpha * lanes));
    for (int64_t j = 0; j < kind.w.alpha; ++j) {
      llvm::Value* address =
          b_.CreateSelect(b_.CreateAnd(real_row, real_columns[j]),
                          b_.at(row, j * conv_.dilations.w * src_.w), pointers_.scratch);
      b_.store_packed(b_.load_lanes(address, static_cast<int>(count)), b_.at(copy, j * lanes));
    }
  };
  const auto copy_rows = [&](int64_t count) {
    for_each(b_.index(kind.h.alpha), "patch.row", [&](llvm::Value* i) { copy_row(i, count); });
  };
  when(
      is_rest, "patch.rest", [&] { copy_rows(conv_.ic % lanes); }, [&] { copy_rows(lanes); });
  return {patch(), b_.index(kind.w.alpha * lanes), b_.index(lanes)};
}

void WinogradEmitter::for_each_block(const Run& blocks,
                                     llvm::function_ref<void(const Block&)> body) {
  const int64_t full = layout_.full_blocks();
  const int64_t rest = layout_.tail_width() / schedule_.lanes;
  for_each(blocks.count, "ocb", [&](llvm::Value* place) {
    llvm::Value* number = b_.add_index(blocks.first, place);
    llvm::Value* vectors = b_.index(schedule_.tile_vectors);
    if (rest > 0)
      vectors = b_.CreateSelect(b_.CreateICmpEQ(number, b_.index(full)), b_.index(rest), vectors);
    body({number, place, vectors});
  });
}

// A full block, or what is left of the channels.
void WinogradEmitter::emit_products(const Block& block, const WinogradPoints& run,
                                    llvm::Value* point, llvm::Value* tile_task) {
  llvm::Value* groups = groups_of(run, tile_task);
  const int64_t full = layout_.full_blocks();
  const auto rest = static_cast<int>(layout_.tail_width() / schedule_.lanes);
  const auto emit = [&](int vectors) { emit_products(block, vectors, run, point, groups); };
  if (rest == 0) return emit(schedule_.tile_vectors);
  if (full == 0) return emit(rest);
  when(
      b_.CreateICmpEQ(block.number, b_.index(full)), "rest", [&] { emit(rest); },
      [&] { emit(schedule_.tile_vectors); });
}

// Register tiles of a run; of several kinds of tiles the last task has gaps between their places,
// and computes all.
llvm::Value* WinogradEmitter::groups_of(const WinogradPoints& run, llvm::Value* tile_task) {
  llvm::Value* tiles = shape_.kinds.size() > 1
                           ? b_.index(run.tiles)
                           : run_of(tile_task, shape_.tiles_per_task, shape_.tiles).count;
  return b_.CreateUDiv(b_.add_index(tiles, b_.index(run.tile_pixels - 1)),
                       b_.index(run.tile_pixels));
}

// M[point][tiles][block] = V[point][tiles][ic] U[block][point][ic], P tiles at a time.
void WinogradEmitter::emit_products(const Block& block, int vectors, const WinogradPoints& run,
                                    llvm::Value* point, llvm::Value* groups) {
  const int64_t width = int64_t{vectors} * schedule_.lanes;
  const int64_t tiles = run.tile_pixels;
  llvm::Value* weights =
      b_.at(pointers_.weights,
            b_.add_index(b_.scale_index(block.number, layout_.oc_block * layout_.steps),
                         b_.scale_index(point, conv_.ic * width)));
  // The products that follow: the next point, or the next block of output channels.
  const int64_t ahead =
      schedule_.order == LoopOrder::kOcOuter ? conv_.ic * width : layout_.oc_block * layout_.steps;
  llvm::Value* next = b_.at(weights, ahead);
  llvm::Value* v = b_.at(sources(), b_.add_index(b_.scale_index(point, shape_.source_point),
                                                 b_.index(run.place * shape_.channels)));
  llvm::Value* m =
      b_.at(products(), b_.add_index(b_.add_index(b_.scale_index(point, shape_.output_point),
                                                  b_.index(run.place * shape_.outputs)),
                                     kept_channel(block)));
  for_each(groups, "group", [&](llvm::Value* group) {
    TileSite site{run.tile_pixels, vectors, schedule_.lanes};
    site.src_row = b_.at(v, b_.scale_index(group, tiles * shape_.channels));
    site.weights_row = weights;
    if (schedule_.prefetch > 0)
      site.prefetch_row =
          b_.at(next, b_.scale_index(group, prefetch_floats_per_tap(schedule_, products_)));
    Values acc(static_cast<size_t>(tiles * vectors), b_.zero());
    acc = taps_.emit_taps(site, {b_.index(0), b_.index(1), 0, run.tile_pixels}, acc);
    llvm::Value* at = b_.at(m, b_.scale_index(group, tiles * shape_.outputs));
    for (int64_t p = 0; p < tiles; ++p)
      for (int64_t i = 0; i < vectors; ++i)
        b_.store_packed(acc[p * vectors + i], b_.at(at, p * shape_.outputs + i * schedule_.lanes));
  });
}

void WinogradEmitter::emit_outputs(const WinogradTiles& kind, const Block& block,
                                   llvm::Value* tile_task) {
  const Run tiles = run_of(tile_task, kind.per_task, kind.all);
  for_each(tiles.count, "output.tile", [&](llvm::Value* number) {
    const Site site = site_of(kind, b_.add_index(tiles.first, number));
    llvm::Value* at =
        b_.at(products(), b_.add_index(b_.add_index(b_.index(kind.place * shape_.outputs),
                                                    b_.scale_index(number, shape_.outputs)),
                                       kept_channel(block)));
    const auto inside = [&](llvm::Value* out, const WinogradAxis& axis, int64_t dilation,
                            int64_t extent) {
      // Known where even the shortest phase, the last one, has all outputs of its last tile.
      const int64_t first = (axis.first + axis.tiles - 1) * axis.whole_m();
      const int64_t last = (first + axis.m - 1) * dilation + axis.phases - 1;
      return last < extent ? static_cast<llvm::Value*>(b_.getTrue())
                           : b_.CreateICmpSLT(out, b_.index(extent - (axis.m - 1) * dilation));
    };
    llvm::Value* whole = b_.CreateAnd(inside(site.oh, kind.h, conv_.dilations.h, conv_.out.h),
                                      inside(site.ow, kind.w, conv_.dilations.w, conv_.out.w));
    for_each(block.vectors, "output.vector", [&](llvm::Value* vector) {
      emit_output_vector(kind, block, vector, site, whole, at);
    });
  });
}

void WinogradEmitter::emit_output_vector(const WinogradTiles& kind, const Block& block,
                                         llvm::Value* vector, const Site& site, llvm::Value* inside,
                                         llvm::Value* products) {
  llvm::Value* number = b_.add_index(b_.scale_index(block.number, schedule_.tile_vectors), vector);
  llvm::Value* channel = b_.scale_index(number, schedule_.lanes);
  llvm::Value* at = b_.at(products, b_.scale_index(vector, schedule_.lanes));
  const Values y = emit_output_transform(b_, kind.h, kind.w, [&](int64_t row, int64_t column) {
    return b_.load_packed(b_.at(at, point_of(row, column) * shape_.output_point));
  });
  llvm::Value* dst =
      b_.add_index(b_.add_index(b_.scale_index(site.n, dst_.n), b_.scale_index(channel, dst_.c)),
                   b_.add_index(b_.scale_index(site.oh, dst_.h), b_.scale_index(site.ow, dst_.w)));
  llvm::Value* rest = is_rest(number, conv_.oc, schedule_.lanes);
  when(
      b_.CreateAnd(inside, b_.CreateNot(rest)), "output.inside",
      [&] { store_tile(kind, y, channel, dst); },
      [&] { store_border_tile(kind, y, site, rest, channel, dst); });
}

void WinogradEmitter::store_tile(const WinogradTiles& kind, const Values& y, llvm::Value* channel,
                                 llvm::Value* dst) {
  for (int64_t row = 0; row < kind.h.m; ++row) {
    const auto first = y.begin() + row * kind.w.m;
    const TileOutputs outputs{static_cast<int>(kind.w.m), 1, schedule_.lanes, channel,
                              b_.add_index(dst, b_.index(row * phase_dst_.h))};
    epilogue_.emit(outputs, Values(first, first + kind.w.m));
  }
}

// Pixel by pixel, those inside the image.
void WinogradEmitter::store_border_tile(const WinogradTiles& kind, const Values& y,
                                        const Site& site, llvm::Value* is_rest,
                                        llvm::Value* channel, llvm::Value* dst) {
  const int64_t lanes = schedule_.lanes;
  for (size_t i = 0; i < y.size(); ++i)
    b_.store_packed(y[i], b_.at(patch(), static_cast<int64_t>(i) * lanes));
  const auto real = [&](llvm::Value* out, const WinogradAxis& axis, int64_t dilation,
                        int64_t extent) {
    llvm::Value* left = b_.sub_index(b_.index(extent + dilation - 1), out);
    return b_.min_index(b_.index(axis.m), b_.CreateUDiv(left, b_.index(dilation)));
  };
  llvm::Value* rows = real(site.oh, kind.h, conv_.dilations.h, conv_.out.h);
  llvm::Value* columns = real(site.ow, kind.w, conv_.dilations.w, conv_.out.w);
  for_each(rows, "output.row", [&](llvm::Value* row) {
    for_each(columns, "output.column", [&](llvm::Value* column) {
      llvm::Value* pixel = b_.add_index(b_.scale_index(row, kind.w.m), column);
      const Values value{b_.load_packed(b_.at(patch(), b_.scale_index(pixel, lanes)))};
      llvm::Value* at = b_.add_index(dst, b_.add_index(b_.scale_index(row, phase_dst_.h),
                                                       b_.scale_index(column, phase_dst_.w)));
      const auto store = [&](int64_t count) {
        epilogue_.emit({1, 1, static_cast<int>(count), channel, at}, value);
      };
      when(
          is_rest, "output.rest", [&] { store(conv_.oc % lanes); }, [&] { store(lanes); });
    });
  });
}

}  // namespace

void emit_winograd(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                   const KernelPointers& pointers, llvm::Value* begin, llvm::Value* end) {
  WinogradEmitter winograd(b, conv, schedule, pointers);
  emit_for(b, {begin, end}, "task", {},
           [&](llvm::Value* task, Values) { return winograd.emit_task(task), Values(); });
}

}  // namespace convgen::codegen
