// SPDX-License-Identifier: Apache-2.0
// The magnitude that bounds a Winograd convolution's rounding, by its definition. Shares nothing
// with the code generator: matrices and tile geometry stand here a second time.
#pragma once

#include "ir/interpreter.h"

namespace convgen::ir {

// Of one output (r, c) of its tile, with |M| for the magnitudes of a matrix' entries:
//   products   |A^T| [sum over channels of (|G||g||G^T|) .* (|B^T||d||B|)] |A|
//   underflow  the same with (|B^T||d||B| + 1): what meets the absolute error of a transformed
//              weight, and of a product
//   largest    of the entries of |G||g||G^T| and |B^T||d||B| above
// An output at the border, in a tile that has fewer than others, may be computed as a part of a
// whole tile or by a smaller one on some of its points: each number is the larger of both.
struct WinogradMagnitude {
  double products = 0;
  double underflow = 0;
  double largest = 0;
};

// conv: 1, 3 or 5 taps along height and width, one along depth, stride 1, one group. tile: 2 or 4,
// outputs of a tile along an axis of 3 taps; 5 taps have 2.
WinogradMagnitude winograd_magnitude(const Conv& conv, const TensorInputs& inputs,
                                     const OutputIndex& at, int tile);

// About how many multiply-adds winograd_magnitude() takes.
double winograd_magnitude_multiply_adds(const Conv& conv, int tile);

// How often a term of the sum may be rounded besides its product and the additions over channels:
// once as a transformed weight, up to 4 times on its way through B^T d B, up to 6 times through
// A^T M A (docs/numerics.md).
inline constexpr int kWinogradRoundings = 11;

}  // namespace convgen::ir
