// SPDX-License-Identifier: Apache-2.0
// Tests that are short in every run and whole in script/soak, which sets CONVGEN_SOAK=1.
#pragma once

#include <stdlib.h>

#include <string>

namespace convgen::testing {

// How often: `whole` in a soak, else `brief`.
inline int soak_or(int whole, int brief) {
  const char* variable = getenv("CONVGEN_SOAK");
  return variable != nullptr && std::string(variable) == "1" ? whole : brief;
}

}  // namespace convgen::testing
