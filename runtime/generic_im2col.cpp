// SPDX-License-Identifier: Apache-2.0
// Fills im2col matrices by copying the longest runs that are contiguous in src: whole filter rows
// for channels-last tensors, stretches of output columns for channels-first ones.
#include "runtime/generic_im2col.h"

#include <algorithm>

#include "runtime/generic_path.h"

namespace convgen::generic {
namespace {

// The taps of one filter row, for one pixel: kernel.w times the group's channels. `line` is the
// input row (the group's first channel at column 0), iw the column of the first tap.
void fill_filter_row(const ir::Conv& conv, int64_t channels, const float* line, int64_t iw,
                     float* to) {
  const int64_t taps = conv.kernel.w;
  const Range inside = inside_range(iw, conv.dilations.w, taps, conv.in.w);
  std::fill(to, to + inside.begin * channels, conv.pad_value);
  const bool dense = conv.groups == 1 && conv.dilations.w == 1;
  const int64_t run = dense ? std::max<int64_t>(inside.size(), 1) : 1;  // taps per copy
  for (int64_t kw = inside.begin; kw < inside.end; kw += run) {
    const float* from = line + (iw + kw * conv.dilations.w) * conv.ic;
    copy_floats(from, run * channels, to + kw * channels);
  }
  std::fill(to + inside.end * channels, to + taps * channels, conv.pad_value);
}

// Output columns that lie side by side in one output row, and in one panel.
struct Segment {
  ir::Extent3 in;  // of the first column's first tap
  int64_t columns = 0;
  int64_t panel_column = 0;
};

// What `columns` output columns read through one tap, of one channel: row `line`, from column iw
// on, `step` apart, of which `inside` exist.
void fill_segment(const float* line, int64_t iw, int64_t step, const Range& inside, int64_t columns,
                  float pad_value, float* to) {
  for (int64_t i = 0; i < inside.begin; ++i) to[i] = pad_value;
  if (inside.begin < inside.end) {
    const float* from = line + (iw + inside.begin * step);
    const int64_t count = inside.end - inside.begin;
    if (step == 1) {
      copy_floats(from, count, to + inside.begin);
    } else {
      for (int64_t i = 0; i < count; ++i) to[inside.begin + i] = from[i * step];
    }
  }
  for (int64_t i = inside.end; i < columns; ++i) to[i] = pad_value;
}

// One tap of a segment, for all channels of the group.
void fill_segment_tap(const ir::Conv& conv, const float* group_src, const Segment& segment,
                      const ir::Extent3& tap, int64_t panel_width, float* to) {
  const int64_t channel_stride = conv.in.product();
  const int64_t id = segment.in.d + tap.d * conv.dilations.d;
  const int64_t ih = segment.in.h + tap.h * conv.dilations.h;
  const int64_t iw = segment.in.w + tap.w * conv.dilations.w;
  const bool row_inside = is_inside(id, conv.in.d) && is_inside(ih, conv.in.h);
  const Range inside =
      row_inside ? inside_range(iw, conv.strides.w, segment.columns, conv.in.w) : Range{};
  const float* line = group_src + (row_inside ? (id * conv.in.h + ih) * conv.in.w : 0);
  for (int64_t ic = 0; ic < conv.ic_per_group(); ++ic) {
    fill_segment(line + ic * channel_stride, iw, conv.strides.w, inside, segment.columns,
                 conv.pad_value, to + ic * panel_width + segment.panel_column);
  }
}

// The segment's part of every row of the panel.
void fill_segment_taps(const ir::Conv& conv, const float* group_src, const Segment& segment,
                       int64_t panel_width, float* panel) {
  const int64_t tap_elements = conv.ic_per_group() * panel_width;
  ir::Extent3 tap{0, 0, 0};
  for (int64_t i = 0; i < conv.kernel.product(); ++i, advance(tap, conv.kernel)) {
    fill_segment_tap(conv, group_src, segment, tap, panel_width, panel + i * tap_elements);
  }
}

}  // namespace

void fill_pixel_rows(const ir::Conv& conv, const float* src, const PixelBlock& block,
                     int64_t row_stride, float* matrix) {
  const int64_t line_elements = conv.in.w * conv.ic;
  const int64_t channels = conv.ic_per_group();
  const int64_t filter_row_elements = conv.kernel.w * channels;
  const float* group_src = src + block.n * conv.ic * conv.in.product() + block.group * channels;
  ir::Extent3 out = position_of(block.begin, conv.out);
  for (int64_t pixel = block.begin; pixel < block.end; ++pixel, matrix += row_stride) {
    const ir::Extent3 in = first_input(conv, out);
    advance(out, conv.out);
    float* to = matrix;
    for (int64_t kd = 0; kd < conv.kernel.d; ++kd) {
      const int64_t id = in.d + kd * conv.dilations.d;
      for (int64_t kh = 0; kh < conv.kernel.h; ++kh, to += filter_row_elements) {
        const int64_t ih = in.h + kh * conv.dilations.h;
        if (is_inside(id, conv.in.d) && is_inside(ih, conv.in.h)) {
          fill_filter_row(conv, channels, group_src + (id * conv.in.h + ih) * line_elements, in.w,
                          to);
        } else {
          std::fill(to, to + filter_row_elements, conv.pad_value);
        }
      }
    }
  }
}

void fill_pixel_panels(const ir::Conv& conv, const float* src, const PixelBlock& block,
                       int64_t width, int64_t lanes, float* matrix) {
  const int64_t depth = conv.terms();
  const float* group_src =
      src + (block.n * conv.ic + block.group * conv.ic_per_group()) * conv.in.product();
  for (int64_t first = block.begin; first < block.end; first += width) {
    const int64_t pixels = std::min(width, block.end - first);
    const int64_t panel_width = round_up(pixels, lanes);
    if (pixels < panel_width) std::fill(matrix, matrix + depth * panel_width, 0.0f);
    for (int64_t done = 0; done < pixels;) {
      const ir::Extent3 out = position_of(first + done, conv.out);
      const int64_t columns = std::min(pixels - done, conv.out.w - out.w);
      fill_segment_taps(conv, group_src, {first_input(conv, out), columns, done}, panel_width,
                        matrix);
      done += columns;
    }
    matrix += depth * panel_width;
  }
}

}  // namespace convgen::generic
