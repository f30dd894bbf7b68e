// SPDX-License-Identifier: Apache-2.0
#include "codegen/packed_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "codegen/winograd.h"

namespace convgen::codegen {
WeightsStrides weights_strides(const ir::Conv& conv) {
  const int64_t taps = conv.kernel.product();
  if (conv.weights_layout == ir::WeightsLayout::kSpatialIO)
    return {1, conv.oc, conv.ic_per_group() * conv.oc};
  return {conv.ic_per_group() * taps, taps, 1};
}

int64_t PackedLayout::tail_width() const {
  const int64_t rest = oc_per_group % oc_block;
  return (rest + lanes - 1) / lanes * lanes;
}

PackedLayout packed_layout(const ir::Conv& conv, const Schedule& schedule) {
  const bool spans = lanes_span_groups(schedule.algorithm);
  PackedLayout layout;
  layout.groups = spans ? 1 : conv.groups;
  layout.oc_per_group = spans ? conv.oc : conv.oc_per_group();
  layout.oc_block = schedule.oc_block();
  layout.lanes = schedule.channel_lanes();
  layout.steps = conv.terms();
  layout.rotated = schedule.algorithm == Algorithm::kRotated;
  if (schedule.algorithm == Algorithm::kWinograd) {
    layout.winograd = schedule.output_tile;
    layout.steps = winograd_axis(conv.kernel.h, schedule.output_tile).alpha *
                   winograd_axis(conv.kernel.w, schedule.output_tile).alpha * conv.ic;
  }
  return layout;
}

std::string packed_tag(const ir::Conv& conv, const Schedule& schedule) {
  const PackedLayout layout = packed_layout(conv, schedule);
  const std::string order = layout.winograd != 0 ? fmt::format("winograd{}", layout.winograd)
                            : layout.rotated     ? "rotated"
                            : lanes_span_groups(schedule.algorithm) ? "grouped"
                                                                    : "direct";
  return fmt::format("{}:{}x{}:g{}:oc{}:k{}x{}x{}:ic{}", order, schedule.channel_lanes(),
                     schedule.tile_vectors, layout.groups, conv.oc, conv.kernel.d, conv.kernel.h,
                     conv.kernel.w, conv.ic_per_group());
}

namespace {

// [block of oc][point][ic][lanes x vectors] of transformed filters.
void pack_winograd(const ir::Conv& conv, const PackedLayout& layout, const float* weights,
                   float* packed) {
  const WeightsStrides strides = weights_strides(conv);
  const int64_t points = layout.steps / conv.ic;
  std::vector<float> u(static_cast<size_t>(points));
  const WeightsTransform transform(winograd_axis(conv.kernel.h, layout.winograd),
                                   winograd_axis(conv.kernel.w, layout.winograd));
  for (int64_t first = 0; first < conv.oc; first += layout.oc_block) {
    const int64_t real = std::min(layout.oc_block, conv.oc - first);
    const int64_t width = (real + layout.lanes - 1) / layout.lanes * layout.lanes;
    std::fill(packed, packed + layout.steps * width, 0.0f);
    for (int64_t ic = 0; ic < conv.ic; ++ic)
      for (int64_t c = 0; c < real; ++c) {
        const float* filter = weights + ic * strides.ic + (first + c) * strides.oc;
        transform(filter, conv.kernel.w * strides.tap, strides.tap, u.data());
        for (int64_t point = 0; point < points; ++point)
          packed[(point * conv.ic + ic) * width + c] = u[static_cast<size_t>(point)];
      }
    packed += layout.steps * width;
  }
}

}  // namespace

void pack_weights(const ir::Conv& conv, const PackedLayout& layout, const float* weights,
                  float* packed) {
  if (layout.winograd != 0) return pack_winograd(conv, layout, weights, packed);
  const WeightsStrides strides = weights_strides(conv);
  const int64_t ic = conv.ic_per_group();
  // The weight of lane c in a row: from which input channel, to which output of the block.
  const auto source_of = [&](int64_t c, int64_t step) {
    if (!layout.rotated) return std::pair(step % ic, c);
    const int64_t j = c % ic;
    return std::pair(j, c - j + (j + step) % ic);
  };
  for (int64_t g = 0; g < layout.groups; ++g) {
    for (int64_t first = 0; first < layout.oc_per_group; first += layout.oc_block) {
      const int64_t real = std::min(layout.oc_block, layout.oc_per_group - first);
      const int64_t width = (real + layout.lanes - 1) / layout.lanes * layout.lanes;
      const float* block = weights + (g * layout.oc_per_group + first) * strides.oc;
      for (int64_t step = 0; step < layout.steps; ++step, packed += width) {
        const float* row = block + step / ic * strides.tap;
        for (int64_t c = 0; c < real; ++c) {
          const auto [i, o] = source_of(c, step);
          packed[c] = row[i * strides.ic + o * strides.oc];
        }
        std::fill(packed + real, packed + width, 0.0f);
      }
    }
  }
}

}  // namespace convgen::codegen
