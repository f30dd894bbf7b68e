// SPDX-License-Identifier: Apache-2.0
// The table of a bundle (bundle_abi.h), as data.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/IR/Module.h>

#include <string>

#include "codegen/c_interface.h"
#include "codegen/emit_c_interface.h"
#include "codegen/schedule.h"

namespace convgen::codegen {

struct BundleRow {
  const CFunction* function;
  const Schedule* schedule;
  std::string level;
  std::string target;  // Target::key()
  LevelCode code;
};

// Adds to module `const convgen_bundle LIBRARY_bundle`. rows: [function][level].
void emit_bundle_table(llvm::Module& module, const std::string& library,
                       llvm::ArrayRef<BundleRow> rows, size_t levels);

}  // namespace convgen::codegen
