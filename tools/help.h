// SPDX-License-Identifier: Apache-2.0
// The text of --help, for convgen and for each command: 100 columns, the same sections everywhere.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "tools/command_model.h"
#include "tools/style.h"

namespace convgen::tool {

// What --help of `command` prints. name is how it was called: "convgen emit".
std::string print_help(const CLI::App& command, const std::string& name, const Style& style);

// The commands alone, for who named none.
std::string print_short_help(const CLI::App& app, const Style& style);

// "what computes: jit or generic; default jit": everything that one says of an option. The man page
// says the same.
std::string describe(const OptionModel& option);

// "convgen emit [options] CONV"
std::string print_usage(const CommandModel& command, const std::string& name);

// The commands by group, each group where its first command stands.
std::vector<std::vector<CommandModel>> by_group(const std::vector<CommandModel>& commands);

}  // namespace convgen::tool
