// SPDX-License-Identifier: Apache-2.0
// What a Conv says about itself: its shapes in their own layouts, its work, equality.
#include "ir/conv.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

#include "ir/words.h"

namespace convgen::ir {
namespace {

std::vector<int64_t> activation_dims(int64_t n, int64_t channels, std::vector<int64_t> spatial,
                                     ActivationLayout layout) {
  std::vector<int64_t> dims = std::move(spatial);
  const bool channels_last = layout == ActivationLayout::kChannelsLast;
  dims.insert(channels_last ? dims.end() : dims.begin(), channels);
  dims.insert(dims.begin(), n);
  return dims;
}

// Everything that is part of the signature.
auto signature_fields(const Conv& c) {
  return std::tie(c.spatial_rank, c.type, c.src_layout, c.dst_layout, c.weights_layout, c.n, c.ic,
                  c.oc, c.groups, c.in, c.kernel, c.out, c.strides, c.dilations, c.pads_begin,
                  c.pads_end, c.pad_value, c.post, c.accuracy);
}

}  // namespace

bool PostOp::operator==(const PostOp& other) const {
  const auto bits = [](float value) { return std::bit_cast<uint32_t>(value); };
  return kind == other.kind && bits(a) == bits(other.a) && bits(b) == bits(other.b);
}

double Conv::multiply_adds() const {
  double count = 1;
  for (int64_t factor : {n, oc, out.d, out.h, out.w, terms()}) {
    count *= static_cast<double>(factor);
  }
  return count;
}

std::vector<int64_t> Conv::src_dims() const {
  return activation_dims(n, ic, used_axes(in, spatial_rank), src_layout);
}

std::vector<int64_t> Conv::weights_dims() const {
  std::vector<int64_t> dims = used_axes(kernel, spatial_rank);
  if (weights_layout == WeightsLayout::kSpatialIO) {
    dims.insert(dims.end(), {ic_per_group(), oc});
  } else {
    dims.insert(dims.begin(), {oc, ic_per_group()});
  }
  return dims;
}

std::vector<int64_t> Conv::dst_dims() const {
  return activation_dims(n, oc, used_axes(out, spatial_rank), dst_layout);
}

bool Conv::uses(PostOpKind kind) const {
  return std::any_of(post.begin(), post.end(), [&](const PostOp& op) { return op.kind == kind; });
}

bool Conv::has_padding() const {
  constexpr Extent3 kNone{0, 0, 0};
  return pads_begin != kNone || pads_end != kNone;
}

bool Conv::operator==(const Conv& other) const {
  return signature_fields(*this) == signature_fields(other);
}

}  // namespace convgen::ir
