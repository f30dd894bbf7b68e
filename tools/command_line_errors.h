// SPDX-License-Identifier: Apache-2.0
// What is said of a command line that convgen does not understand: the word, and what it may have
// been meant to be.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "ir/status.h"

namespace convgen::tool {

// Ok where the first argument is an option or a command; CLI11 would not say what it expected.
Status check_command(const CLI::App& app, int argc, char** argv);

// Why app.parse threw `error`.
std::string explain(const CLI::App& app, const CLI::ParseError& error);

}  // namespace convgen::tool
