// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution (with multipliers) by plain loops, no im2col: channels innermost for
// channels-last src, output columns innermost for channels-first. Taps on the padding are left
// out, or add pad_value times their weight where that is not 0.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "runtime/generic_path.h"

namespace convgen::generic {
namespace {

// Sums that wait for the post-ops: a quarter of a 32 KiB L1.
constexpr int64_t kTileElements = 2048;

// Work space for `count` values of T, in floats, keeping what follows on a cache line.
template <typename T>
int64_t scratch_floats(int64_t count) {
  return round_up(count * static_cast<int64_t>(sizeof(T)), 64) / 4;
}

std::string depthwise_tag(const char* order, const ir::Conv& conv) {
  return fmt::format("generic-depthwise-{} k={}x{}x{} oc={} groups={}", order, conv.kernel.d,
                     conv.kernel.h, conv.kernel.w, conv.oc, conv.groups);
}

// Channels-last src. Packed weights are [multiplier][tap][channel], and one pass per multiplier
// reads src and weights with unit stride.
class ChannelsLastDepthwise final : public Path {
 public:
  ChannelsLastDepthwise(const ir::Conv& conv, const Kernels& kernels);

  int64_t tasks() const override { return conv_.n * conv_.out.d * conv_.out.h; }
  std::string packed_tag() const override { return depthwise_tag("last", conv_); }
  int64_t packed_elements() const override { return conv_.weights_elements(); }
  void pack_weights(const float* weights, float* packed) const override;
  int64_t scratch_elements() const override;
  void run(const Tensors& tensors, float* scratch, int64_t begin, int64_t end) const override;

 private:
  struct Scratch {
    PixelTap* taps;  // [taps]
    float* initial;  // [channels]
    float* values;   // [pixels_per_tile_][channels]
  };
  // One output row for one of the `multiplier` outputs of every channel.
  struct Row {
    int64_t n = 0;
    ir::Extent3 out;  // of column 0
    int64_t multiplier = 0;
  };
  // Columns that use the same taps.
  struct Pixels {
    Range columns;
    const PixelTap* taps = nullptr;
    int64_t tap_count = 0;
    const float* initial = nullptr;
  };

  Scratch split(float* scratch) const;
  Range inner_columns(const Row& row) const;
  void run_row(const Tensors& tensors, const Row& row, const Scratch& scratch) const;
  void run_border_pixel(const Tensors& tensors, const Row& row, int64_t ow,
                        const Scratch& scratch) const;
  void run_pixels(const Tensors& tensors, const Row& row, const Pixels& pixels,
                  float* values) const;
  ir::Extent3 first_input_of(const Row& row, int64_t ow) const {
    return first_input(conv_, {row.out.d, row.out.h, ow});
  }
  const float* row_weights(const Tensors& tensors, const Row& row) const {
    return tensors.weights + row.multiplier * conv_.kernel.product() * channels_;
  }

