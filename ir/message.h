// SPDX-License-Identifier: Apache-2.0
// How errors are worded: user text made safe to print, which all folders use; and, internal to ir,
// lists of known words. Holds no rule and no vocabulary.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ir/export.h"
#include "ir/status.h"

namespace convgen::ir {

// User text as it may stand in a message: bytes outside printable ASCII as \xNN, cut at 120.
CONVGEN_SHARED std::string printable(std::string_view text);

// "expected a, b or c", and "; did you mean 'b'?" where a known word is near.
std::string expected_one_of(std::span<const std::string_view> known, std::string_view found);

// invalid_argument in the one form every message has: "field=value: rule". The field is user text
// and made printable; what the rule quotes of it must be so already.
Status broken_rule(std::string_view field, std::string_view rule);

}  // namespace convgen::ir
