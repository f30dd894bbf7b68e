// SPDX-License-Identifier: Apache-2.0
// How an x86-64 CPU says that it has a feature: the bit of CPUID, and the registers that the
// operating system has to save for it, as XCR0 tells.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace convgen::codegen {

struct X86Feature {
  std::string_view name;  // LLVM's
  uint32_t leaf;
  uint32_t subleaf;
  int word;  // 0 eax, 1 ebx, 2 ecx, 3 edx
  int bit;
  uint32_t xcr0;  // these bits too; 0: nothing to save
};

// Every feature that CPUID shows and LLVM knows. What an LLVM target has besides are preferences of
// its scheduler, not instructions.
std::span<const X86Feature> x86_features();

}  // namespace convgen::codegen