  const ir::Conv& conv_;
  const Kernels& kernels_;
  const int64_t channels_;
  const int64_t multipliers_;
  const int64_t pixels_per_tile_;
  const ActivationStrides src_strides_;
  const ActivationStrides dst_strides_;
  std::vector<PixelTap> taps_;  // all taps, for pixels away from the border
};

ChannelsLastDepthwise::ChannelsLastDepthwise(const ir::Conv& conv, const Kernels& kernels)
    : conv_(conv),
      kernels_(kernels),
      channels_(conv.groups),
      multipliers_(conv.oc_per_group()),
      pixels_per_tile_(std::clamp<int64_t>(kTileElements / conv.groups, 1, 32)),
      src_strides_(strides_of(conv.src_layout, conv.ic, conv.in)),
      dst_strides_(strides_of(conv.dst_layout, conv.oc, conv.out)) {
  for (int64_t tap = 0; tap < conv.kernel.product(); ++tap) {
    taps_.push_back(
        {wrapping_offset_of(input_of_tap(conv, {0, 0, 0}, position_of(tap, conv.kernel)),
                            src_strides_),
         tap * channels_});
  }
}

void ChannelsLastDepthwise::pack_weights(const float* weights, float* packed) const {
  for (int64_t m = 0; m < multipliers_; ++m) {
    for (int64_t tap = 0; tap < conv_.kernel.product(); ++tap) {
      for (int64_t c = 0; c < channels_; ++c) {
        *packed++ = weights[weights_offset(conv_, c * multipliers_ + m, tap, 0)];
      }
    }
  }
}

int64_t ChannelsLastDepthwise::scratch_elements() const {
  return scratch_floats<PixelTap>(conv_.kernel.product()) + scratch_floats<float>(channels_) +
         scratch_floats<float>(pixels_per_tile_ * channels_);
}

ChannelsLastDepthwise::Scratch ChannelsLastDepthwise::split(float* scratch) const {
  auto* taps = reinterpret_cast<PixelTap*>(scratch);
  float* initial = scratch + scratch_floats<PixelTap>(conv_.kernel.product());
  return {taps, initial, initial + scratch_floats<float>(channels_)};
}

void ChannelsLastDepthwise::run(const Tensors& tensors, float* scratch, int64_t begin,
                                int64_t end) const {
  const int64_t rows = conv_.out.d * conv_.out.h;
  for (int64_t task = begin; task < end; ++task) {
    Row row{.n = task / rows, .out = position_of(task % rows * conv_.out.w, conv_.out)};
    for (; row.multiplier < multipliers_; ++row.multiplier) {
      run_row(tensors, row, split(scratch));
    }
  }
}

// The columns whose taps all lie in the image.
Range ChannelsLastDepthwise::inner_columns(const Row& row) const {
  const ir::Extent3 first = first_input_of(row, 0);
  const ir::Extent3 last =
      input_of_tap(conv_, first, position_of(conv_.kernel.product() - 1, conv_.kernel));
  const bool inner_row = first.d >= 0 && first.h >= 0 && last.d < conv_.in.d && last.h < conv_.in.h;
  if (!inner_row) return {0, 0};
  const int64_t reach = last.w - first.w;
  return inside_range(first.w, conv_.strides.w, conv_.out.w, conv_.in.w - reach);
}

void ChannelsLastDepthwise::run_row(const Tensors& tensors, const Row& row,
                                    const Scratch& scratch) const {
  const Range inner = inner_columns(row);
  for (int64_t ow = 0; ow < inner.begin; ++ow) run_border_pixel(tensors, row, ow, scratch);
  for (int64_t ow = inner.begin; ow < inner.end; ow += pixels_per_tile_) {
    const Range columns{ow, std::min(ow + pixels_per_tile_, inner.end)};
    const auto tap_count = static_cast<int64_t>(taps_.size());
    run_pixels(tensors, row, {columns, taps_.data(), tap_count, nullptr}, scratch.values);
  }
  for (int64_t ow = inner.end; ow < conv_.out.w; ++ow) {
    run_border_pixel(tensors, row, ow, scratch);
  }
}

// Sorts the pixel's taps into those that read src and those that read pad_value.
void ChannelsLastDepthwise::run_border_pixel(const Tensors& tensors, const Row& row, int64_t ow,
                                             const Scratch& scratch) const {
  const ir::Extent3 first = first_input_of(row, ow);
  Pixels pixel{.columns = {ow, ow + 1}, .taps = scratch.taps};
  if (conv_.pad_value != 0) {
    std::fill(scratch.initial, scratch.initial + channels_, 0.0f);
    pixel.initial = scratch.initial;
  }
  ir::Extent3 k{0, 0, 0};
  for (int64_t tap = 0; tap < conv_.kernel.product(); ++tap, advance(k, conv_.kernel)) {
    if (is_inside(input_of_tap(conv_, first, k), conv_.in)) {
      scratch.taps[pixel.tap_count++] = taps_[static_cast<size_t>(tap)];
    } else if (conv_.pad_value != 0) {
      const float* weights = row_weights(tensors, row) + tap * channels_;
      for (int64_t c = 0; c < channels_; ++c) scratch.initial[c] += conv_.pad_value * weights[c];
    }
  }
  run_pixels(tensors, row, pixel, scratch.values);
}

void ChannelsLastDepthwise::run_pixels(const Tensors& tensors, const Row& row, const Pixels& pixels,
                                       float* values) const {
  const int64_t ow = pixels.columns.begin;
  const uint64_t pixel_offset = wrapping_offset_of(first_input_of(row, ow), src_strides_);
  kernels_.depthwise_pixels(
      {.src = tensors.src,
       .src_offset = static_cast<uint64_t>(row.n * src_strides_.n) + pixel_offset,
       .src_step = static_cast<uint64_t>(conv_.strides.w) * static_cast<uint64_t>(channels_),
       .taps = pixels.taps,
       .tap_count = pixels.tap_count,
       .weights = row_weights(tensors, row),
       .initial = pixels.initial,
       .pixels = pixels.columns.size(),
       .channels = channels_,
       .out = values});
  const int64_t dst_pixel = offset_of({row.out.d, row.out.h, ow}, dst_strides_);
  finish_tile(conv_, kernels_, tensors,
              {.values = values,
               .rows = pixels.columns.size(),
               .cols = channels_,
               .stride = channels_,
               .channel = row.multiplier,
               .channel_col_step = multipliers_,
               .dst_offset = row.n * dst_strides_.n + dst_pixel + row.multiplier * dst_strides_.c,
               .dst_row_step = dst_strides_.spatial.w,
               .dst_col_step = multipliers_ * dst_strides_.c});
}

// Channels-first src. Packed weights are [oc][tap]; a task is one output plane, summed a few rows
// at a time.
class ChannelsFirstDepthwise final : public Path {
 public:
  ChannelsFirstDepthwise(const ir::Conv& conv, const Kernels& kernels);

