// SPDX-License-Identifier: Apache-2.0
// Weights known before a kernel is made, so that it can be made for them.
#pragma once

#include <vector>

namespace convgen {

struct ConstantWeights {
  // conv.weights_elements() values in the convolution's weights layout.
  std::vector<float> values;
  // The caller's word that src holds neither NaN nor Inf: what a zero weight multiplies need not be
  // looked at. Without it a kernel may leave out zero taps only where it finds src to be finite.
  bool assume_finite = false;
};

}  // namespace convgen
