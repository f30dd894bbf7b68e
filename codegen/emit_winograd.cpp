// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit_winograd.h"

#include <algorithm>

#include "codegen/emit_direct.h"
#include "codegen/emit_epilogue.h"
#include "codegen/loop_nest.h"
#include "codegen/packed_layout.h"
#include "codegen/winograd.h"

namespace convgen::codegen {
namespace {

// The sums and differences of which the transforms consist.
class Terms {
 public:
  explicit Terms(KernelBuilder& b) : b_(b) {}
  llvm::Value* sum(llvm::Value* x, llvm::Value* y) { return b_.CreateFAdd(x, y); }
  llvm::Value* difference(llvm::Value* x, llvm::Value* y) { return b_.CreateFSub(x, y); }
  // factor * x + y
  llvm::Value* scaled(float factor, llvm::Value* x, llvm::Value* y) {
    return b_.fma(b_.splat(factor), x, y);
  }

 private:
  KernelBuilder& b_;
};

// B^T d along one axis.
Values transform_input(KernelBuilder& b, const WinogradAxis& axis, const Values& d) {
  if (axis.alpha == 1) return d;
  Terms t(b);
  if (axis.alpha == 4)
    return {t.difference(d[0], d[2]), t.sum(d[1], d[2]), t.difference(d[2], d[1]),
            t.difference(d[1], d[3])};
  llvm::Value* even = t.scaled(-4, d[2], d[4]);
  llvm::Value* odd = t.scaled(-4, d[1], d[3]);
  llvm::Value* near = t.difference(d[4], d[2]);
  llvm::Value* far = t.difference(d[3], d[1]);
  return {t.scaled(4, d[0], t.scaled(-5, d[2], d[4])),
          t.sum(even, odd),
          t.difference(even, odd),
          t.scaled(2, far, near),
          t.scaled(-2, far, near),
          t.scaled(4, d[1], t.scaled(-5, d[3], d[5]))};
}

// A^T x along one axis.
Values transform_output(KernelBuilder& b, const WinogradAxis& axis, const Values& x) {
  if (axis.alpha == 1) return x;
  Terms t(b);
  llvm::Value* s = t.sum(x[1], x[2]);
  llvm::Value* d = t.difference(x[1], x[2]);
  if (axis.alpha == 4) return {t.sum(x[0], s), t.difference(d, x[3])};
  llvm::Value* s2 = t.sum(x[3], x[4]);
  llvm::Value* d2 = t.difference(x[3], x[4]);
  Values y{t.sum(t.sum(x[0], s), s2), t.scaled(2, d2, d)};
  if (axis.m == 4) y.append({t.scaled(4, s2, s), t.scaled(8, d2, d)});
  y.back() = t.sum(y.back(), x[5]);
  return y;
}

using Transform = Values (*)(KernelBuilder& b, const WinogradAxis& axis, const Values& x);

// [rows x columns] -> the transform of every column, then of every row.
Values transform_2d(KernelBuilder& b, const WinogradShape& shape, const Values& in,
                    Transform transform) {
  const auto in_rows = static_cast<size_t>(shape.h.alpha);
  const auto columns = static_cast<size_t>(shape.w.alpha);
  Values by_column;  // [column][row]
  for (size_t column = 0; column < columns; ++column) {
    Values x;
    for (size_t row = 0; row < in_rows; ++row) x.push_back(in[row * columns + column]);
    by_column.append(transform(b, shape.h, x));
  }
  const size_t rows = by_column.size() / columns;
  Values out;
  for (size_t row = 0; row < rows; ++row) {
    Values x;
    for (size_t column = 0; column < columns; ++column) x.push_back(by_column[column * rows + row]);
    out.append(transform(b, shape.w, x));
  }
  return out;
}

// Images lie n x depth behind each other.
ActivationStrides strides_of(ir::ActivationLayout layout, int64_t channels,
                             const ir::Extent3& size) {
  const bool last = layout == ir::ActivationLayout::kChannelsLast;
  ActivationStrides s;
  s.n = channels * size.h * size.w;
  s.c = last ? 1 : size.product();
  s.w = last ? channels : 1;
  s.h = s.w * size.w;
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
  // A block of output channels.
  struct Block {
    llvm::Value* number;
    int vectors;
    int last_lanes;
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

  Site site_of(llvm::Value* tile);
  void emit_sources(llvm::Value* first, llvm::Value* count);
  void emit_source_tile(const Site& site, llvm::Value* sources, bool inside);
  void emit_source_vector(const Site& site, llvm::Value* channel, int lanes, llvm::Value* sources,
                          bool inside);
  void for_each_block(llvm::function_ref<void(const Block&)> body);
  void emit_products(const Block& block, llvm::Value* point, llvm::Value* groups);
  void emit_outputs(const Block& block, llvm::Value* first, llvm::Value* count);
  void emit_output_tile(const Block& block, const Site& site, llvm::Value* products, bool inside);
  void emit_output_vector(const Block& block, llvm::Value* vector, int lanes, const Site& site,
                          llvm::Value* products, bool inside);
  llvm::Value* sources() { return b_.at(pointers_.scratch, shape_.sources_offset); }
  llvm::Value* products() { return b_.at(pointers_.scratch, shape_.products_offset); }
  // First channel of a block among those kept at once.
  llvm::Value* kept_channel(const Block& block) {
    return schedule_.order == LoopOrder::kOcOuter ? b_.index(0)
                                                  : b_.scale_index(block.number, layout_.oc_block);
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
  llvm::Value* first = b_.scale_index(task, shape_.tiles_per_task);
  llvm::Value* count =
      b_.min_index(b_.index(shape_.tiles_per_task), b_.CreateSub(b_.index(shape_.tiles), first));
  llvm::Value* groups = b_.CreateUDiv(b_.add_index(count, b_.index(schedule_.tile_pixels - 1)),
                                      b_.index(schedule_.tile_pixels));
  b_.store_packed(b_.splat(conv_.pad_value), pointers_.scratch);
  emit_sources(first, count);
  if (schedule_.order == LoopOrder::kOcOuter) {
    for_each_block([&](const Block& block) {
      for_each(b_.index(shape_.points), "point",
               [&](llvm::Value* point) { emit_products(block, point, groups); });
      emit_outputs(block, first, count);
    });
    return;
  }
  for_each(b_.index(shape_.points), "point", [&](llvm::Value* point) {
    for_each_block([&](const Block& block) { emit_products(block, point, groups); });
  });
  for_each_block([&](const Block& block) { emit_outputs(block, first, count); });
}

WinogradEmitter::Site WinogradEmitter::site_of(llvm::Value* tile) {
  const auto take = [&](int64_t count) -> llvm::Value* {
    if (count == 1) return b_.index(0);
    llvm::Value* rest = b_.CreateURem(tile, b_.index(count));
    tile = b_.CreateUDiv(tile, b_.index(count));
    return rest;
  };
  llvm::Value* tw = take(shape_.w.tiles);
  llvm::Value* th = take(shape_.h.tiles);
  llvm::Value* pw = take(shape_.w.phases);
  llvm::Value* ph = take(shape_.h.phases);
  return {shape_.images == 1 ? b_.index(0) : tile,
          b_.add_index(b_.scale_index(th, shape_.h.m * conv_.dilations.h), ph),
          b_.add_index(b_.scale_index(tw, shape_.w.m * conv_.dilations.w), pw)};
}

void WinogradEmitter::emit_sources(llvm::Value* first, llvm::Value* count) {
  for_each(count, "source.tile", [&](llvm::Value* number) {
    const Site site = site_of(b_.add_index(first, number));
    llvm::Value* at = b_.at(sources(), b_.scale_index(number, shape_.channels));
    const auto inside = [&](llvm::Value* out, const WinogradAxis& axis, int64_t pad,
                            int64_t dilation, int64_t extent) {
      // As an unsigned number a position left of the image is beyond its right end too.
      llvm::Value* position = b_.CreateSub(out, b_.index(pad));
      const int64_t span = (axis.alpha - 1) * dilation;
      return span >= extent ? static_cast<llvm::Value*>(b_.getFalse())
                            : b_.CreateICmpULT(position, b_.index(extent - span));
    };
    llvm::Value* all =
        b_.CreateAnd(inside(site.oh, shape_.h, conv_.pads_begin.h, conv_.dilations.h, conv_.in.h),
                     inside(site.ow, shape_.w, conv_.pads_begin.w, conv_.dilations.w, conv_.in.w));
    when(
        all, "source.inside", [&] { emit_source_tile(site, at, true); },
        [&] { emit_source_tile(site, at, false); });
  });
}

void WinogradEmitter::emit_source_tile(const Site& site, llvm::Value* sources, bool inside) {
  const int64_t full = conv_.ic / schedule_.lanes;
  const int rest = static_cast<int>(conv_.ic % schedule_.lanes);
  for_each(b_.index(full), "source.ic", [&](llvm::Value* block) {
    emit_source_vector(site, b_.scale_index(block, schedule_.lanes), schedule_.lanes, sources,
                       inside);
  });
  if (rest > 0) emit_source_vector(site, b_.index(full * schedule_.lanes), rest, sources, inside);
}

void WinogradEmitter::emit_source_vector(const Site& site, llvm::Value* channel, int lanes,
                                         llvm::Value* sources, bool inside) {
  llvm::Value* ih = b_.CreateSub(site.oh, b_.index(conv_.pads_begin.h));
  llvm::Value* iw = b_.CreateSub(site.ow, b_.index(conv_.pads_begin.w));
  llvm::Value* corner =
      b_.at(pointers_.src,
            b_.add_index(b_.add_index(b_.scale_index(site.n, src_.n), channel),
                         b_.add_index(b_.scale_index(ih, src_.h), b_.scale_index(iw, src_.w))));
  Values d;
  for (int64_t i = 0; i < shape_.h.alpha; ++i)
    for (int64_t j = 0; j < shape_.w.alpha; ++j) {
      const int64_t down = i * conv_.dilations.h, right = j * conv_.dilations.w;
      llvm::Value* address = b_.at(corner, down * src_.h + right * src_.w);
      if (!inside) {
        llvm::Value* real =
            b_.CreateAnd(b_.CreateICmpULT(b_.add_index(ih, b_.index(down)), b_.index(conv_.in.h)),
                         b_.CreateICmpULT(b_.add_index(iw, b_.index(right)), b_.index(conv_.in.w)));
        address = b_.CreateSelect(real, address, pointers_.scratch);
      }
      d.push_back(b_.load_lanes(address, lanes));
    }
  const Values v = transform_2d(b_, shape_, d, transform_input);
  llvm::Value* at = b_.at(sources, channel);
  for (int64_t point = 0; point < shape_.points; ++point)
    b_.store_packed(v[point], b_.at(at, point * shape_.source_point));
}

void WinogradEmitter::for_each_block(llvm::function_ref<void(const Block&)> body) {
  const int64_t full = layout_.full_blocks();
  for_each(b_.index(full), "ocb", [&](llvm::Value* block) {
    body({block, schedule_.tile_vectors, schedule_.lanes});
  });
  if (const int64_t width = layout_.tail_width(); width > 0) {
    const int vectors = static_cast<int>(width / schedule_.lanes);
    const int64_t real = conv_.oc - full * layout_.oc_block;
    body({b_.index(full), vectors, static_cast<int>(real - (vectors - 1) * schedule_.lanes)});
  }
}

// M[point][tiles][block] = V[point][tiles][ic] U[block][point][ic], P tiles at a time.
void WinogradEmitter::emit_products(const Block& block, llvm::Value* point, llvm::Value* groups) {
  const int64_t width = int64_t{block.vectors} * schedule_.lanes;
  const int64_t tiles = schedule_.tile_pixels;
  llvm::Value* weights =
      b_.at(pointers_.weights,
            b_.add_index(b_.scale_index(block.number, layout_.oc_block * layout_.steps),
                         b_.scale_index(point, conv_.ic * width)));
  // The products that follow: the next point, or the next block of output channels.
  const int64_t ahead =
      schedule_.order == LoopOrder::kOcOuter ? conv_.ic * width : layout_.oc_block * layout_.steps;
  llvm::Value* next = b_.at(weights, ahead);
  llvm::Value* v = b_.at(sources(), b_.scale_index(point, shape_.source_point));
  llvm::Value* m = b_.at(
      products(), b_.add_index(b_.scale_index(point, shape_.output_point), kept_channel(block)));
  for_each(groups, "group", [&](llvm::Value* group) {
    TileSite site{schedule_.tile_pixels, block.vectors, schedule_.lanes};
    site.src_row = b_.at(v, b_.scale_index(group, tiles * shape_.channels));
    site.weights_row = weights;
    if (schedule_.prefetch > 0)
      site.prefetch_row =
          b_.at(next, b_.scale_index(group, prefetch_floats_per_tap(schedule_, products_)));
    Values acc(static_cast<size_t>(tiles * block.vectors), b_.zero());
    acc = taps_.emit_taps(site, {b_.index(0), b_.index(1), 0, schedule_.tile_pixels}, acc);
    llvm::Value* at = b_.at(m, b_.scale_index(group, tiles * shape_.outputs));
    for (int64_t p = 0; p < tiles; ++p)
      for (int64_t i = 0; i < block.vectors; ++i)
        b_.store_packed(acc[p * block.vectors + i],
                        b_.at(at, p * shape_.outputs + i * schedule_.lanes));
  });
}

void WinogradEmitter::emit_outputs(const Block& block, llvm::Value* first, llvm::Value* count) {
  for_each(count, "output.tile", [&](llvm::Value* number) {
    const Site site = site_of(b_.add_index(first, number));
    llvm::Value* at = b_.at(
        products(), b_.add_index(b_.scale_index(number, shape_.outputs), kept_channel(block)));
    const auto inside = [&](llvm::Value* out, int64_t m, int64_t dilation, int64_t extent) {
      return b_.CreateICmpSLT(out, b_.index(extent - (m - 1) * dilation));
    };
    when(
        b_.CreateAnd(inside(site.oh, shape_.h.m, conv_.dilations.h, conv_.out.h),
                     inside(site.ow, shape_.w.m, conv_.dilations.w, conv_.out.w)),
        "output.inside", [&] { emit_output_tile(block, site, at, true); },
        [&] { emit_output_tile(block, site, at, false); });
  });
}

void WinogradEmitter::emit_output_tile(const Block& block, const Site& site, llvm::Value* products,
                                       bool inside) {
  const bool whole = block.last_lanes == schedule_.lanes;
  const int64_t full = block.vectors - (whole ? 0 : 1);
  for_each(b_.index(full), "output.vector", [&](llvm::Value* vector) {
    emit_output_vector(block, vector, schedule_.lanes, site, products, inside);
  });
  if (!whole) emit_output_vector(block, b_.index(full), block.last_lanes, site, products, inside);
}

void WinogradEmitter::emit_output_vector(const Block& block, llvm::Value* vector, int lanes,
                                         const Site& site, llvm::Value* products, bool inside) {
  llvm::Value* in_block = b_.scale_index(vector, schedule_.lanes);
  llvm::Value* channel = b_.add_index(b_.scale_index(block.number, layout_.oc_block), in_block);
  Values x;
  for (int64_t point = 0; point < shape_.points; ++point)
    x.push_back(b_.load_packed(b_.at(b_.at(products, in_block), point * shape_.output_point)));
  const Values y = transform_2d(b_, shape_, x, transform_output);
  llvm::Value* dst =
      b_.add_index(b_.add_index(b_.scale_index(site.n, dst_.n), b_.scale_index(channel, dst_.c)),
                   b_.add_index(b_.scale_index(site.oh, dst_.h), b_.scale_index(site.ow, dst_.w)));
  const auto emit = [&](int64_t row, int64_t column, int pixels) {
    const auto first = y.begin() + row * shape_.w.m + column;
    const Values acc(first, first + pixels);
    llvm::Value* at = b_.add_index(dst, b_.index(row * phase_dst_.h + column * phase_dst_.w));
    epilogue_.emit({pixels, 1, lanes, channel, at}, acc);
  };
  for (int64_t row = 0; row < shape_.h.m; ++row) {
    if (inside) {
      emit(row, 0, static_cast<int>(shape_.w.m));
      continue;
    }
    const auto real = [&](llvm::Value* out, int64_t distance, int64_t extent) {
      return b_.CreateICmpSLT(b_.add_index(out, b_.index(distance)), b_.index(extent));
    };
    llvm::Value* real_row = real(site.oh, row * conv_.dilations.h, conv_.out.h);
    for (int64_t column = 0; column < shape_.w.m; ++column)
      when(
          b_.CreateAnd(real_row, real(site.ow, column * conv_.dilations.w, conv_.out.w)),
          "output.real", [&] { emit(row, column, 1); }, [] {});
  }
}

}  // namespace

void emit_winograd(KernelBuilder& b, const ir::Conv& conv, const Schedule& schedule,
                   const KernelPointers& pointers, llvm::Value* begin, llvm::Value* end) {
  WinogradEmitter winograd(b, conv, schedule, pointers);
  emit_for(b, {begin, end}, "task", {},
           [&](llvm::Value* task, Values) { return winograd.emit_task(task), Values(); });
}

}  // namespace convgen::codegen
