// SPDX-License-Identifier: Apache-2.0
// The instruction sets every differential test is repeated on.
#pragma once

#include <array>

namespace convgen::testing {

struct IsaLevel {
  const char* name;  // as it stands in the name of a test
  const char* mcpu;  // for EngineOptions; empty: all the host has
};

inline constexpr std::array<IsaLevel, 4> kIsaLevels{{{"host", ""},
                                                     {"x86_64_v2", "x86-64-v2"},
                                                     {"x86_64_v3", "x86-64-v3"},
                                                     {"x86_64_v4", "x86-64-v4"}}};

}  // namespace convgen::testing
