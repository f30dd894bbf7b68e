// SPDX-License-Identifier: Apache-2.0
// Environment variables, read where an Engine is made.
#pragma once

#include <cstdlib>
#include <string>

namespace convgen {

// The variable's value; empty where it is not set.
inline std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace convgen
