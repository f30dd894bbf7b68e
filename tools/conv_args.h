// SPDX-License-Identifier: Apache-2.0
// The CONV arguments of every command: conv text, benchdnn text, @FILE with one convolution a
// line, @- or - for standard input. What the text means is ir's business.
#pragma once

#include <string>
#include <vector>

#include "ir/conv.h"
#include "ir/status.h"

namespace convgen::tool {

// A convolution as it was written, and where: "layers.conv:7", empty for an argument.
struct ConvText {
  std::string text;
  std::string where;
};

// The status with `where` in front of its message, so that a bad line of a file can be found.
Status located(const ConvText& conv, const Status& status);

// Every convolution the arguments name, @FILEs read. A line's blanks at both ends, empty lines,
// and comments (# at the beginning of a line or after a blank) are left out. Errors: io_error; or
// invalid_argument for a file without any convolution.
Result<std::vector<ConvText>> read_conv_args(const std::vector<std::string>& args);

// The same where just one convolution is meant.
Result<ConvText> read_conv_arg(const std::string& arg);

// read_conv_args, then ir::parse_conv.
Result<std::vector<ir::Conv>> parse_conv_args(const std::vector<std::string>& args);
Result<ir::Conv> parse_conv_arg(const std::string& arg);

}  // namespace convgen::tool
