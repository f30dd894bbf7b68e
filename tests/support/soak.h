// SPDX-License-Identifier: Apache-2.0
// How long a test may go on. script/soak sets CONVGEN_SOAK to minutes; else tests are short.
#pragma once

#include <cstdlib>

namespace convgen::testing {

// 0 in an ordinary run. Tests that sample then check everything; those that repeat go on for that
// long.
inline int soak_minutes() {
  const char* minutes = std::getenv("CONVGEN_SOAK");
  return minutes == nullptr ? 0 : std::atoi(minutes);
}

// How often: `whole` in a soak, else `brief`.
inline int soak_or(int whole, int brief) { return soak_minutes() > 0 ? whole : brief; }

}  // namespace convgen::testing
