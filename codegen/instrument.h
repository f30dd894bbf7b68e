// SPDX-License-Identifier: Apache-2.0
// From a module as emitters leave it to one that tells a sanitizer what it reads and writes. By
// LLVM's passes: emitters know nothing of it.
#pragma once

#include <llvm/IR/Module.h>

#include "codegen/compile.h"

namespace convgen::codegen {

// Changes all functions of module, whose data layout is set. What they call then (__asan_*) is
// up to the process that runs them.
void instrument_module(llvm::Module& module, Instrument instrument);

}  // namespace convgen::codegen
