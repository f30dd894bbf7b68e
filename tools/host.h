// SPDX-License-Identifier: Apache-2.0
// How reports name the machine and what of it is used. Decides nothing.
#pragma once

#include <string>

#include "codegen/target.h"
#include "ir/status.h"

namespace convgen::tool {

// The processor's name as the kernel tells it; "unknown" where it does not.
std::string cpu_name();

// The widest instruction set of target: "avx512f", "avx2+fma", "avx", "sse4.2" or "baseline".
std::string isa_name(const codegen::Target& target);

// The target that an Engine with this mcpu compiles for: mcpu, else CONVGEN_MCPU, else the host.
Result<codegen::Target> engine_target(const std::string& mcpu = "");

}  // namespace convgen::tool
