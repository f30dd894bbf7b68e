// SPDX-License-Identifier: Apache-2.0
// conv_rules.py as a process beside this one: what the contract says about a text.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <optional>
#include <string>

namespace convgen::testing {

class ConvRules {
 public:
  // Starts python3 on the script. is_running() is false where there is none.
  explicit ConvRules(const std::string& script);
  ~ConvRules();
  ConvRules(const ConvRules&) = delete;
  ConvRules& operator=(const ConvRules&) = delete;

  bool is_running() const { return answers_ != nullptr; }
  // What the library has to say, as verdict() writes it; nothing where nobody knows.
  std::optional<std::string> predict(const std::string& text);
  // How often a broken rule was predicted.
  int64_t invalid() const { return invalid_; }

  // "ok DIMS-OF-DST CANONICAL-TEXT" or the name of the error code, by the library.
  static std::string verdict(const std::string& text);

 private:
  pid_t child_ = -1;
  FILE* questions_ = nullptr;
  FILE* answers_ = nullptr;
  int64_t invalid_ = 0;
};

}  // namespace convgen::testing
