// SPDX-License-Identifier: Apache-2.0
// LLVM's target registry, filled once.
#pragma once

namespace convgen::codegen {

// Registers every back end libLLVM holds. Thread-safe; cheap after the first call.
void initialize_llvm_targets();

}  // namespace convgen::codegen
