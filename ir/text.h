// SPDX-License-Identifier: Apache-2.0
// The conv text: reading it, and printing the canonical form, which is the signature.
#pragma once

#include <string>
#include <string_view>

#include "ir/conv.h"
#include "ir/conv_spec.h"
#include "ir/export.h"
#include "ir/status.h"

namespace convgen::ir {

// Reads conv text (or benchdnn text, see benchdnn.h) into its words, without applying rules that
// need the whole: dims may be left out. Errors name the word, its value and what was expected.
CONVGEN_API Result<ConvSpec> parse_conv_spec(std::string_view text);

// parse_conv_spec, then make_conv.
CONVGEN_API Result<Conv> parse_conv(std::string_view text);

// The canonical text: fixed key order, SAME as numbers, defaults and the name left out.
// parse_conv(print_conv(c)) == c, and equal convolutions print equally: this is the signature.
CONVGEN_API std::string print_conv(const Conv& conv);

// One post-op as the text spells it: "clamp:0:6".
CONVGEN_API std::string print_post_op(const PostOp& op);

// A float as the text spells it: the shortest digits that read back as the same float.
CONVGEN_API std::string print_float(float value);

}  // namespace convgen::ir
