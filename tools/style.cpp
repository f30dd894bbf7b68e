// SPDX-License-Identifier: Apache-2.0
#include "tools/style.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace convgen::tool {
namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

}  // namespace

bool is_terminal(std::FILE* stream) { return ::isatty(::fileno(stream)) != 0; }

bool is_capable_terminal(std::FILE* stream) {
  const std::string_view term = variable("TERM");
  return is_terminal(stream) && !term.empty() && term != "dumb";
}

// The variables are those of no-color.org and bixense.com/clicolors.
Style::Style(std::FILE* stream) {
  const std::string_view force = variable("CLICOLOR_FORCE");
  const bool forced = !force.empty() && force != "0";
  coloured_ = variable("NO_COLOR").empty() && (forced || is_capable_terminal(stream));
}

std::string Style::good(std::string_view text) const { return paint("32", text); }
std::string Style::bad(std::string_view text) const { return paint("1;31", text); }
std::string Style::warning(std::string_view text) const { return paint("33", text); }
std::string Style::heading(std::string_view text) const { return paint("1", text); }

std::string Style::paint(const char* codes, std::string_view text) const {
  return coloured_ ? fmt::format("\033[{}m{}\033[0m", codes, text) : std::string(text);
}

}  // namespace convgen::tool
