// SPDX-License-Identifier: Apache-2.0
// The magnitude that bounds a Winograd convolution's rounding, by its definition. Shares nothing
// with the code generator: matrices and tile geometry stand here a second time.
#pragma once

#include "ir/interpreter.h"

namespace convgen::ir {

// Of one output (r, c) of its tile, with a, b and g for the magnitudes of the matrices' entries:
//   products   |A^T| [sum over channels of (|G||g||G^T|) .* (|B^T||d||B|)] |A|
//   underflow  the same with (|G||g||G^T| + |B^T||d||B| + 1), what an absolute error in each factor
//              and product is multiplied with
struct WinogradMagnitude {
  double products = 0;
  double underflow = 0;
};

// conv: 1, 3 or 5 taps along height and width, one along depth, stride 1, one group. tile: 2 or 4,
// outputs of a tile along an axis of 3 taps; 5 taps have 2.
WinogradMagnitude winograd_magnitude(const Conv& conv, const TensorInputs& inputs,
                                     const OutputIndex& at, int tile);

// How often a term of the sum may be rounded besides the additions over channels: once in the
// transformed weights, up to 8 times in B^T d B, up to 8 times in A^T M A (docs/numerics.md).
inline constexpr int kWinogradRoundings = 17;

}  // namespace convgen::ir
