// SPDX-License-Identifier: Apache-2.0
// The two ways the generic path computes a convolution, behind one interface, and the small
// geometry both need. Internal to the generic path.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "ir/conv.h"
#include "runtime/generic.h"
#include "runtime/generic_kernels.h"

namespace convgen::generic {

// One algorithm, planned for one convolution; see Plan for what each function promises.
class Path {
 public:
  virtual ~Path() = default;
  virtual int64_t tasks() const = 0;
  virtual std::string packed_tag() const = 0;
  virtual int64_t packed_elements() const = 0;
  virtual void pack_weights(const float* weights, float* packed) const = 0;
  virtual int64_t scratch_elements() const = 0;
  virtual void run(const Tensors& tensors, float* scratch, int64_t begin, int64_t end) const = 0;
};

// Both keep references: conv and kernels must outlive the path.
std::unique_ptr<Path> make_gemm_path(const ir::Conv& conv, const Kernels& kernels);
// Only where is_depthwise(conv).
std::unique_ptr<Path> make_depthwise_path(const ir::Conv& conv, const Kernels& kernels);

// One input channel per group, and too few outputs per group for a matrix product to pay.
inline bool is_depthwise(const ir::Conv& conv) {
  return conv.ic_per_group() == 1 && conv.groups > 1 && conv.groups >= conv.oc_per_group();
}

// Distances in elements from one n, channel or spatial position to the next. The positions of one
// image, counted d, h, w, lie `spatial.w` apart in both layouts.
struct ActivationStrides {
  int64_t n = 0;
  int64_t c = 0;
  ir::Extent3 spatial;
};

inline ActivationStrides strides_of(ir::ActivationLayout layout, int64_t channels,
                                    const ir::Extent3& extent) {
  const bool last = layout == ir::ActivationLayout::kChannelsLast;
  const int64_t w = last ? channels : 1;
  return {channels * extent.product(),
          last ? 1 : extent.product(),
          {extent.h * extent.w * w, extent.w * w, w}};
}

inline ir::Extent3 position_of(int64_t index, const ir::Extent3& extent) {
  return {index / (extent.h * extent.w), index / extent.w % extent.h, index % extent.w};
}

// The position after this one, in the order of position_of.
inline void advance(ir::Extent3& position, const ir::Extent3& extent) {
  if (++position.w < extent.w) return;
  position.w = 0;
  if (++position.h < extent.h) return;
  position.h = 0;
  ++position.d;
}

// Where an output position reads its first tap, outside the image perhaps.
inline ir::Extent3 first_input(const ir::Conv& conv, const ir::Extent3& out) {
  ir::Extent3 in;
  for (int axis = 0; axis < ir::kMaxSpatialRank; ++axis) {
    in[axis] = out[axis] * conv.strides[axis] - conv.pads_begin[axis];
  }
  return in;
}

inline bool is_inside(int64_t position, int64_t extent) {
  return position >= 0 && position < extent;
}

// However large a + b is; what is below 0 comes out as 0.
inline int64_t ceil_div(int64_t a, int64_t b) { return a <= 0 ? 0 : (a - 1) / b + 1; }
inline int64_t round_up(int64_t value, int64_t multiple) {
  return ceil_div(value, multiple) * multiple;
}

// The input position that tap k reads, for the output position whose first input is `first`.
inline ir::Extent3 input_of_tap(const ir::Conv& conv, const ir::Extent3& first,
                                const ir::Extent3& k) {
  return {first.d + k.d * conv.dilations.d, first.h + k.h * conv.dilations.h,
          first.w + k.w * conv.dilations.w};
}

inline bool is_inside(const ir::Extent3& at, const ir::Extent3& extent) {
  return is_inside(at.d, extent.d) && is_inside(at.h, extent.h) && is_inside(at.w, extent.w);
}

inline int64_t offset_of(const ir::Extent3& at, const ActivationStrides& strides) {
  return at.d * strides.spatial.d + at.h * strides.spatial.h + at.w * strides.spatial.w;
}

// The same modulo 2^64, for a position so far outside of the image that int64 does not hold it.
inline uint64_t wrapping_offset_of(const ir::Extent3& at, const ActivationStrides& strides) {
  uint64_t offset = 0;
  for (int axis = 0; axis < ir::kMaxSpatialRank; ++axis) {
    offset += static_cast<uint64_t>(at[axis]) * static_cast<uint64_t>(strides.spatial[axis]);
  }
  return offset;
}

// Where weight (oc, tap, ic within the group) lies in the Conv's layout.
inline int64_t weights_offset(const ir::Conv& conv, int64_t oc, int64_t tap, int64_t ic) {
  const int64_t channels = conv.ic_per_group();
  if (conv.weights_layout == ir::WeightsLayout::kSpatialIO) {
    return (tap * channels + ic) * conv.oc + oc;
  }
  return (oc * channels + ic) * conv.kernel.product() + tap;
}

// A half-open range.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};

// Which of `count` positions, `step` apart from `first` on, lie inside `extent`.
inline Range inside_range(int64_t first, int64_t step, int64_t count, int64_t extent) {
  // Away from the borders all do, and two divisions would be felt in short loops.
  if (first >= 0 && first + (count - 1) * step < extent) return {0, count};
  const int64_t begin = std::clamp<int64_t>(ceil_div(-first, step), 0, count);
  return {begin, std::clamp<int64_t>(ceil_div(extent - first, step), begin, count)};
}

// Short runs are the rule where channels are few: a call of memcpy would cost more than the copy.
inline void copy_floats(const float* from, int64_t count, float* to) {
  constexpr int64_t kShort = 32;
  if (count > kShort) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) std::memcpy(to + i, from + i, 4 * sizeof(float));
  if (i + 2 <= count) {
    std::memcpy(to + i, from + i, 2 * sizeof(float));
    i += 2;
  }
  if (i < count) to[i] = from[i];
}

// The post-op chain on a tile, then its values to their places in dst. add may be dst: a tile reads
// all it needs of it before it writes.
void finish_tile(const ir::Conv& conv, const Kernels& kernels, const Tensors& tensors,
                 const OutputTile& tile);

}  // namespace convgen::generic
