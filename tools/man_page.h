// SPDX-License-Identifier: Apache-2.0
// The manual page convgen(1), in roff's macros `man`.
#pragma once

#include <string>

#include "tools/command_model.h"

namespace convgen::tool {

// The same bytes for the same tool: the page has no date.
std::string print_man_page(const ToolModel& tool, const std::string& version);

}  // namespace convgen::tool