  int64_t tasks() const override { return conv_.out.product() == 0 ? 0 : conv_.n * conv_.oc; }
  std::string packed_tag() const override { return depthwise_tag("first", conv_); }
  int64_t packed_elements() const override { return conv_.weights_elements(); }
  void pack_weights(const float* weights, float* packed) const override;
  int64_t scratch_elements() const override;
  void run(const Tensors& tensors, float* scratch, int64_t begin, int64_t end) const override;

 private:
  struct Plane {
    int64_t n = 0;
    int64_t oc = 0;
    const float* src = nullptr;
    const float* weights = nullptr;  // [tap]
  };

  void run_rows(const Tensors& tensors, const Plane& plane, const Range& rows,
                float* scratch) const;
  void sum_row(const Plane& plane, int64_t row, RowTap* taps, float* values) const;

  const ir::Conv& conv_;
  const Kernels& kernels_;
  const int64_t rows_;  // of a plane, depths included
  const int64_t rows_per_tile_;
  const ActivationStrides src_strides_;
  const ActivationStrides dst_strides_;
  std::vector<Range> inside_columns_;  // per kw: the output columns that read inside the image
};

ChannelsFirstDepthwise::ChannelsFirstDepthwise(const ir::Conv& conv, const Kernels& kernels)
    : conv_(conv),
      kernels_(kernels),
      rows_(conv.out.d * conv.out.h),
      rows_per_tile_(
          std::clamp<int64_t>(kTileElements / std::max<int64_t>(conv.out.w, 1), 1, rows_ + 1)),
      src_strides_(strides_of(conv.src_layout, conv.ic, conv.in)),
      dst_strides_(strides_of(conv.dst_layout, conv.oc, conv.out)) {
  for (int64_t kw = 0; kw < conv.kernel.w; ++kw) {
    const int64_t first = kw * conv.dilations.w - conv.pads_begin.w;
    inside_columns_.push_back(inside_range(first, conv.strides.w, conv.out.w, conv.in.w));
  }
}

void ChannelsFirstDepthwise::pack_weights(const float* weights, float* packed) const {
  for (int64_t oc = 0; oc < conv_.oc; ++oc) {
    for (int64_t tap = 0; tap < conv_.kernel.product(); ++tap) {
      *packed++ = weights[weights_offset(conv_, oc, tap, 0)];
    }
  }
}

int64_t ChannelsFirstDepthwise::scratch_elements() const {
  return scratch_floats<RowTap>(conv_.kernel.product()) +
         scratch_floats<float>(rows_per_tile_ * conv_.out.w);
}

void ChannelsFirstDepthwise::run(const Tensors& tensors, float* scratch, int64_t begin,
                                 int64_t end) const {
  for (int64_t task = begin; task < end; ++task) {
    const int64_t n = task / conv_.oc;
    const int64_t oc = task % conv_.oc;
    const int64_t ic = oc / conv_.oc_per_group();
    const Plane plane{n, oc, tensors.src + n * src_strides_.n + ic * src_strides_.c,
                      tensors.weights + oc * conv_.kernel.product()};
    for (int64_t row = 0; row < rows_; row += rows_per_tile_) {
      run_rows(tensors, plane, {row, std::min(row + rows_per_tile_, rows_)}, scratch);
    }
  }
}

void ChannelsFirstDepthwise::run_rows(const Tensors& tensors, const Plane& plane, const Range& rows,
                                      float* scratch) const {
  auto* taps = reinterpret_cast<RowTap*>(scratch);
  float* values = scratch + scratch_floats<RowTap>(conv_.kernel.product());
  const int64_t elements = rows.size() * conv_.out.w;
  std::fill(values, values + elements, 0.0f);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    sum_row(plane, row, taps, values + (row - rows.begin) * conv_.out.w);
  }
  const int64_t pixel_step = dst_strides_.spatial.w;
  finish_tile(conv_, kernels_, tensors,
              {.values = values,
               .rows = 1,
               .cols = elements,
               .stride = elements,
               .channel = plane.oc,
               .dst_offset = plane.n * dst_strides_.n + plane.oc * dst_strides_.c +
                             rows.begin * conv_.out.w * pixel_step,
               .dst_col_step = pixel_step});
}

void ChannelsFirstDepthwise::sum_row(const Plane& plane, int64_t row, RowTap* taps,
                                     float* values) const {
  const ir::Extent3 first = first_input(conv_, position_of(row * conv_.out.w, conv_.out));
  int64_t tap_count = 0;
  ir::Extent3 k{0, 0, 0};
  for (int64_t tap = 0; tap < conv_.kernel.product(); ++tap, advance(k, conv_.kernel)) {
    const ir::Extent3 at = input_of_tap(conv_, first, k);
    const bool row_inside = is_inside(at.d, conv_.in.d) && is_inside(at.h, conv_.in.h);
    const Range columns =
        row_inside ? inside_columns_[static_cast<size_t>(k.w)] : Range{conv_.out.w, conv_.out.w};
    const float weight = plane.weights[tap];
    if (columns.size() > 0) {
      taps[tap_count++] = {offset_of(at, src_strides_), columns.begin, columns.end, weight};
    }
    if (conv_.pad_value != 0) {
      const float outside = conv_.pad_value * weight;
      for (int64_t ow = 0; ow < columns.begin; ++ow) values[ow] += outside;
      for (int64_t ow = columns.end; ow < conv_.out.w; ++ow) values[ow] += outside;
    }
  }
  kernels_.depthwise_row(plane.src, conv_.strides.w, taps, tap_count, values);
}

}  // namespace

std::unique_ptr<Path> make_depthwise_path(const ir::Conv& conv, const Kernels& kernels) {
  if (conv.src_layout == ir::ActivationLayout::kChannelsLast) {
    return std::make_unique<ChannelsLastDepthwise>(conv, kernels);
  }
  return std::make_unique<ChannelsFirstDepthwise>(conv, kernels);
}

}  // namespace convgen::generic
