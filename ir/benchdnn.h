// SPDX-License-Identifier: Apache-2.0
// The one converter from oneDNN's benchdnn problem text (mb1ic3ih224oc64oh112kh7sh2ph3) to a
// ConvSpec. Layouts become nhwc and hwio; dilation there counts from 0; mb defaults to 2.
#pragma once

#include <string_view>

#include "ir/conv_spec.h"
#include "ir/export.h"
#include "ir/status.h"

namespace convgen::ir {

// True where text cannot be conv text but looks like a benchdnn problem: one word, with "ic"
// followed by a digit in it.
CONVGEN_API bool looks_like_benchdnn(std::string_view text);

// Reads a benchdnn convolution problem. An axis that is not said takes the numbers of the one
// outside it (ih7kh3 is square, id7kd3 cubic, iw7kw3 alone 1D); strides are 1 where missing, pads
// follow from the output size where that is given, else are 0. A name ("n" followed by a quoted
// or plain word, last) becomes the label.
// Errors: invalid_argument naming the key, the value and the rule.
CONVGEN_API Result<ConvSpec> parse_benchdnn(std::string_view text);

}  // namespace convgen::ir
