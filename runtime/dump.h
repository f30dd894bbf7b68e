// SPDX-License-Identifier: Apache-2.0
// CONVGEN_DUMP_DIR: what was compiled, as files for people to read.
#pragma once

#include <string>

#include "codegen/schedule.h"
#include "codegen/target.h"
#include "ir/constant_weights.h"
#include "ir/conv.h"

namespace convgen {

// Writes HASH.conv, HASH.schedule, HASH.ll, HASH.s and HASH.o into directory, HASH made from conv,
// schedule, target and constant weights. Faults are ignored: a dump must never fail a compile.
void dump_kernel(const std::string& directory, const ir::Conv& conv,
                 const codegen::Schedule& schedule, const codegen::Target& target,
                 const std::string& object, const ConstantWeights* constants = nullptr);

}  // namespace convgen
