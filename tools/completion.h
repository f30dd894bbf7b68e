// SPDX-License-Identifier: Apache-2.0
// What a shell needs to complete the words of convgen: commands, options, the values of options,
// and files where a value names one.
#pragma once

#include <string>

#include "tools/command_model.h"

namespace convgen::tool {

std::string print_bash_completion(const ToolModel& tool);
std::string print_zsh_completion(const ToolModel& tool);
std::string print_fish_completion(const ToolModel& tool);

}  // namespace convgen::tool
