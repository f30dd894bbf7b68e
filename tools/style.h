// SPDX-License-Identifier: Apache-2.0
// Colours where a person looks: on a terminal that has some, unless NO_COLOR says no;
// CLICOLOR_FORCE says yes anywhere. A pipe or a file gets the text alone.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace convgen::tool {

bool is_terminal(std::FILE* stream);
// A terminal that does as escape sequences say: TERM is there, and not "dumb".
bool is_capable_terminal(std::FILE* stream);

class Style {
 public:
  // Of what is printed to stream.
  explicit Style(std::FILE* stream);

  std::string good(std::string_view text) const;
  std::string bad(std::string_view text) const;
  std::string warning(std::string_view text) const;
  std::string heading(std::string_view text) const;

 private:
  std::string paint(const char* codes, std::string_view text) const;

  bool coloured_;
};

}  // namespace convgen::tool
