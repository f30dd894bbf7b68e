// SPDX-License-Identifier: Apache-2.0
// Weights of image filters, in the layout of a convolution: what tests of constant weights share.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ir/constant_weights.h"
#include "ir/conv.h"
#include "tests/support/random.h"

namespace convgen::testing {

// Weights by where they stand: output channel, input channel within the group, row and column.
using WeightAt = std::function<float(int64_t oc, int64_t ic, int64_t kh, int64_t kw)>;

inline ConstantWeights make_weights(const ir::Conv& conv, const WeightAt& weight) {
  ConstantWeights constants;
  constants.values.resize(static_cast<size_t>(conv.weights_elements()));
  const bool spatial_first = conv.weights_layout == ir::WeightsLayout::kSpatialIO;
  const int64_t in = conv.ic_per_group(), taps = conv.kernel.product();
  for (int64_t oc = 0; oc < conv.oc; ++oc)
    for (int64_t ic = 0; ic < in; ++ic)
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t at =
            spatial_first ? (tap * in + ic) * conv.oc + oc : (oc * in + ic) * taps + tap;
        constants.values[static_cast<size_t>(at)] =
            weight(oc, ic, tap / conv.kernel.w, tap % conv.kernel.w);
      }
  return constants;
}

// One filter on every channel by itself, whether the convolution has a group for each or takes all
// in one: weights between channels are 0.
inline ConstantWeights on_each_channel(const ir::Conv& conv,
                                       const std::function<float(int64_t, int64_t)>& filter) {
  const int64_t multiplier = conv.oc >= conv.ic ? conv.oc / conv.ic : 1;
  return make_weights(conv, [&](int64_t oc, int64_t ic, int64_t kh, int64_t kw) {
    const bool own =
        oc / conv.oc_per_group() * conv.ic_per_group() + ic == oc / multiplier % conv.ic;
    return own ? filter(kh, kw) : 0.0f;
  });
}

inline ConstantWeights edge_filter(const ir::Conv& conv) {
  return on_each_channel(conv,
                         [](int64_t kh, int64_t kw) { return kh == 1 && kw == 1 ? 8.0f : -1.0f; });
}

inline ConstantWeights sharpen_filter(const ir::Conv& conv) {
  return on_each_channel(conv, [](int64_t kh, int64_t kw) {
    return kh == 1 && kw == 1 ? 5.0f : kh == 1 || kw == 1 ? -1.0f : 0.0f;
  });
}

// 1 4 6 4 1 along both axes, times `scale`.
inline ConstantWeights gauss_filter(const ir::Conv& conv, float scale = 0x1p-8f) {
  return on_each_channel(conv, [scale](int64_t kh, int64_t kw) {
    constexpr float kBinomial[] = {1, 4, 6, 4, 1};
    return kBinomial[kh] * kBinomial[kw] * scale;
  });
}

inline ConstantWeights box_filter(const ir::Conv& conv, float weight = 1) {
  return on_each_channel(conv, [weight](int64_t, int64_t) { return weight; });
}

// The derivative along the width where the channel's number is even, else along the height.
inline ConstantWeights sobel_filter(const ir::Conv& conv) {
  constexpr float kSmooth[] = {1, 2, 1}, kSlope[] = {-1, 0, 1};
  const int64_t multiplier = conv.oc >= conv.ic ? conv.oc / conv.ic : 1;
  return make_weights(conv, [&](int64_t oc, int64_t ic, int64_t kh, int64_t kw) {
    if (oc / conv.oc_per_group() * conv.ic_per_group() + ic != oc / multiplier % conv.ic)
      return 0.0f;
    return oc % 2 == 0 ? kSmooth[kh] * kSlope[kw] : kSlope[kh] * kSmooth[kw];
  });
}

// -2 ... 2, zeros among them; no two channels alike.
inline ConstantWeights random_integers(const ir::Conv& conv, uint64_t seed) {
  Random random(seed);
  return make_weights(conv, [&](auto...) { return static_cast<float>(random.below(5) - 2); });
}

inline ConstantWeights random_reals(const ir::Conv& conv, uint64_t seed) {
  Random random(seed);
  return make_weights(conv, [&](auto...) { return random.real(); });
}

// By name, for tests that try several on one convolution; those that do not fit the filter's size
// are random.
inline ConstantWeights filter_named(const std::string& name, const ir::Conv& conv) {
  const bool three = conv.kernel.h == 3 && conv.kernel.w == 3;
  const bool five = conv.kernel.h == 5 && conv.kernel.w == 5;
  if (name == "box") return box_filter(conv);
  if (name == "reals") return random_reals(conv, 7);
  if (name == "edge" && three) return edge_filter(conv);
  if (name == "sharpen" && three) return sharpen_filter(conv);
  if (name == "sobel" && three) return sobel_filter(conv);
  if (name == "gauss" && five) return gauss_filter(conv);
  return random_integers(conv, 5);
}

}  // namespace convgen::testing
